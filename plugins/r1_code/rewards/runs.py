"""Tests on stdin and stdout: run in the sandbox, compared here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from r1_code.rewards.checker import Checker
from r1_code.rewards.comparers import Equal
from r1_code.rewards.running import LATE, passed, picked, run
from r1_code.rewards.tests_of import Run, Runs
from r1cli import Execution, Input, Limits, Program

if TYPE_CHECKING:
    from r1cli import CodeService


async def share_of_runs(
    service: CodeService,
    source: str,
    language: str,
    tests: Runs,
    *,
    judge: Equal | Checker,
    limits: Limits,
    most: int | None = None,
    all_or_nothing: bool = False,
) -> float:
    """The share of the tests that the program passes, in [0, 1]; 0 where it does not compile.

    A test passes when the program ends by itself with exit code 0, within its limits, and `judge`
    accepts what it printed.
    """
    chosen = [tests.tests[i] for i in picked(len(tests.tests), most)]
    order = sorted(range(len(chosen)), key=lambda i: len(chosen[i].stdin))
    longest = max(len(test.expected) for test in chosen)
    limits = replace(limits, output_bytes=max(limits.output_bytes, 2 * longest))

    async def shares(numbers: Sequence[int]) -> list[float]:
        part = [chosen[i] for i in numbers]
        program = Program(
            language,
            source,
            [Input(test.stdin) for test in part],
            limits=limits,
            stop_at_failure=all_or_nothing,
        )
        done = list(await run(service, program))
        ended = done + [Execution("runtime_error")] * (len(part) - len(done))
        if isinstance(judge, Checker):
            return await judge.shares(service, part, ended)
        return [_share(test, execution, judge) for test, execution in zip(part, ended, strict=True)]

    return await passed(order, shares, all_or_nothing=all_or_nothing)


def _share(test: Run, execution: Execution, equal: Equal) -> float:
    if execution.status == "time_limit":
        return LATE
    good = execution.status == "ok" and not execution.truncated
    return float(good and equal(test.expected, execution.stdout))
