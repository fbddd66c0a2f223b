"""Programs run for a reward: broken infrastructure raises, tests go cheap-first and in chunks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from r1cli import Execution, Program, ProviderError

if TYPE_CHECKING:
    from r1cli import CodeService

FIRST = 4  # tests in the first chunk, where a failure ends it

LATE = float("nan")
"""The share of a test that was stopped for its time; it counts as 0."""


async def run(service: CodeService, program: Program) -> Sequence[Execution]:
    """One execution per input, except after a failure that stops the program, or its compiler.

    Raises ProviderError where the sandbox broke, which says nothing of the program.
    """
    [result] = await service.arun([program])
    if result.broken:
        broken = next(e for e in (result.compilation, *result.executions) if e and is_broken(e))
        raise ProviderError(f"code provider {service.name!r} failed: {broken.message}")
    return result.executions


def is_broken(execution: Execution) -> bool:
    return execution.status == "sandbox_error"


def picked(count: int, most: int | None) -> list[int]:
    """The numbers of all tests, or of `most` of them, spread evenly."""
    if most is None or most >= count:
        return list(range(count))
    return [i * count // most for i in range(most)]


async def passed(
    order: Sequence[int],
    judge: Callable[[Sequence[int]], Awaitable[Sequence[float]]],
    *,
    all_or_nothing: bool,
) -> float:
    """The share of the tests in `order` that pass, as `judge(numbers)` finds, in [0, 1].

    The first few are judged alone. No more are where nothing can change the score
    (`all_or_nothing`, and one failed), or where every one of them ran out of time.
    """
    total = 0.0
    for part in filter(None, (order[:FIRST], order[FIRST:])):
        shares = await judge(part)
        total += sum(share for share in shares if share > 0)
        if all_or_nothing and any(not share >= 1 for share in shares):
            return 0.0
        if all(share != share for share in shares):
            break
    share = total / len(order)
    return share if share < 1 or total >= len(order) else 1.0
