import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="problems are datasets.Dataset objects")

from r1cli import sampling
from r1cli.check import bind_benchmark
from r1cli.errors import PluginError, UsageError
from r1cli.evaluation import Evaluation, stored_engine
from r1cli.files import read_rows
from r1cli.plugins import builtin_plugins
from r1cli.recipe import BenchmarkRun
from r1cli.registry import Entry
from r1cli.types import Benchmark, Completion, Sampling

BENCH = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "bench"
SIZE = 7


def exact(completions, solution):
    pairs = zip(completions, solution, strict=True)
    return [float(completion.answer == gold) if gold else None for completion, gold in pairs]


SUMS = Benchmark(
    dataset="sums",
    args={},
    columns={"problem": ("problem", "question"), "solution": ("answer",)},
    prompt="Say {problem}.",
    scorer="exact",
    sampling=Sampling(n=2),
    citation="here",
)


class Engine:
    """Answers by a rule; remembers what it was asked; may be stopped."""

    def __init__(self, rule, calls=None):
        self.rule, self.left, self.asked = rule, calls, []

    def generate(self, prompts, sampling):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        self.asked += [prompt[-1]["content"] for prompt in prompts]
        return [
            [Completion(self.rule(p[-1]["content"], s), tokens=5) for s in range(sampling.n)]
            for p in prompts
        ]


def right(prompt, sample):
    return re.search(r"\d+", prompt)[0]


@pytest.fixture
def plugins(monkeypatch):
    monkeypatch.setattr(sampling, "BATCH", 2)
    plugins = builtin_plugins()
    rows = [{"question": f"{n}", "answer": f"{n}", "other": n} for n in range(SIZE)]
    plugins["rewards"].add(Entry("rewards", "exact", exact, "", "test", False))
    plugins["datasets"].add(Entry("datasets", "sums", lambda: rows, "", "test", False))
    return plugins


@pytest.fixture
def prepare(plugins):
    def prepare(benchmark=SUMS, **run):
        return Evaluation(BenchmarkRun(name="sums", **run), benchmark, plugins)

    return prepare


@pytest.mark.parametrize(("rule", "mean"), [(right, 1.0), (lambda p, s: "", 0.0)])
def test_perfect_answers_are_all_and_empty_ones_nothing(prepare, tmp_path, rule, mean):
    score = prepare().run(Engine(rule), tmp_path, model_key="m")
    assert (score.mean, score.problems, score.samples) == (mean, SIZE, 2)
    assert (score.label, score.tokens, score.not_applicable) == ("avg@2", 5.0, 0)
    assert 0.0 <= score.low <= mean <= score.high <= 1.0 and score.high - score.low > 0.3


def test_every_sample_is_a_row(prepare, tmp_path):
    evaluation = prepare()
    evaluation.run(Engine(lambda p, s: right(p, s) if s else "no"), tmp_path, model_key="m")
    rows = read_rows(tmp_path / f"sums-{evaluation.spec}-m.jsonl")
    assert [row["problem"] for row in rows] == list(range(SIZE))
    assert rows[3]["prompt"] == [{"role": "user", "content": "Say 3."}]
    assert (rows[3]["completions"], rows[3]["scores"]) == (["no", "3"], [0.0, 1.0])


def test_after_a_stop_only_what_is_missing_is_sampled_and_the_numbers_are_the_same(
    prepare, tmp_path
):
    def rule(prompt, sample):
        return right(prompt, sample) if (int(right(prompt, 0)) + sample) % 3 else "no"

    whole = prepare().run(Engine(rule), tmp_path / "whole", model_key="m")
    with pytest.raises(KeyboardInterrupt):
        prepare().run(Engine(rule, calls=2), tmp_path / "cut", model_key="m")
    (path,) = (tmp_path / "cut").iterdir()
    with path.open("a") as file:
        file.write('{"problem": 4, "scores": [1')  # and the machine died while writing
    again = Engine(rule)
    resumed = prepare().run(again, tmp_path / "cut", model_key="m")
    assert again.asked == ["Say 4.", "Say 5.", "Say 6."]
    assert replace(resumed, seconds=0) == replace(whole, seconds=0)
    nobody = Engine(rule, calls=0)
    assert prepare().run(nobody, tmp_path / "cut", model_key="m").mean == whole.mean


