import inspect
import json
import math
import re
import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="problems are datasets.Dataset objects")

from r1_rewards.final_answer import final_answer
from r1cli import collecting, recipe_file
from r1cli.collecting import Sampler
from r1cli.errors import PluginError, ProviderError, UsageError
from r1cli.evaluation import Evaluation, read_stored, table
from r1cli.evaluation import evaluation as evaluation_module
from r1cli.evaluation.binding import benchmarks_named, bind_benchmark
from r1cli.evaluation.judged import judged
from r1cli.evaluation.measuring import measure
from r1cli.evaluation.sampled import sampled
from r1cli.evaluation.spec import source_version
from r1cli.files import read_rows
from r1cli.plugins import builtin_plugins
from r1cli.problem import problem_hash
from r1cli.recipe import BenchmarkRun
from r1cli.records import Store, matching, reward_spec
from r1cli.registry import Entry
from r1cli.scoring import dispatch
from r1cli.types import Benchmark, Completion, Drawn, Sampling

BENCH = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "bench"
SIZE = 7


def exact_here():
    """A reward that no worker can import: judged in this process, with no pool to wait for."""

    def exact(completions, solution):
        pairs = zip(completions, solution, strict=True)
        return [float(completion.answer == gold) if gold else None for completion, gold in pairs]

    exact.answer = lambda completion: completion.answer or None
    return exact


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
        """One sample each, whose number is how often its prompt was asked before."""
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        completions = []
        for text in (prompt[-1]["content"] for prompt in prompts):
            completions.append([Completion(self.rule(text, self.asked.count(text)), tokens=5)])
            self.asked.append(text)
        return completions


def right(prompt, sample):
    return re.search(r"\d+", prompt)[0]


def always_one(prompt, sample):
    return "1"


@pytest.fixture
def plugins(monkeypatch):
    monkeypatch.setattr(collecting, "BATCH", 2)
    plugins = builtin_plugins()
    rows = [{"question": f"{n}", "answer": f"{n}", "other": n} for n in range(SIZE)]
    plugins["rewards"].add(Entry("rewards", "exact", exact_here(), "", "test", False))
    plugins["datasets"].add(Entry("datasets", "sums", lambda: rows, "", "test", False))
    return plugins


@pytest.fixture
def prepare(plugins):
    def prepare(benchmark=SUMS, **run):
        return Evaluation(BenchmarkRun(name="sums", **run), benchmark, plugins)

    return prepare


class Here(Sampler):
    """A sampler of an engine that is there already."""

    def __init__(self, engine):
        self.engine, self.model_name, self.revision = "here", "here", None
        self.model = self.key = "m"
        self.opened = engine

    def open(self):
        return nullcontext(self.opened)


def run(evaluation, engine, folder, **more):
    with Store(folder / "records") as store:
        sampler = Here(engine)
        source, keep = sampled(evaluation, sampler, store), judged(evaluation, sampler, store)
        return evaluation.run(source, folder, model_key="m", judged=keep, **more)


@pytest.mark.parametrize(("rule", "mean"), [(right, 1.0), (lambda p, s: "", 0.0)])
def test_perfect_answers_are_all_and_empty_ones_nothing(prepare, tmp_path, rule, mean):
    score = run(prepare(), Engine(rule), tmp_path)
    assert (score.mean, score.problems, score.samples) == (mean, SIZE, 2)
    assert (score.label, score.tokens, score.not_applicable) == ("avg@2", 5.0, 0)
    assert 0.0 <= score.low <= mean <= score.high <= 1.0 and score.high - score.low > 0.3


def test_every_sample_is_a_row(prepare, tmp_path):
    evaluation = prepare()
    run(evaluation, Engine(lambda p, s: right(p, s) if s else "no"), tmp_path)
    rows = read_rows(tmp_path / f"sums-{evaluation.hash}-m.jsonl")
    places = [(row["problem"], row["sample"]) for row in rows]
    assert places == [(problem, sample) for problem in range(SIZE) for sample in range(2)]
    assert rows[6]["prompt"] == [{"role": "user", "content": "Say 3."}]
    told = ("completion", "score", "tokens", "gold")
    assert [[row[key] for key in told] for row in rows[6:8]] == [
        ["no", 0.0, 5, "3"],
        ["3", 1.0, 5, "3"],
    ]


