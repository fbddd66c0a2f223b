import base64
import json
import pickle
import re
import sys
import zlib
from collections import Counter
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from r1_benchmarks import lcb as live
from r1_benchmarks.gpqa import CHOICES, LETTERS, shuffled
from r1_benchmarks.olympiadbench import with_solution
from r1cli import Benchmark, Sampling, UsageError
from r1cli.data.rows import bind_dataset
from r1cli.evaluation.binding import bind_benchmark
from r1cli.evaluation.problems import load_problems, prompts
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun

FAMILIES = {"reasoning_gym": "chain_sum", "lighteval": "aime24"}
PUBLISHED = {
    "aime24": 64,
    "aime25": 64,
    "amc23": 16,
    "gpqa": 8,
    "gsm8k": 1,
    "humaneval": 16,
    "lcb": 16,
    "lcb_v4": 16,
    "math_500": 4,
    "mbpp": 4,
    "olympiadbench": 4,
}
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FILES = [
    ("aime24", "bench/aime24.jsonl", 30),
    ("aime25", "bench/aime25.jsonl", 30),
    ("amc23", "bench/amc23.jsonl", 40),
    ("countdown", "countdown/countdown_scored.jsonl", 950),
    ("gsm8k", "bench/gsm8k_test.jsonl", 1319),
    ("humaneval", "code/HumanEval.jsonl.gz", 164),
    ("math_500", "bench/math_500.jsonl", 500),
    ("mbpp", "code/mbpp.jsonl", 500),
    ("olympiadbench", "bench/olympiadbench.jsonl", 675),
]
BOXED = "\nPlease reason step by step, and put your final answer within \\boxed{}."


@pytest.fixture(scope="module")
def plugins():
    return Plugins(
        EntryPoint(name=name, value=name, group="r1cli.plugins")
        for name in ("r1_benchmarks", "r1_data", "r1_engines")
    )


@pytest.fixture(scope="module")
def names(plugins):
    return [name for name in plugins["benchmarks"].names() if name not in FAMILIES]


def problems(name, plugins, **run):
    """The problems as an evaluation sees them, and what is asked."""
    benchmark = bind_benchmark(BenchmarkRun(name=name, **run), plugins, "here")
    found = load_problems(benchmark, plugins, limit=None, name=name)
    return found, [asked[-1]["content"] for asked in prompts(benchmark, found, name)]


def test_all_are_registered(names, plugins):
    assert set(names) == {*PUBLISHED, "countdown", "file"}
    assert not any(plugin.problem or plugin.warnings for plugin in plugins.loaded)


def test_each_is_complete(names, plugins):
    for name in names:
        benchmark = plugins["benchmarks"].get(name).load()
        assert isinstance(benchmark, Benchmark)
        assert benchmark.scorer in ("accuracy", "binary_code", "countdown")
        assert benchmark.votes is (benchmark.scorer != "binary_code")
        assert benchmark.citation and benchmark.system_prompt is None
        if name != "file":
            args = bind_dataset(benchmark.dataset, benchmark.args, plugins, seed=0, where=name)[1]
            assert args
        fields = benchmark.columns or ("problem",)
        asked = benchmark.prompt.format(**dict.fromkeys(fields, "")).replace("\\boxed{}", "")
        assert "{" not in asked


@pytest.mark.parametrize(("name", "n"), PUBLISHED.items())
def test_sampling_is_as_published(plugins, name, n):
    assert plugins["benchmarks"].get(name).load().sampling == Sampling(
        temperature=0.6, top_p=0.95, max_tokens=32768, n=n
    )


@pytest.mark.parametrize(("name", "file", "count"), FILES)
def test_every_problem_of_a_local_copy_renders(plugins, name, file, count):
    if not (DATA / file).exists():
        pytest.skip(f"the real problems are not on this machine: {DATA / file}")
    rows, asked = problems(name, plugins, data=str(DATA / file))
    assert len(asked) == count
    scorer = plugins["benchmarks"].get(name).load().scorer
    for row, prompt in zip(rows, asked, strict=True):
        if name == "countdown":
            assert f"{row['numbers']} with" in prompt and f"is {row['target']}." in prompt
        elif scorer == "accuracy":
            assert prompt == row["problem"] + BOXED
            assert str(row["solution"]).strip()
        else:
            assert row["problem"] in prompt and "```python" in prompt
            assert row.get("test") or row["test_list"]
    if name.startswith("aime"):
        assert all(re.fullmatch(r"\d{1,3}", str(row["solution"])) for row in rows)
    if name == "gsm8k":
        assert all(re.search(r"#### -?[\d,.]+$", row["solution"]) for row in rows)


