"""Countdown: combine given numbers with + - * / so that the result is a given target.

    numbers [19, 36, 55, 7], target 65  ->  ((55 + 36) - 19) - 7

The task, with 3 or 4 numbers of 1..100, is TinyZero's (github.com/Jiayi-Pan/TinyZero), the wording
is not. A problem is drawn by combining the numbers until one is left, so each one can be solved,
with every intermediate result a positive integer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from r1cli import UsageError, problem_hash

HELD_OUT_PERCENT = 10
COUNTS = range(2, 9)
PATIENCE = 20_000  # draws in a row without a new problem before the settings are given up on

PROMPT = (
    "Combine the numbers {numbers} with +, -, * and / so that the result is {target}. Use each "
    "number exactly once; parentheses are allowed. Think inside <think> </think> tags, then give "
    "the expression alone inside <answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>."
)


@dataclass(frozen=True)
class Solution:
    """One way to combine the numbers: `steps` such as `55 + 36 = 91`, and all in one line."""

    value: int
    expression: str
    steps: tuple[str, ...]


def countdown(
    *,
    split: Literal["train", "test"] = "train",
    size: int = 1000,
    difficulty: int | None = None,
    numbers: int | Sequence[int] = (3, 4),
    highest: int = 100,
    targets: tuple[int, int] = (10, 100),
    seed: int = 0,
    demos: bool = False,
) -> list[dict[str, Any]]:
    """Return `size` distinct problems: `prompt`, `numbers` and `target`.

    `numbers` is how many numbers a problem has (2 to 8), one count or several to draw from;
    `difficulty` 0 to 6 says it in its place, 0 is two numbers. They lie in 1..`highest`, the target
    in `targets`, both ends included. `demos` adds `completion`: a correct demonstration, with up to
    two wrong tries before the right one. Which split a problem belongs to is decided by a hash of
    its sorted numbers and target, so no test problem is ever a training problem, whatever the seeds
    and sizes. The arguments fix every row; the problems do not depend on `demos`, and a smaller
    `size` is the beginning of a larger one. Raises UsageError where the settings do not allow
    `size` different problems.
    """
    if difficulty is not None:
        hardest = COUNTS[-1] - COUNTS[0]
        if not 0 <= difficulty <= hardest:
            raise UsageError(f"countdown has no difficulty {difficulty}: use 0 to {hardest}")
        numbers = COUNTS[0] + difficulty
    counts = [numbers] if isinstance(numbers, int) else list(numbers)
    _check(split=split, size=size, counts=counts, highest=highest, targets=targets)
    rng = random.Random(f"countdown {split} {seed}")  # a string seeds alike in every process
    demo_rng = random.Random(f"countdown demos {split} {seed}")
    rows: list[dict[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    idle = 0
    while len(rows) < size:
        given = [rng.randint(1, highest) for _ in range(rng.choice(counts))]
        solution = combine(rng, given)
        target = solution.value
        key = (*sorted(given), target)
        fits = targets[0] <= target <= targets[1] and key not in seen
        if not fits or is_held_out(given, target) != (split == "test"):
            idle += 1
            if idle > PATIENCE:
                raise UsageError(_exhausted(len(rows), split, size, counts, highest, targets))
            continue
        idle = 0
        seen.add(key)
        row = {
            "prompt": PROMPT.format(numbers=given, target=target),
            "numbers": given,
            "target": target,
        }
        if demos:
            row["completion"] = demonstration(demo_rng, given, solution)
        rows.append(row)
    return rows


def combine(rng: random.Random, numbers: Sequence[int]) -> Solution:
    """Combine two numbers at random until one is left; intermediate results stay above zero."""
    pool = [(number, str(number)) for number in numbers]
    steps = []
    while len(pool) > 1:
        picked = sorted((pool.pop(rng.randrange(len(pool))) for _ in "ab"), reverse=True)
        (a, left), (b, right) = picked
        results = {"+": a + b, "*": a * b}
        if a > b:
            results["-"] = a - b
        if a % b == 0:
            results["/"] = a // b
        operator = rng.choice(list(results))
        steps.append(f"{a} {operator} {b} = {results[operator]}")
        pool.append((results[operator], f"({left} {operator} {right})"))
    value, expression = pool[0]
    return Solution(value, expression[1:-1], tuple(steps))


def demonstration(rng: random.Random, numbers: Sequence[int], solution: Solution) -> str:
    """A completion that tries, sees what is wrong, and ends with `solution`."""
    target = solution.value
    tries = [combine(rng, numbers) for _ in range(rng.randrange(3))]
    lines = [f"I have {', '.join(map(str, numbers))} and want {target}."]
    for wrong in tries:
        if wrong.value != target:
            lines.append(f"Try {', '.join(wrong.steps)}. That is {wrong.value}, not {target}.")
    lines.append(f"Try {', '.join(solution.steps)}. That is {target}.")
    work = "\n".join(lines)
    return f"<think>\n{work}\n</think>\n<answer>{solution.expression}</answer>"


def is_held_out(numbers: Sequence[int], target: int) -> bool:
    """Whether a problem belongs to the test split, in whatever order its numbers are written."""
    return int(problem_hash([sorted(numbers), target]), 16) % 100 < HELD_OUT_PERCENT


def _check(
    *, split: str, size: int, counts: list[int], highest: int, targets: tuple[int, int]
) -> None:
    if split not in ("train", "test"):
        raise UsageError(f"countdown has no split {split!r}: use train or test")
    if size < 1:
        raise UsageError(f"countdown cannot draw size={size} rows: use 1 or more")
    for count in counts or [0]:
        if count not in COUNTS:
            raise UsageError(
                f"countdown cannot use numbers={counts}: use counts of {COUNTS[0]} to {COUNTS[-1]}"
            )
    if highest < 1:
        raise UsageError(f"countdown cannot use highest={highest}: use 1 or more")
    if not 1 <= targets[0] <= targets[1]:
        raise UsageError(
            f"countdown cannot use targets={list(targets)}: use [lowest, highest], lowest 1 or more"
        )


def _exhausted(
    found: int, split: str, size: int, counts: list[int], highest: int, targets: tuple[int, int]
) -> str:
    return (
        f"countdown found {found} different {split} problems, not size={size}, for "
        f"numbers={counts}, highest={highest}, targets={list(targets)}: "
        "lower size, raise highest or widen targets"
    )
