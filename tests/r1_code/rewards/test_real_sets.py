"""Real test sets: what their authors wrote passes, and what was done to it fails."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
from pathlib import Path

import pytest

from r1_code.rewards.binary_code import binary_code
from r1_code.rewards.code import code_reward

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "code"
MBPP_WRONG = {367, 927}  # they use a class of the solution before there is one
NEEDS_A_PACKAGE = {"minimize-manhattan-distances"}  # sortedcontainers
SAMPLE = 10


def humaneval():
    """(name, program, columns) of each task."""
    for row in read("HumanEval.jsonl.gz"):
        columns = {"test": row["test"], "entry_point": row["entry_point"]}
        yield (
            row["task_id"],
            row["prompt"] + row["canonical_solution"],
            {**columns, "preamble": row["prompt"]},
        )


def mbpp():
    for row in read("mbpp.jsonl"):
        columns = {name: row[name] for name in ("test_list", "test_setup_code")}
        yield row["task_id"], row["code"], columns


def leetcode():
    for row in read("leetcode_test.jsonl.gz"):
        columns = {"test": row["test"], "entry_point": row["entry_point"]}
        yield row["task_id"], row["completion"], {**columns, "preamble": row["prompt"]}


def read(name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line) for line in lines]


class Returns(ast.NodeTransformer):
    """Every result inside a tuple with something more."""

    def visit_Return(self, node):
        value = node.value or ast.Constant(None)
        return ast.Return(ast.Tuple([value, ast.Constant(0)], ast.Load()))


def mutated(program):
    return ast.unparse(ast.fix_missing_locations(Returns().visit(ast.parse(program))))


def judged(code, tasks, reward=code_reward):
    """The score of each task, by name; a few at a time."""
    scores = {}

    async def score_all():
        turn = asyncio.Semaphore(4)

        async def score(name, program, columns):
            async with turn:
                data = {column: [value] for column, value in columns.items()}
                text = [f"```python\n{program}\n```"]
                [scores[name]] = await reward(text, **data, code=code, seconds=20.0)

        await asyncio.gather(*(score(*task) for task in tasks))

    asyncio.run(score_all())
    return scores


def some(tasks):
    tasks = [*tasks]
    return tasks[:: len(tasks) // SAMPLE]


@pytest.mark.parametrize("tasks", [humaneval, mbpp, leetcode])
def test_a_sample_passes_and_its_mutants_fail(code, tasks):
    chosen = [t for t in some(tasks()) if t[0] not in MBPP_WRONG | NEEDS_A_PACKAGE]
    assert len(chosen) >= SAMPLE
    assert {n: s for n, s in judged(code, chosen).items() if s != 1} == {}
    mutants = [(name, mutated(program), columns) for name, program, columns in chosen]
    assert {n: s for n, s in judged(code, mutants, binary_code).items() if s != 0} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tasks", "known"),
    [(humaneval, set()), (mbpp, MBPP_WRONG), (leetcode, NEEDS_A_PACKAGE)],
)
def test_all_pass(code, tasks, known):
    scores = judged(code, tasks())
    assert {name for name, score in scores.items() if score != 1} == known
    assert None not in scores.values()


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [humaneval, mbpp, leetcode])
def test_all_mutants_fail(code, tasks):
    mutants = [(name, mutated(program), columns) for name, program, columns in tasks()]
    assert {n: s for n, s in judged(code, mutants, binary_code).items() if s != 0} == {}


def test_code_contests_samples_are_runs(code):
    rows = read("code_contests_test.jsonl")
    nothing = [(i, "pass", {"tests": row["tests"]}) for i, row in enumerate(rows[:SAMPLE])]
    assert {*judged(code, nothing).values()} == {0.0}
    [row] = [r for r in rows if r["tests"]["inputs"][0].startswith("5 2\nAA")]
    solution = (
        "n, m = map(int, input().split())\n"
        "books = []\n"
        "for i in range(n):\n"
        "    turned = [ord(c) * (-1) ** k for k, c in enumerate(input())]\n"
        "    books.append((turned, i + 1))\n"
        "print(*(i for _, i in sorted(books)))"
    )
    assert judged(code, [("sorted", solution, {"tests": row["tests"]})]) == {"sorted": 1.0}