def test_after_a_stop_only_what_is_missing_is_sampled_and_the_numbers_are_the_same(
    prepare, tmp_path
):
    def rule(prompt, sample):
        return right(prompt, sample) if (int(right(prompt, 0)) + sample) % 3 else "no"

    whole = run(prepare(), Engine(rule), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(prepare(), Engine(rule, calls=2), tmp_path / "cut")
    (path,) = (tmp_path / "cut").glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"problem": 4, "sample": 0, "score": 1')  # and the machine died while writing
    again = Engine(rule)
    resumed = run(prepare(), again, tmp_path / "cut")
    assert sorted(again.asked) == sorted(2 * [f"Say {n}." for n in range(2, 7)])
    assert replace(resumed, seconds=0) == replace(whole, seconds=0)
    nobody = Engine(rule, calls=0)
    assert run(prepare(), nobody, tmp_path / "cut").mean == whole.mean


def test_a_limit_takes_the_first_problems(prepare, tmp_path):
    engine = Engine(right)
    assert run(prepare(limit=3), engine, tmp_path).problems == 3
    assert sorted({*engine.asked}) == ["Say 0.", "Say 1.", "Say 2."]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Please say {problem}."},
        {"system_prompt": "Be brief."},
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
    assert prepare(other).hash != prepare().hash
    assert prepare(limit=2).hash != prepare().hash


def test_a_forced_prefill_is_asked_for_stored_and_part_of_the_spec(prepare, tmp_path):
    forced = replace(SUMS, prefill="<think>\n")
    engine = Engine(always_one)
    run(prepare(forced), engine, tmp_path)
    assert set(engine.asked) == {"<think>\n"}  # the last message, which is to be continued
    [path] = tmp_path.glob("*.jsonl")
    assert read_rows(path)[0]["prompt"][-1]["role"] == "user"
    spec = json.loads(path.with_suffix(".json").read_text())["spec"]
    assert spec["prefill"] == "<think>\n"
    assert "prefill" not in prepare().spec and prepare().hash != prepare(forced).hash


def test_the_spec_is_the_same_for_the_same(prepare):
    assert prepare().hash == prepare(replace(SUMS, citation="elsewhere")).hash


def test_what_cannot_be_judged_is_left_out_and_counted(plugins, tmp_path):
    rows = [{"question": "1", "answer": "1"}, {"question": "2", "answer": ""}]
    plugins["datasets"].add(Entry("datasets", "some", lambda: rows, "", "test", False))
    some = Evaluation(BenchmarkRun(name="some"), replace(SUMS, dataset="some"), plugins)
    score = run(some, Engine(right), tmp_path)
    assert (score.mean, score.problems, score.not_applicable) == (1.0, 2, 1)
    rows.pop(0)
    none = Evaluation(BenchmarkRun(name="some"), replace(SUMS, dataset="some"), plugins)
    with pytest.raises(UsageError, match="no problem has a gold answer that its scorer can judge"):
        run(none, Engine(right), tmp_path / "none")


def test_measures_stand_beside_the_score(prepare, tmp_path):
    half = Engine(lambda p, s: right(p, s) if s else "no")
    score = run(prepare(replace(SUMS, measures={"exact": {}})), half, tmp_path)
    assert score.measures == {"exact": 0.5}


def test_greedy_says_so(prepare, tmp_path):
    greedy = replace(SUMS, sampling=Sampling(temperature=0, n=1))
    assert run(prepare(greedy), Engine(right), tmp_path).label == "greedy"


@pytest.mark.parametrize("answers", [[], [[]] * 2, [[Completion("x")]]])
def test_an_engine_that_answers_too_little_is_named(prepare, tmp_path, answers):
    engine = Engine(right)
    engine.generate = lambda prompts, sampling: answers
    with pytest.raises(PluginError, match=r"the engine answered \d of 2 prompts"):
        run(prepare(), engine, tmp_path)


def test_columns_that_are_not_there(prepare):
    with pytest.raises(UsageError, match="looked for gold; it has question, answer, other"):
        prepare(replace(SUMS, columns={"problem": ("question",), "solution": ("gold",)}))
    for prompt in ("{text}", "{problem.x}", "{problem[x]}", "{problem:d}", "{} {problem}"):
        with pytest.raises(UsageError, match="the prompt of benchmark 'sums' wants"):
            prepare(replace(SUMS, prompt=prompt))


def test_a_problem_that_asks_nothing_is_said(plugins):
    rows = [{"question": "1", "answer": "1"}, {"answer": "2"}]
    plugins["datasets"].add(Entry("datasets", "some", lambda: rows, "", "test", False))
    with pytest.raises(UsageError, match="problem 1 of benchmark 'some' has no 'problem'"):
        Evaluation(BenchmarkRun(name="some"), replace(SUMS, dataset="some"), plugins)


def test_arguments_of_a_run_change_the_sampling_and_a_file_the_data(plugins, tmp_path):
    (tmp_path / "data.jsonl").write_text('{"question": "1", "answer": "1"}\n')
    plugins["benchmarks"].add(Entry("benchmarks", "sums", SUMS, "", "test", False))
    said = BenchmarkRun(name="sums", args={"n": 1, "top_p": 0.5}, data=str(tmp_path / "data.jsonl"))
    bound = bind_benchmark(said, plugins, "here")
    assert (bound.sampling, bound.dataset) == (Sampling(n=1, top_p=0.5), "file")
    assert Evaluation(said, bound, plugins).problems == [{"problem": "1", "solution": "1"}]


# -- stored completions ----------------------------------------------------------------------------


@pytest.fixture
def stored(prepare, tmp_path):
    def stored(*rows):
        path = tmp_path / "stored.jsonl"
        path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
        evaluation = prepare()
        found = read_stored(path, evaluation)
        return evaluation.run(found.draw, tmp_path, model_key="m", places=found.places)

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


def test_a_completion_is_that_of_every_problem_that_asks_the_same(plugins, tmp_path):
    rows = [{"question": text, "answer": text} for text in ("1", "2", "1")]
    plugins["datasets"].add(Entry("datasets", "twice", lambda: rows, "", "test", False))
    twice = Evaluation(BenchmarkRun(name="twice"), replace(SUMS, dataset="twice"), plugins)
    path = tmp_path / "stored.jsonl"
    said = [{"prompt": "Say 2.", "completion": "b"}, {"prompt": "Now: 1?", "completion": "a"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in said))
    found = read_stored(path, twice).completions
    assert found == {(0, 0): "a", (1, 0): "b", (2, 0): "a"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "is empty: it has no rows"),
        (["nonsense"], r"row 1 of .*stored\.jsonl is not JSON: 'nonsense'"),
        ([{"completion": "0"}, "[1]"], r"row 2 of .*stored\.jsonl is no JSON object"),
        ([{"said": "0"}], "no column of completions in .*, which has said"),
        ([{"completion": 3}] * SIZE, r"completion in row 1 of .* is int, expected text"),
        ([{"completion": "0"}], "has 1 rows, not all with their prompt, for 7 problems"),
        ([{"prompt": "Say 0.", "completion": "0"}], "no completion for 6 of 7 .*'Say 1.'"),
        ([{"prompt": 3, "completion": "0"}], "prompt 3 is neither text nor a list of messages"),
        ([{"prompt": [{}], "completion": "0"}], r"prompt \[{}\] is neither"),
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
        (rows[row["problem"]], row["completion"], row["score"])
        for path in (tmp_path / "o").rglob("*.jsonl")
        for row in read_rows(path)
        if row["score"] != 1.0
    ]
    assert wrong == []
    (score,) = json.loads(printed.stdout)
    assert (score["mean"], score["problems"], score["not_applicable"]) == (1.0, len(rows), 0)