def test_a_limit_takes_the_first_problems(prepare, tmp_path):
    engine = Engine(right)
    assert prepare(limit=3).run(engine, tmp_path, model_key="m").problems == 3
    assert engine.asked == ["Say 0.", "Say 1.", "Say 2."]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Please say {problem}."},
        {"system_prompt": "Be brief."},
        {"sampling": Sampling(n=3)},
        {"sampling": Sampling(n=2, temperature=0.5)},
        {"sampling": Sampling(n=2, seed=1)},
        {"scorer": "accuracy"},
        {"scorer": "accuracy", "scorer_args": {"extract": "any"}},
        {"measures": {"exact": {}}},
        {"columns": {"problem": ("question",), "solution": ("question",)}},
    ],
)
def test_the_spec_changes_with_what_decides_the_number(prepare, change):
    other = replace(SUMS, **change)
    if "columns" in change:  # other golds: the rows say them in another column
        other = replace(other, columns={"problem": ("question",), "solution": ("other",)})
    assert prepare(other).spec != prepare().spec
    assert prepare(limit=2).spec != prepare().spec


def test_the_spec_is_the_same_for_the_same(prepare):
    assert prepare().spec == prepare(replace(SUMS, citation="elsewhere")).spec


def test_what_cannot_be_judged_is_left_out_and_counted(plugins, tmp_path):
    rows = [{"question": "1", "answer": "1"}, {"question": "2", "answer": ""}]
    plugins["datasets"].add(Entry("datasets", "some", lambda: rows, "", "test", False))
    some = Evaluation(BenchmarkRun(name="some"), replace(SUMS, dataset="some"), plugins)
    score = some.run(Engine(right), tmp_path, model_key="m")
    assert (score.mean, score.problems, score.not_applicable) == (1.0, 2, 1)
    rows.pop(0)
    none = Evaluation(BenchmarkRun(name="some"), replace(SUMS, dataset="some"), plugins)
    with pytest.raises(UsageError, match="no problem has a gold answer that 'exact' can judge"):
        none.run(Engine(right), tmp_path / "none", model_key="m")


def test_measures_stand_beside_the_score(prepare, tmp_path):
    score = prepare(replace(SUMS, measures={"exact": {}})).run(
        Engine(lambda p, s: right(p, s) if s else "no"), tmp_path, model_key="m"
    )
    assert score.measures == {"exact": 0.5}


def test_greedy_says_so(prepare, tmp_path):
    greedy = replace(SUMS, sampling=Sampling(temperature=0, n=1))
    assert prepare(greedy).run(Engine(right), tmp_path, model_key="m").label == "greedy"


@pytest.mark.parametrize("answers", [[], [[]] * 2, [[Completion("x")]]])
def test_an_engine_that_answers_too_little_is_named(prepare, tmp_path, answers):
    engine = Engine(right)
    engine.generate = lambda prompts, sampling: answers
    with pytest.raises(PluginError, match=r"the engine answered \d of 2 prompts"):
        prepare().run(engine, tmp_path, model_key="m")


def test_columns_that_are_not_there(prepare):
    with pytest.raises(UsageError, match="looked for gold; it has question, answer, other"):
        prepare(replace(SUMS, columns={"problem": ("question",), "solution": ("gold",)}))


def test_arguments_of_a_run_change_the_sampling_and_a_file_the_data(plugins, tmp_path):
    (tmp_path / "data.jsonl").write_text('{"question": "1", "answer": "1"}\n')
    plugins["benchmarks"].add(Entry("benchmarks", "sums", SUMS, "", "test", False))
    run = BenchmarkRun(name="sums", args={"n": 1, "top_p": 0.5}, data=str(tmp_path / "data.jsonl"))
    bound = bind_benchmark(run, plugins, "here")
    assert (bound.sampling, bound.dataset) == (Sampling(n=1, top_p=0.5), "file")
    assert Evaluation(run, bound, plugins).rows.to_list() == [{"problem": "1", "solution": "1"}]