def test_countdown_asks_what_its_dataset_asks(plugins):
    rows, asked = problems("countdown", plugins)
    assert len(asked) == len(set(asked)) == 1024
    assert asked == [row["prompt"] for row in rows]


# -- families and files ----------------------------------------------------------------------------


def test_a_family_makes_its_members(plugins):
    made = bind_benchmark(BenchmarkRun(name="file", data=__file__), plugins, "here")
    assert made.dataset == "file"
    gym = plugins["benchmarks"].get("reasoning_gym").load()
    assert gym("chain_sum").args["tasks"] == ["chain_sum"]
    with pytest.raises(UsageError, match="needs a task: reasoning_gym:chain_sum"):
        gym("")
    with pytest.raises(UsageError, match="benchmark 'aime24' has no parts; leave out ':hard'"):
        bind_benchmark(BenchmarkRun(name="aime24:hard"), plugins, "here")


def test_a_file_needs_to_be_named(plugins):
    with pytest.raises(UsageError, match="benchmark 'file' at here needs its problems: --data"):
        bind_benchmark(BenchmarkRun(name="file"), plugins, "here")


def test_any_file_by_its_own_columns_and_prompt(plugins, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"q": "2+2", "a": "4"}\n')
    said = {"prompt": "What is {q}?", "columns": {"solution": "a"}}
    rows, asked = problems("file", plugins, data=str(path), **said)
    assert (rows, asked) == ([{"solution": "4", "q": "2+2"}], ["What is 2+2?"])
    with pytest.raises(UsageError, match=r"the prompt of benchmark 'file' wants 'problem'.*q, a"):
        problems("file", plugins, data=str(path))
    with pytest.raises(UsageError, match=r"wants .*a brace that is meant is written twice"):
        problems("file", plugins, data=str(path), prompt="{q} in \\boxed{}")


# -- choices ---------------------------------------------------------------------------------------


def question(number):
    return {
        "Question": f" Question {number}? ",
        **{name: f"{name} of {number}" for name in CHOICES},
        "Subdomain": "none",
    }


def test_choices_are_shuffled_by_a_seed_and_the_gold_follows():
    rows = [question(number) for number in range(400)]
    first, again, other = (list(shuffled(rows, choices_seed=seed)) for seed in (0, 0, 1))
    assert first == again != other
    for number, row in enumerate(first):
        assert row[row["solution"]] == f"Correct Answer of {number}"
        assert {row[letter] for letter in LETTERS} == {f"{name} of {number}" for name in CHOICES}
    counts = Counter(row["solution"] for row in first)
    assert set(counts) == set(LETTERS) and min(counts.values()) > 70
    assert list(shuffled(rows[7:9])) == first[7:9]  # no other row moves it


def test_gpqa_from_a_local_copy(plugins, tmp_path):
    path = tmp_path / "gpqa.jsonl"
    path.write_text("".join(json.dumps(question(number)) + "\n" for number in range(3)))
    rows, asked = problems("gpqa", plugins, data=str(path))
    assert asked[0].endswith(
        "\n\nQuestion 0?\n\n" + "\n".join(f"{x}) {rows[0][x]}" for x in "ABCD")
    )
    moved, _ = problems("gpqa", plugins, data=str(path), args={"choices_seed": 5})
    assert [row["solution"] for row in moved] != [row["solution"] for row in rows]
    path.write_text('{"Question": "?", "answer": "A"}\n')
    with pytest.raises(UsageError, match="rows of benchmark 'gpqa' are not as in its source"):
        problems("gpqa", plugins, data=str(path))


# -- LiveCodeBench ---------------------------------------------------------------------------------