# -- more samples, and what is kept ----------------------------------------------------------------


def test_more_samples_are_added_to_those_that_are_there(prepare, tmp_path):
    def sums(n):
        return prepare(replace(SUMS, sampling=Sampling(n=n)))

    first = Engine(lambda p, s: right(p, s))
    assert run(sums(2), first, tmp_path).label == "avg@2"
    more = Engine(lambda p, s: "no")
    score = run(sums(6), more, tmp_path)
    assert (len(first.asked), len(more.asked)) == (2 * SIZE, 4 * SIZE)
    assert (score.label, score.mean) == ("avg@6", pytest.approx(2 / 6))
    again = run(sums(2), Engine(right, calls=0), tmp_path)  # and the first two are still the first
    assert (again.label, again.mean) == ("avg@2", 1.0)


def test_a_new_scorer_judges_what_the_store_has(prepare, tmp_path):
    run(prepare(), Engine(right), tmp_path)
    other = run(prepare(replace(SUMS, scorer="accuracy")), Engine(right, calls=0), tmp_path)
    assert other.mean == 1.0


def test_what_the_scorer_failed_on_is_judged_again_and_not_sampled_again(
    plugins, prepare, tmp_path
):
    down = [True]

    def flaky(completions, solution):
        if down[0] and any(completion.answer == "3" for completion in completions):
            raise ProviderError("the judge is down")
        return [1.0] * len(completions)

    plugins["rewards"].add(Entry("rewards", "flaky", flaky, "", "test", False))
    benchmark = replace(SUMS, scorer="flaky")
    score = run(prepare(benchmark), Engine(right), tmp_path)
    assert score.failed > 0 and score.mean == 1.0
    down[0] = False
    again = run(prepare(benchmark), Engine(right, calls=0), tmp_path)
    assert (again.failed, again.samples, again.problems) == (0, 2, SIZE)