# -- stored completions ----------------------------------------------------------------------------


@pytest.fixture
def stored(prepare, tmp_path):
    def stored(*rows):
        path = tmp_path / "stored.jsonl"
        path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
        evaluation = prepare()
        return evaluation.run(stored_engine(path, evaluation), tmp_path / "eval", model_key="m")

    return stored


def test_completions_by_order(stored):
    assert stored(*({"completion": str(n)} for n in range(SIZE))).mean == 1.0


def test_several_completions_each(stored):
    score = stored(*({"completions": [str(n), "no", "no", "no"]} for n in range(SIZE)))
    assert (score.mean, score.samples) == (0.25, 4)


@pytest.mark.parametrize(
    "prompt", [lambda text: text, lambda text: [{"role": "user", "content": text}]]
)
def test_completions_by_prompt_in_any_order(stored, prompt):
    rows = [{"prompt": prompt(f"Say {n}."), "completion": str(n)} for n in range(SIZE)]
    more = {"prompt": prompt("Say 3."), "completion": "no"}
    other = {"prompt": prompt("Another problem."), "completion": "x"}
    score = stored(*reversed(rows), more, other)
    assert (score.mean, score.samples) == (6.5 / SIZE, 2)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "holds no JSON rows"),
        (["nonsense"], r"stored\.jsonl:1 is no JSON: Expecting value"),
        ([{"completion": "0"}, "[1]"], r"stored\.jsonl:2 is no JSON object"),
        ([{"text": "0"}], r"stored\.jsonl:1 has no text 'completion'"),
        ([{"completion": 3}], r"stored\.jsonl:1 has no text 'completion'"),
        ([{"completion": "0"}], "has 1 rows without 'prompt' for 7 problems"),
        ([{"prompt": "Say 0.", "completion": "0"}], "no completion for 6 of 7 .*'Say 1.'"),
        ([{"prompt": 3, "completion": "0"}], "prompt 3 is neither text nor a list of messages"),
        ([{"prompt": [], "completion": "0"}], r"prompt \[\] is neither"),
    ],
)
def test_stored_completions_that_cannot_be_matched(stored, rows, said):
    with pytest.raises(UsageError, match=said):
        stored(*rows)


def declared(row):
    """The source's own answer as the benchmark's prompt asks for it."""
    return f"So it is $\\boxed{{{row.get('expected_answer', row.get('answer'))}}}$."


@pytest.mark.parametrize(
    ("name", "file", "answer"),
    [
        ("math_500", "math_500", declared),
        ("math_500", "math_500", lambda row: row["solution"]),
        ("math_500", "math_500", lambda row: f"<think>\\boxed{{0}}</think>{declared(row)}"),
        ("gsm8k", "gsm8k_test", lambda row: row["answer"]),
        ("gsm8k", "gsm8k_test", lambda row: f"\\boxed{{{row['answer'].split('#### ')[1]}}}"),
        ("aime24", "aime24", declared),
        ("aime25", "aime25", declared),
    ],
)
def test_reference_answers_score_100_per_cent(r1, tmp_path, name, file, answer):
    data = BENCH / f"{file}.jsonl"
    if not data.exists():
        pytest.skip(f"{data} is not here: real problems are not part of the repository")
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    lines = [json.dumps({"completion": answer(row)}) + "\n" for row in rows]
    (tmp_path / "stored.jsonl").write_text("".join(lines))
    given = ("--data", data, "--completions", "stored.jsonl", "--out", "o", "--json")
    printed = r1("eval", name, *given)
    assert printed.exit_code == 0, printed.stderr
    wrong = [
        (rows[row["problem"]], row["completions"], row["scores"])
        for path in (tmp_path / "o").rglob("*.jsonl")
        for row in read_rows(path)
        if row["scores"] != [1.0]
    ]
    assert wrong == []
    (score,) = json.loads(printed.stdout)
    assert (score["mean"], score["problems"], score["not_applicable"]) == (1.0, len(rows), 0)
