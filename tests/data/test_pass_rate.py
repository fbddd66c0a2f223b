"""`r1 data pass-rate`: a real store and real rewards, with an engine whose answers are known."""

import json
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from r1cli.commands import data_pass_rate
from r1cli.data.pass_rate import Bounds, estimate
from r1cli.plugins import builtin_plugins
from r1cli.registry import Entry
from r1cli.types import Completion

COUNT = 6
asked = []


class Engine:
    """Solves problem p in p of every 4 samples, whichever they are."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def generate(self, prompts, sampling):
        answers = []
        for prompt in prompts:
            number = int(prompt[-1]["content"].split()[-1])
            turn = sum(one == number for one in asked)
            asked.append(number)
            right = turn % 4 < number
            answers.append([Completion(f"\\boxed{{{number if right else 99}}}", tokens=3)])
        return answers


def engine(*, model: str):
    return Engine()


@pytest.fixture(autouse=True)
def _prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked.clear()
    rows = [{"prompt": f"Say {n}", "solution": str(n)} for n in range(5)]
    rows.append({"prompt": "Say 4", "solution": "no number at all"})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "model").mkdir()
    plugins = builtin_plugins()
    plugins["engines"].add(Entry("engines", "known", engine, "", "test", False))
    monkeypatch.setattr(data_pass_rate, "installed_plugins", lambda: plugins)


def run(r1, *args, exit_code=0):
    given = (
        "rows.jsonl",
        "--model",
        "model",
        "--engine",
        "known",
        "--n",
        4,
        "--reward",
        "accuracy",
    )
    answer = r1("data", "pass-rate", *given, "--json", *args)
    assert answer.exit_code == exit_code, answer.stderr
    return json.loads(answer.stdout) if not exit_code else answer.stderr


def read(name):
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


def test_rated_again_a_file_takes_the_new_rates_whatever_the_old_ones_were(tmp_path, r1):
    """Null where nothing was judged, or whole numbers: Parquet would keep those types."""
    old = [{"prompt": "Say 2", "solution": "2", "pass_rate": None, "pass_rate_scores": []}]
    (tmp_path / "rows.jsonl").write_text(json.dumps(old[0]) + "\n")
    run(r1, "--out", "out.parquet")
    from pyarrow import parquet

    [row] = parquet.read_table("out.parquet").to_pylist()
    assert (row["pass_rate"], row["pass_rate_scores"]) == (0.5, [1.0, 1.0, 0.0, 0.0])


def test_a_folder_that_is_read_gets_no_more_rows(tmp_path, r1):
    given = ("--model", "model", "--engine", "known", "--reward", "accuracy")
    answer = r1("data", "pass-rate", tmp_path, *given, "--out", "out.jsonl")
    assert answer.exit_code == 2
    assert "--out out.jsonl is in a folder that is read" in answer.stderr


def test_rows_between_the_bounds_are_kept_and_no_row_is_lost_unsaid(r1):
    said = run(r1, "--out", "kept.jsonl", "--rates", "all.jsonl", "--min", 0.25, "--max", 0.75)
    assert {key: said[key] for key in ("rows", "kept", "never", "always", "sampled")} == {
        "rows": COUNT,
        "kept": 3,
        "never": 1,
        "always": 1,
        "sampled": 4 * COUNT,
    }
    assert said["unjudged_rows"] == [6]
    assert [row["pass_rate"] for row in read("all.jsonl")] == [0, 0.25, 0.5, 0.75, 1, None]
    assert [row["prompt"] for row in read("kept.jsonl")] == ["Say 1", "Say 2", "Say 3"]
    assert sorted(read("kept.jsonl")[0]["pass_rate_scores"]) == [0, 0, 0, 1]


def test_asked_again_nothing_is_sampled_and_other_bounds_cost_nothing(r1):
    run(r1, "--out", "a.jsonl")
    said = run(r1, "--out", "b.jsonl", "--min", 0.25, "--max", 0.75, "--exclusive")
    assert (said["sampled"], said["from_store"]) == (0, 4 * COUNT)
    assert [row["prompt"] for row in read("b.jsonl")] == ["Say 2"]
    assert run(r1, "--n", 6)["sampled"] == 2 * COUNT


def test_shards_share_a_store_and_the_whole_is_written_from_it(r1):
    said = [run(r1, "--shard", f"{i}/2", "--out", "kept.jsonl") for i in range(2)]
    assert [one["rows"] for one in said] == [3, 3]
    with pytest.raises(FileNotFoundError):
        read("kept.jsonl")
    assert run(r1, "--out", "kept.jsonl", "--min", 0.1)["sampled"] == 0
    assert len(read("kept.jsonl")) == 3


def test_parquet_keeps_its_types(r1):
    import pyarrow as pa
    from pyarrow import parquet

    solution = pa.array([2**64 - 1, 1], pa.uint64())
    parquet.write_table(pa.table({"prompt": ["Say 2", "Say 1"], "solution": solution}), "a.parquet")
    given = ("--model", "model", "--engine", "known", "--n", 1, "--reward", "format", "--min", 0)
    assert r1("data", "pass-rate", "a.parquet", *given, "--out", "b.parquet").exit_code == 0
    assert parquet.read_table("b.parquet")["solution"].type == pa.uint64()


def test_weights_are_honoured_with_several_rewards(r1):
    given = ("--reward", "format", "--weight", "accuracy=3", "--rates", "all.jsonl")
    said = run(r1, *given, "--keep-unjudged", "--min", 0.75, "--out", "kept.jsonl")
    # format is 0 throughout, and the only one to judge the last row
    assert [row["pass_rate"] for row in read("all.jsonl")] == [
        *(pytest.approx(0.75 * share / 4) for share in range(5)),
        0,
    ]
    assert said["unjudged"] == 0
    assert [row["prompt"] for row in read("kept.jsonl")] == ["Say 4"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--min", 0.9, "--max", 0.1), "--min 0.9 is above --max 0.1"),
        (("--min", "nan"), "--min nan is above --max 0.9, or one of them is no number"),
        (("--out", "a.jsonl", "--rates", "./a.jsonl"), "are both a.jsonl"),
        (("--k", 5), "--k 5 needs as many samples"),
        (("--k", 2, "--temperature", 0), "--temperature 0 draws one"),
        (("--weight", "accuracy=-1"), "reward 'accuracy' has weight -1"),
        (("--weight", "acuracy=1"), "did you mean 'accuracy'?"),
        (("--weight", "accuracy=x"), "not of the form REWARD=NUMBER"),
        (("--shard", "2/2"), "2/2"),
        (("--prompt-column", "promt"), "did you mean 'prompt'?"),
        (("--out", "kept.txt"), "rows are written as .jsonl"),
        (("--out", "rows.jsonl"), "--out rows.jsonl is what is read"),
        (("--rates", "./rows.jsonl"), "--rates rows.jsonl is what is read"),
    ],
)
def test_what_cannot_be_done(r1, args, said):
    assert said in run(r1, *args, exit_code=2)
    assert not asked


def test_the_rate_is_unbiased():
    assert estimate([1, 0, 0, 1]) == 0.5
    assert estimate([1, 0, 0, 1], k=2) == pytest.approx(1 - 1 / 6)
    assert estimate([0.5, 0.2], k=1) == pytest.approx(0.35)
    assert estimate([0.5, 1.0], k=2, threshold=0.6) == 1
    assert estimate([]) is None
    assert estimate([1.0], k=2) is None


def test_bounds():
    assert [Bounds(0.1, 0.9).hold(x) for x in (0.1, 0.5, 0.9, 0.95)] == [True, True, True, False]
    assert [Bounds(0.1, 0.9, False).hold(x) for x in (0.1, 0.5, 0.9)] == [False, True, False]
    rounded = estimate([1.0] + [0.0] * 9, k=2)
    assert rounded < 0.2
    assert Bounds(0.2, 0.9).hold(rounded)
    assert not Bounds(0.1, 0.2, False).hold(rounded)