def test_the_store_knows_how_attempts_were_judged_as_the_filters_would_ask_it(prepare, tmp_path):
    benchmark = replace(SUMS, measures={"format": {}})
    run(prepare(benchmark), Engine(lambda p, s: right(p, s) if s else "no"), tmp_path)
    known = {"solution": "3"}
    with Store(tmp_path / "records") as store:
        attempts = list(store.scan(matching(problem=problem_hash("3"))))
        judgements = [list(a.rewards) for a in attempts]
    spec = reward_spec({}, known)
    assert [a.outcome("exact", spec).value for a in attempts] == [0.0, 1.0]
    assert [a.outcome("format", reward_spec({}, {})).value for a in attempts] == [0.0, 0.0]
    assert all(len(each) == 2 for each in judgements)


def test_a_judgement_is_stored_once_and_those_of_earlier_results_are_made_up_for(prepare, tmp_path):
    def lines():
        shards = (tmp_path / "records" / "rewards").glob("*.jsonl")
        return sum(len(shard.read_text().splitlines()) for shard in shards)

    run(prepare(), Engine(right), tmp_path)
    assert lines() == 2 * SIZE
    run(prepare(), Engine(right, calls=0), tmp_path)
    assert lines() == 2 * SIZE
    shutil.rmtree(tmp_path / "records" / "rewards")
    assert run(prepare(), Engine(right, calls=0), tmp_path).mean == 1.0
    assert lines() == 2 * SIZE


def test_problems_that_ask_the_same_have_the_same_samples_and_all_count(plugins, prepare, tmp_path):
    rows = [{"question": f"{n % 3}", "answer": f"{n % 3}"} for n in range(5)]
    plugins["datasets"].add(Entry("datasets", "twins", lambda: rows, "", "test", False))
    evaluation = prepare(replace(SUMS, dataset="twins"))
    engine = Engine(right)
    score = run(evaluation, engine, tmp_path)
    assert (score.problems, score.mean, len(engine.asked)) == (5, 1.0, 2 * 3)
    assert evaluation.is_sampled(tmp_path, "m")


def test_a_judgement_does_not_go_to_another_attempt_that_took_its_place(prepare, tmp_path):
    run(prepare(), Engine(right), tmp_path)
    shutil.rmtree(tmp_path / "records")
    run(prepare(), Engine(lambda p, s: "no"), tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "records").rename(tmp_path / "records")
    assert run(prepare(), Engine(right, calls=0), tmp_path).mean == 1.0
    with Store(tmp_path / "records") as store:
        assert {a.outcome("exact").value for a in store.scan()} == {0.0}


def test_what_has_no_gold_or_no_judge_is_so_in_the_store(plugins, prepare, tmp_path):
    def half(completions, solution):
        if "3" in solution:
            raise ProviderError("the judge is down")
        return [None if gold == "4" else 1.0 for gold in solution]

    plugins["rewards"].add(Entry("rewards", "half", half, "", "test", False))
    benchmark = replace(SUMS, scorer="half", sampling=Sampling(n=1))
    run(prepare(benchmark), Engine(right), tmp_path)
    with Store(tmp_path / "records") as store:
        said = {a.text: a.outcome("half").status for a in store.scan()}
    assert said["3"] == "failed" and said["4"] == "not_applicable" and said["6"] == "score"


