"""`r1 eval` from end to end on real problems: right, empty and shuffled answers, published scores,
a real (random) model. Skipped where the data are not on this machine."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")

MBPP_WRONG = {367}
"""Its solution uses a class before there is one."""

OLYMPIAD_UNREADABLE = {34, 96}
"""Golds `m_{\\max} = ...` and `t(0,4]`: these problems are left out and counted."""
OLYMPIAD_PROSE = {73}
"""A gold of two sentences, which no answer but the same two equals."""


def read(name: str) -> list[dict]:
    path = DATA / name
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line) for line in lines]


def boxed(row: dict) -> str:
    answer = row.get("expected_answer", row.get("answer"))
    return f"So it is $\\boxed{{{answer}}}$."


def final(row: dict) -> str:
    return f"So it is $\\boxed{{{', '.join(row['final_answer']).replace('$', '')}}}$."


def program(row: dict) -> str:
    source = row.get("code") or row["prompt"] + row["canonical_solution"]
    return f"<think>easy</think>Here it is:\n```python\n{source}\n```"


MATHS = [
    ("aime24", "bench/aime24.jsonl", boxed),
    ("aime25", "bench/aime25.jsonl", boxed),
    ("amc23", "bench/amc23.jsonl", boxed),
    ("gsm8k", "bench/gsm8k_test.jsonl", lambda row: row["answer"]),
    ("math_500", "bench/math_500.jsonl", boxed),
    ("olympiadbench", "bench/olympiadbench.jsonl", final),
]
CODE = [
    ("humaneval", "code/HumanEval.jsonl.gz", program),
    ("mbpp", "code/mbpp.jsonl", program),
]


@pytest.fixture
def score(r1, tmp_path):
    """`score("gsm8k", file, rows, ...)`: the score of the rows as stored completions."""

    def score(name, file, rows, *more):
        (tmp_path / "given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = ("--data", DATA / file, "--completions", "given.jsonl", "--out", "out")
        done = r1("eval", name, *given, *more, "--json")
        assert done.exit_code == 0, done.stderr
        [found] = json.loads(done.stdout)
        return found

    return score


@pytest.mark.parametrize(("name", "file", "answer"), MATHS)
def test_right_answers_are_all_empty_and_shuffled_ones_are_not(name, file, answer, score):
    rows = read(file)[:30]
    answers = [answer(row) for row in rows]
    limit = ("--limit", len(rows))
    right = score(name, file, [{"completion": text} for text in answers], *limit)
    assert (right["mean"], right["unparseable"], right["not_applicable"]) == (1.0, 0.0, 0)
    empty = score(name, file, [{"completion": ""} for _ in rows], *limit)
    assert (empty["mean"], empty["unparseable"]) == (0.0, 1.0)
    random.Random(0).shuffle(answers)
    assert score(name, file, [{"completion": text} for text in answers], *limit)["mean"] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file", "answer"), MATHS)
def test_all_right_answers(name, file, answer, score, tmp_path):
    rows = read(file)
    found = score(name, file, [{"completion": answer(row)} for row in rows])
    wrong = {problem for (problem, _), right in verdicts(tmp_path).items() if not right}
    assert wrong == (OLYMPIAD_UNREADABLE | OLYMPIAD_PROSE if name == "olympiadbench" else set())
    assert (found["problems"], found["not_applicable"]) == (
        len(rows),
        len(OLYMPIAD_UNREADABLE) if name == "olympiadbench" else 0,
    )


@pytest.mark.parametrize(("name", "file", "answer"), CODE)
def test_canonical_programs_pass_and_empty_ones_do_not(name, file, answer, score):
    rows = [row for row in read(file) if name == "humaneval" or row["task_id"] > 10][:6]
    halves = [{"completions": [answer(row), "no program", "```python\nx = 1\n```"]} for row in rows]
    found = score(name, file, halves, "--limit", len(rows), "--k", "1,3")
    assert found["mean"] == pytest.approx(1 / 3)
    assert found["unparseable"] == pytest.approx(1 / 3)
    assert found["pass_at"]["3"]["mean"] == 1.0 and found["majority"] is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file", "answer"), CODE)
def test_all_canonical_programs_pass(name, file, answer, score, tmp_path):
    tasks = [row for row in read(file) if name == "humaneval" or 10 < row["task_id"] <= 510]
    found = score(name, file, [{"completion": answer(row)} for row in tasks])
    [path] = (tmp_path / "out" / "eval").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    wrong = {tasks[row["problem"]]["task_id"] for row in rows if row["score"] != 1}
    assert wrong == (MBPP_WRONG if name == "mbpp" else set())
    assert found["problems"] == len(tasks)


@pytest.mark.parametrize(("name", "percent"), [("gsm8k", 86.6), ("amc23", 42.5), ("aime24", 6.7)])
def test_published_scores_of_qwen(name, percent, score, tmp_path):
    """Every verdict is the publisher's, so there is no disagreement to explain."""
    file = {"gsm8k": "bench/gsm8k_test.jsonl"}.get(name, f"bench/{name}.jsonl")
    rows = read(f"graded/qwen25_3b_instruct_{name}.jsonl")
    shuffled = random.Random(1).sample(rows, len(rows))  # matched by their question
    found = score(name, file, shuffled, "--completion-column", "code")
    assert round(100 * found["mean"], 1) == percent
    assert verdicts(tmp_path) == {(row["idx"], 0): row["score"][0] for row in rows}