def encoded(tests):
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def contest(day, *, name=None, private=encoded):
    kind = "functional" if name else "stdin"
    return {
        "question_content": f"Add, as on {day}.",
        "contest_date": f"{day}T00:00:00",
        "starter_code": "class Solution:\n    def add(self, a, b):\n" if name else "",
        "metadata": json.dumps({"func_name": name} if name else {}),
        "public_test_cases": json.dumps([{"input": "1\n2", "output": "3", "testtype": kind}]),
        "private_test_cases": private([{"input": "3\n4", "output": "7", "testtype": kind}]),
    }


def test_livecodebench_has_all_tests_and_its_own_prompt():
    plain, method = live.problems([contest("2024-08-01"), contest("2024-09-01", name="add")])
    assert json.loads(plain["tests"]) == [
        {"input": "1\n2", "output": "3", "fn_name": None},
        {"input": "3\n4", "output": "7", "fn_name": None},
    ]
    assert plain["problem"].endswith(live.STDIN)
    assert {test["fn_name"] for test in json.loads(method["tests"])} == {"add"}
    assert "class Solution:" in method["problem"] and method["preamble"] == plain["preamble"]


def test_livecodebench_answers_have_what_its_own_grader_gives_them(monkeypatch):
    limits, names = [], {}
    monkeypatch.setattr(sys, "setrecursionlimit", limits.append)
    exec(live.IMPORTS, names)
    assert limits == [50_000]
    assert {"List", "deepcopy", "defaultdict", "sqrt", "statistics"} <= names.keys()
    assert (names["pow"], names["open"]) == (pow, open)  # and not operator's, nor io's


def test_livecodebench_windows_are_days_both_ends_included():
    days = ["2024-07-31", "2024-08-01", "2024-09-30", "2024-10-01"]
    rows = [contest(day, private=json.dumps) for day in days]
    kept = list(live.problems(rows, start="2024-08-01", end="2024-09-30"))
    assert [row["problem"].partition("as on ")[2][:10] for row in kept] == days[1:3]
    assert len(list(live.problems(rows, start="2024-08-01"))) == 3
    for wrong in ({"start": "2024-9-1"}, {"end": "2024-09"}):  # as text, 2024-9-1 is after October
        with pytest.raises(UsageError, match="is no day for 'lcb'; write it like 2024-09-01"):
            list(live.problems(rows, **wrong))


class Evil:
    def __reduce__(self):
        return print, ("run by a download",)


def test_a_hidden_test_that_is_more_than_text_is_not_loaded(capsys):
    evil = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    with pytest.raises(ValueError, match=r"a hidden test holds a builtins\.print"):
        live.hidden(evil)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "text", ["", base64.b64encode(b"hello").decode(), encoded([{}])[:-8], "aGVsbG8h!!"]
)
def test_hidden_tests_that_are_damaged_are_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"\S"):
        live.hidden(text)


def test_a_final_answer_may_be_a_text_of_its_own():
    rows = [{"final_answer": "$12$"}, {"final_answer": ["$12$"]}, {"final_answer": ["1", "2"]}]
    assert [row["solution"] for row in with_solution(rows)] == ["12", "12", "1, 2"]


@pytest.mark.parametrize("name", ["gpqa", "humaneval"])
def test_a_row_with_nothing_where_text_should_be_is_said(plugins, tmp_path, name):
    row = {**dict.fromkeys(["Question", *CHOICES]), "prompt": None, "entry_point": "f"}
    (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n")
    said = BenchmarkRun(name=name, data=str(tmp_path / "d.jsonl"))
    bound = bind_benchmark(said, plugins, "here")
    with pytest.raises(UsageError, match=f"the rows of benchmark '{name}' are not as in its"):
        load_problems(bound, plugins, limit=None, name=name)


def test_livecodebench_asks_as_others_do():
    path = DATA / "code" / "livecodebench_v5_prompts.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        said = row["prompt"]
        inside = re.fullmatch(
            re.escape(live.QUESTION)
            .replace(re.escape("{question}"), "(?P<question>.*)")
            .rstrip("\\\n")
            + r"\s*(?P<rest>You will use the following starter code .*|Read the inputs from .*)",
            said,
            re.S,
        )
        assert inside, said[-300:]
        starter = re.search(r"```python\n(.*?)\n```", inside["rest"], re.S)[1]
        kind = live.STDIN if "Read the inputs" in inside["rest"] else live.STARTER
        assert inside["rest"].strip() == kind.format(starter=starter).strip()
    assert min(row["contest_date"] for row in rows) >= "2024-08-01"