def test_an_engine_that_dies_loses_nothing(prepare, tmp_path):
    class Dies(Engine):
        def generate(self, prompts, sampling):
            if len(self.asked) >= 4:
                raise ProviderError("the endpoint is gone")
            return super().generate(prompts, sampling)

    with pytest.raises(ProviderError, match="the endpoint is gone"):
        run(prepare(), Dies(right), tmp_path)
    rest = Engine(right)
    assert run(prepare(), rest, tmp_path).mean == 1.0
    assert len(rest.asked) == 2 * SIZE - 4


def test_samples_that_came_to_nothing_are_no_score(prepare, tmp_path):
    class Refuses(Engine):
        def stream(self, draws, sampling):
            for position, draw in enumerate(draws):
                text = draw.prompt[-1]["content"]
                if "3" in text and not self.left:
                    yield [Drawn(position, error=ProviderError("refused"))]
                else:
                    yield [Drawn(position, Completion(right(text, 0)))]

    with pytest.raises(ProviderError, match=r"2 of 14 samples came to nothing \(refused\)"):
        run(prepare(), Refuses(right), tmp_path)
    assert run(prepare(), Refuses(right, calls=1), tmp_path).mean == 1.0


def test_the_file_beside_the_samples_says_what_they_are(prepare, tmp_path):
    evaluation = prepare()
    score = run(evaluation, Engine(right), tmp_path)
    about = json.loads((tmp_path / f"sums-{evaluation.hash}-m.json").read_text())
    assert about["spec"]["hash"] == evaluation.hash == score.spec
    assert about["spec"]["prompt"] == "Say {problem}." and "n" not in about["spec"]["sampling"]
    assert about["spec"]["problems"]["count"] == SIZE
    assert (about["score"]["mean"], about["citation"]) == (1.0, "here")


def test_another_extractor_is_another_spec(prepare, tmp_path, monkeypatch):
    source = Path(inspect.getfile(final_answer))
    before = prepare(replace(SUMS, scorer="accuracy")).hash
    changed = tmp_path / "final_answer.py"
    changed.write_text(source.read_text() + "\n# another rule\n")
    monkeypatch.setattr(sys.modules["r1_rewards.final_answer"], "__file__", str(changed))
    assert prepare(replace(SUMS, scorer="accuracy")).hash != before


def test_what_the_scorer_reads_is_in_the_spec_and_nothing_else_of_the_data(plugins):
    def hinted(completions, solution, hint=None):
        return [0.0 for _ in completions]

    rows = []
    plugins["rewards"].add(Entry("rewards", "hinted", hinted, "", "test", False))
    plugins["datasets"].add(Entry("datasets", "some", lambda: rows, "", "test", False))

    def spec(**row):
        rows[:] = [{"question": "1", "answer": "1", **row}]
        some = replace(SUMS, dataset="some", scorer="hinted")
        return Evaluation(BenchmarkRun(name="some"), some, plugins).hash

    assert spec() == spec(source="elsewhere") == spec(hint=None)
    assert spec() != spec(hint="another verdict")