def test_published_scores_of_llama(score, tmp_path):
    rows = read("graded/llama32_3b_aime24_avg50.jsonl")
    given = [
        {
            "question": row["question"],
            "completion": [sample["full_model_response"] for sample in row["completions"]],
        }
        for row in rows
    ]
    found = score("aime24", "graded/llama32_3b_aime24_avg50.jsonl", given, "--k", "1,8,50")
    published = {
        (number, s): sample["score"] == 1
        for number, row in enumerate(rows)
        for s, sample in enumerate(row["completions"])
    }
    assert verdicts(tmp_path) == published
    assert found["label"] == "avg@50"
    assert found["mean"] == pytest.approx(sum(published.values()) / len(published))
    assert found["pass_at"]["1"]["mean"] == pytest.approx(found["mean"])
    solved = {number for (number, _), right in published.items() if right}
    assert found["pass_at"]["50"]["mean"] == pytest.approx(len(solved) / 30)


@pytest.mark.parametrize(
    ("model", "percent"), [("6b_finetuning", 21.68), ("175b_verification", 56.25)]
)
def test_published_scores_of_openai(model, percent, score, tmp_path):
    """`A:` is that file's `####`."""
    rows = read("graded/gsm8k_openai_example_solutions.jsonl")
    given = [
        {
            "question": row["question"],
            "completion": row[model]["solution"].replace("\nA: ", "\n#### "),
        }
        for row in rows
    ]
    found = score("gsm8k", "bench/gsm8k_test.jsonl", given)
    assert round(100 * found["mean"], 2) == percent
    assert verdicts(tmp_path) == {(n, 0): row[model]["is_correct"] for n, row in enumerate(rows)}


def verdicts(folder: Path) -> dict[tuple[int, int], bool]:
    [path] = (folder / "out" / "eval").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {(row["problem"], row["sample"]): row["score"] == 1 for row in rows}


@pytest.mark.train
@pytest.mark.parametrize(
    "name",
    [
        "aime25",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("math_500", "gsm8k", "aime24")),
    ],
)
def test_a_random_model_scores_next_to_nothing_and_every_sample_is_kept(name, r1, tmp_path):
    from r1_tiny.model import r1_tiny_blank

    file = {"gsm8k": "gsm8k_test"}.get(name, name)
    data = DATA / "bench" / f"{file}.jsonl"
    given = ("eval", name, "--data", data, "--model", r1_tiny_blank(), "--out", "out")
    done = r1(*given, "--limit", 4, "--n", 2, "--max-tokens", 8, "--json")
    assert done.exit_code == 0, done.stderr
    [found] = json.loads(done.stdout)
    assert (found["problems"], found["samples"], found["not_applicable"]) == (4, 2, 0)
    assert 0.0 <= found["low"] <= found["mean"] <= 0.5 <= found["high"] + 0.5
    assert len(verdicts(tmp_path)) == 8
    more = r1(*given, "--limit", 4, "--n", 3, "--max-tokens", 8, "--json")
    assert json.loads(more.stdout)[0]["samples"] == 3
    assert len(verdicts(tmp_path)) == 12  # four were added, none was drawn again
