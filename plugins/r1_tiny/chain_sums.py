"""Chained sums: a task too long to do in the head and easy one step at a time.

`Compute 8 + 1 + 1 + 2 - 4 + 8 - 7.` has one-digit terms, and every running total lies in
0..highest. All demonstrations are correct; they differ only in how much of the work stands inside
<think>:

    full    <think>8+1=9+1=10+2=12-4=8+8=16-7=9</think><answer>9</answer>
    half    <think>8+1=9+1=10+2=12</think><answer>9</answer>
    none    <think></think><answer>9</answer>

A model started on the mixture imitates all three. Only the full work is reliable for a model this
small, so a reward for the right answer alone is enough to make it think longer.

A term of the prompt (` + 1`) and a step of the work (`+1=9`) are four tokens each. So a step finds
its term always at the same distance, which is what makes the work learnable in a minute; the wide
spacing also keeps the sum hard to see at a glance.
"""

from __future__ import annotations

import hashlib
import random
from typing import Literal

from r1cli import UsageError

HELD_OUT_PERCENT = 10
WORK_SHOWN = {"full": 1.0, "half": 0.5, "none": 0.0}  # the share of the steps inside <think>
TERMS = range(2, 21)
HIGHEST = range(9, 100)  # below 9 a first term may already be too large; 99 is the last one token


def chain_sums(
    *,
    split: Literal["train", "test"] = "train",
    size: int = 1000,
    terms: int = 7,
    highest: int = 20,
    seed: int = 0,
    demos: dict[str, float] | None = None,
) -> list[dict[str, str]]:
    """Return `size` rows of `prompt` and `solution`, and of `completion` where `demos` is given.

    `demos` maps the kinds of demonstration (full, half, none) to their weights in the mixture.
    Problems are drawn independently. A hash of the expression decides its split, so no test
    problem is ever a training problem, whatever the seeds. The seed fixes every row, and
    demonstrated problems are other ones than those without demonstrations.
    """
    _check(split=split, size=size, terms=terms, highest=highest, demos=demos)
    # With and without demonstrations are two streams: what is reinforced was not demonstrated.
    stream = "demos" if demos else "problems"
    rng = random.Random(f"chain_sums {split} {stream} {seed}")  # a string seeds alike everywhere
    problems = [_problem(rng, split, terms, highest) for _ in range(size)]
    rows = [
        {"prompt": _prompt(problem), "solution": str(totals(problem)[-1])} for problem in problems
    ]
    if demos is not None:
        kinds = rng.choices(list(demos), weights=list(demos.values()), k=size)
        for row, problem, kind in zip(rows, problems, kinds, strict=True):
            row["completion"] = demonstration(problem, kind)
    return rows


def totals(problem: list[str]) -> list[int]:
    """The running totals: `["8", "+1", "-4"]` gives `[8, 9, 5]`."""
    running = [int(problem[0])]
    for term in problem[1:]:
        running.append(running[-1] + int(term))
    return running


def demonstration(problem: list[str], kind: str) -> str:
    """A correct completion whose <think> holds the first steps: all of them, half, or none."""
    running = totals(problem)
    steps = [f"{term}={total}" for term, total in zip(problem[1:], running[1:], strict=True)]
    shown = steps[: int(len(steps) * WORK_SHOWN[kind])]
    work = "".join(problem[:1] + shown) if shown else ""
    return f"<think>{work}</think><answer>{running[-1]}</answer>"


def is_held_out(expression: str) -> bool:
    """Whether an expression such as `8+1-4` belongs to the test split, whatever the seed."""
    digest = hashlib.sha256(expression.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT


def _prompt(problem: list[str]) -> str:
    terms = problem[:1] + [f"{term[0]} {term[1]}" for term in problem[1:]]
    return f"Compute {' '.join(terms)}."


def _problem(rng: random.Random, split: str, terms: int, highest: int) -> list[str]:
    while True:
        problem = [str(rng.randint(1, 9))]
        total = int(problem[0])
        while len(problem) < terms:
            term = rng.choice((-1, 1)) * rng.randint(1, 9)
            if 0 <= total + term <= highest:
                problem.append(f"{term:+d}")
                total += term
        if is_held_out("".join(problem)) == (split == "test"):
            return problem


def _check(*, split, size, terms, highest, demos) -> None:
    if split not in ("train", "test"):
        raise UsageError(f"chain_sums has no split {split!r}: use train or test")
    if size < 1:
        raise UsageError(f"chain_sums cannot draw size={size} rows: use 1 or more")
    for name, value, allowed in (("terms", terms, TERMS), ("highest", highest, HIGHEST)):
        if value not in allowed:
            raise UsageError(
                f"chain_sums cannot use {name}={value}: use {allowed[0]} to {allowed[-1]}"
            )
    if demos is None:
        return
    if unknown := sorted(set(demos) - set(WORK_SHOWN)):
        raise UsageError(
            f"chain_sums has no kind of demonstration {unknown[0]!r}: use {', '.join(WORK_SHOWN)}"
        )
    if any(weight < 0 for weight in demos.values()) or sum(demos.values()) <= 0:
        raise UsageError(
            f"chain_sums cannot mix demos={demos}: use weights of 0 or more, not all of them 0"
        )