def test_a_scorer_is_followed_through_its_packages_own_imports(tmp_path, monkeypatch):
    package = tmp_path / "judging"
    (package / "deep").mkdir(parents=True)
    for name in ("__init__", "rule", "deep/__init__", "deep/other"):
        (package / f"{name}.py").write_text("RULE = 1\n")
    (package / "judge.py").write_text(
        "from . import rule\nfrom .deep.other import RULE\n\ndef judge(completions): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from judging.judge import judge

    versions = {source_version(judge)}
    for name in ("rule", "deep/other"):
        (package / f"{name}.py").write_text("RULE = 0\n")
        versions.add(source_version(judge))
    assert len(versions) == 3


def test_more_than_is_drawn_is_not_asked_for_after_the_drawing(prepare, plugins, tmp_path):
    greedy = replace(SUMS, sampling=Sampling(0.0, n=4))
    for benchmark, why in ((SUMS, "raise n"), (greedy, "greedy")):
        benchmarks = [(BenchmarkRun(name="sums"), benchmark)]
        with pytest.raises(UsageError, match=rf"pass@4 of 'sums' needs as many samples.*{why}"):
            measure(Path("m"), benchmarks, plugins, tmp_path / "out", ks=[1, 4])
    assert list(tmp_path.iterdir()) == []


def test_the_numbers_of_several_samples(prepare, tmp_path):
    def rule(prompt, sample):
        number = int(right(prompt, 0))
        return "" if sample == 3 else str(number) if sample <= number % 3 else f"no {sample}"

    four = prepare(replace(SUMS, sampling=Sampling(n=4)))
    score = run(four, Engine(rule), tmp_path, ks=[1, 2, 4])
    correct = [n % 3 + 1 for n in range(SIZE)]
    assert score.mean == pytest.approx(sum(correct) / SIZE / 4)
    assert score.pass_at["1"].mean == pytest.approx(score.mean)
    assert score.pass_at["4"].mean == 1.0
    pairs = [1 - math.comb(4 - c, 2) / math.comb(4, 2) for c in correct]
    assert score.pass_at["2"].mean == pytest.approx(sum(pairs) / SIZE)
    voted = [1 / 3 if c == 1 else 1.0 for c in correct]  # 1 right against two other answers
    assert score.majority.mean == pytest.approx(sum(voted) / SIZE)
    assert score.unparseable == 0.25
    with pytest.raises(UsageError, match="pass@5 of 'sums' needs 5 samples each; there are 4"):
        run(four, Engine(rule), tmp_path, ks=[5])


@pytest.mark.parametrize("workers", [1, 3])
def test_the_score_does_not_depend_on_how_it_is_judged(prepare, tmp_path, monkeypatch, workers):
    """By one worker or several, a sample at a time or all together."""
    monkeypatch.setattr(dispatch, "default_workers", lambda: workers)
    monkeypatch.setattr(evaluation_module, "CHUNK", 1 if workers == 1 else 512)
    half = Engine(lambda p, s: right(p, s) if s else "\\boxed{0}")
    score = run(prepare(replace(SUMS, scorer="accuracy")), half, tmp_path)
    assert score.mean == pytest.approx((SIZE + 1) / 2 / SIZE)  # of 0, both are right


# -- files of others -------------------------------------------------------------------------------


def query(number):
    return f"Solve this. The last line is an answer.\n\n{number}\n"


LIGHTEVAL = [
    {
        "doc": {"query": query(n), "choices": [str(n)], "gold_index": 0},
        "model_response": {"text": [str(n), "no"], "output_tokens": [[1] * 9, [1]]},
        "metric": {"pass@k:k=1": 1.0},
    }
    for n in range(SIZE)
]


def test_lighteval_details(prepare, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "details_aime24_2026.parquet"
    parquet.write_table(pa.Table.from_pylist(LIGHTEVAL[::-1]), path)
    evaluation = prepare()
    found = read_stored(path, evaluation)
    score = evaluation.run(found.draw, tmp_path, model_key="m", places=found.places)
    assert (score.mean, score.samples, score.tokens) == (0.5, 2, 5.0)
    old = [
        {"full_prompt": r["doc"]["query"], "predictions": r["model_response"]["text"]}
        for r in LIGHTEVAL
    ]
    parquet.write_table(pa.Table.from_pylist(old), path)
    assert {str(c) for c in read_stored(path, evaluation).completions.values()} == {
        "no",
        *map(str, range(SIZE)),
    }


def test_completions_of_trl(prepare, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {
            "step": 1,
            "prompt": [{"role": "user", "content": f"Say {n}."}],
            "completion": [{"role": "assistant", "content": str(n)}],
            "accuracy": 1.0,
            "advantage": 0.0,
        }
        for n in range(SIZE)
        for _ in range(2)
    ]
    path = tmp_path / "completions_00001.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    evaluation = prepare()
    found = read_stored(path, evaluation)
    score = evaluation.run(found.draw, tmp_path, model_key="m", places=found.places)
    assert (score.mean, score.samples) == (1.0, 2)


def test_scores_as_markdown(prepare, tmp_path):
    score = run(prepare(), Engine(right), tmp_path, ks=[2])
    lines = table.markdown([score.to_dict()]).splitlines()
    assert lines[0].startswith("| benchmark | score | % [95 % interval] | majority | pass@2 |")
    assert lines[2].startswith("| sums | avg@2 | 100.0 [64.6, 100.0] | 100.0 [")
    assert lines[-1] == "Intervals are 95 % (wilson); equal specs compare."
    assert "failed" not in lines[0]
    [row] = table.rows([{**score.to_dict(), "failed": 3}])
    assert row["failed"] == "3"
    assert table.markdown([]) == ""


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--list", "--json"), None),
        ((), "no benchmark named; see: r1 eval --list"),
        (("aime24",), "give either --model or --completions"),
        (("aime25", "--model", "x", "--k", "1,two"), "--k '1,two' is no list of numbers"),
        (("aime24x", "--model", "x"), "did you mean 'aime24'?"),
        (("aime24:hard", "--model", "x"), "benchmark 'aime24' has no parts; leave out ':hard'"),
        (("file", "--model", "x"), "benchmark 'file' at the command line needs its problems"),
        (("reasoning_gym", "--model", "x"), "needs a task: reasoning_gym:chain_sum"),
        (("lcb", "--model", "x", "--arg", "stat=2025"), "did you mean 'start'?"),
        (("gsm8k", "--completions", "gone.jsonl"), "no file gone.jsonl of completions"),
        (("gsm8k", "--model", "x", "--data", "gone.jsonl"), "no file gone.jsonl with data"),
        (("gsm8k", "--model", "x", "--temperature", "-1"), "temperature"),
    ],
)
def test_what_the_command_says(r1, tmp_path, args, said):
    done = r1("eval", *args)
    if said is None:
        names = [row["benchmark"] for row in json.loads(done.stdout)]
        assert {"gpqa", "lcb_v4", "reasoning_gym:..."} <= set(names)
        return
    assert done.exit_code == 2 and said in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.train
def test_greedy_scores_are_the_same_for_every_batch_size(r1, tmp_path):
    from r1_tiny.model import r1_tiny_blank

    given = ("eval", "chain_sums", "--model", r1_tiny_blank(), "--temperature", 0)
    small = ("--arg", "size=12", "--max-tokens", 12, "--json")
    texts = []
    for size in (1, 5, 64):
        where = ("--engine-arg", f"batch_size={size}", "--out", size, "--records", f"r{size}")
        done = r1(*given, *small, *where)
        assert done.exit_code == 0, done.stderr
        [path] = (tmp_path / str(size) / "eval").glob("*.jsonl")
        rows = sorted(read_rows(path), key=lambda row: row["problem"])
        texts.append([(row["completion"], row["score"]) for row in rows])
    assert texts[0] == texts[1] == texts[2] and len(texts[0]) == 12


def test_what_is_given_stands_above_the_benchmark_and_that_above_the_recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "model: {name: r1_tiny_blank}\ndataset: {name: chain_sums}\ntrainer: {name: sft}\n"
        "system_prompt: of the recipe\nbenchmarks:\n"
        "  - {name: chain_sums, system_prompt: its own}\n"
        "  - {name: chain_sums, engine: {name: openai, args: {url: 'http://a/v1', tries: 3}}}\n"
    )
    recipe = recipe_file.load(str(path))

    def bound(**given):
        given = {"args": {}, "engine_args": {}, **given}
        found = benchmarks_named([], builtin_plugins(), recipe, **given)
        engines = [(run.engine.name, run.engine.args) for run, _ in found]
        return [benchmark.system_prompt for _, benchmark in found], engines

    served = {"url": "http://a/v1", "tries": 3}
    assert bound() == (["its own", "of the recipe"], [("transformers", {}), ("openai", served)])
    assert bound(system_prompt="")[0] == [None, None]
    [_, more] = bound(engine_args={"chat_template_kwargs": {}})[1]
    assert more == ("openai", {**served, "chat_template_kwargs": {}})
    [_, other] = bound(engine="transformers", engine_args={"batch_size": 2})[1]
    assert other == ("transformers", {"batch_size": 2})


def test_a_recipe_brings_its_benchmarks_and_system_prompt(r1, tmp_path):
    (tmp_path / "r.yaml").write_text(
        "model: {name: r1_tiny_blank}\ndataset: {name: chain_sums}\ntrainer: {name: sft}\n"
        "system_prompt: Be brief.\nbenchmarks: [{name: chain_sums, args: {size: 3}}]\n"
    )
    rows = [{"completion": ""} for _ in range(3)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = r1("eval", "--recipe", "r.yaml", "--completions", "c.jsonl", "--out", "o", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)[0]["problems"] == 3
    assert "to see the samples: r1 view o" in done.stderr
    [path] = (tmp_path / "o" / "eval").glob("*.jsonl")
    assert read_rows(path)[0]["prompt"][0] == {"role": "system", "content": "Be brief."}
