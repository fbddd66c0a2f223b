"""Test code judged without ever meeting the solution: calls are collected, answered, replayed.

1. The judge runs the tests with stand-ins and says which calls each would make. That depends on the
   tests alone, so the service remembers it for a whole group.
2. The solution answers those calls in a sandbox of its own.
3. The judge runs the tests again on the answers, and says which hold. Where a test then asks for
   more, the two go on for some rounds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from r1_code.rewards.calls.playing import Answer, AskedCall, play
from r1_code.rewards.calls.programs import judge
from r1_code.rewards.running import LATE, passed, picked, run
from r1_code.rewards.tests_of import Asserts
from r1cli import Input, Limits, Program

if TYPE_CHECKING:
    from r1cli import CodeService

ROUNDS = 8
LIMITS = Limits(cpu_seconds=20, memory_mb=1024, output_bytes=32 << 20)

Asked = dict[int, list[AskedCall]]
"""The calls of each unit, by its number."""


@dataclass(frozen=True)
class Tested:
    """A unit with what is known for its judgement."""

    unit: int
    calls: list[AskedCall]
    answers: list[Answer]


async def share_of_asserts(
    service: CodeService,
    source: str,
    tests: Asserts,
    *,
    limits: Limits,
    most: int | None = None,
    all_or_nothing: bool = False,
) -> float | None:
    """The share of the asserts that hold, in [0, 1]; None where none depends on the solution."""
    asked = await _collected(service, tests)
    if not asked:
        return None
    numbers = list(asked)
    chosen = [numbers[i] for i in picked(len(numbers), most)]
    order = sorted(chosen, key=lambda unit: len(repr(asked[unit])))

    async def shares(units: Sequence[int]) -> list[float]:
        part = {unit: asked[unit] for unit in units}
        found = await _judged(service, source, tests, part, limits, stop=all_or_nothing)
        return [found[unit] for unit in units]

    return await passed(order, shares, all_or_nothing=all_or_nothing)


async def _collected(service: CodeService, tests: Asserts) -> Asked:
    """What each test asks first. A test that is decided before it asks is left out."""
    program = Program("python", judge(tests), [Input(b"null")], limits=LIMITS)
    [execution] = await run(service, program)
    return {unit: calls for unit, verdict, calls in _lines(execution.stdout) if verdict is None}


async def _judged(
    service: CodeService,
    source: str,
    tests: Asserts,
    asked: Asked,
    limits: Limits,
    *,
    stop: bool,
) -> dict[int, float]:
    """1.0 per unit that holds, else 0.0, or LATE. With `stop`, one that fails may end it all."""
    shares = dict.fromkeys(asked, 0.0)
    for _ in range(ROUNDS):
        played = await play(
            service,
            source,
            list(asked.values()),
            limits=limits,
            preamble=tests.preamble,
            entry_point=tests.entry_point,
            stop=stop,
        )
        answered = []
        for (unit, calls), (answers, late) in zip(asked.items(), played, strict=True):
            shares[unit] = LATE if late else 0.0
            if answers:
                answered.append(Tested(unit, calls, answers))
        asked = {}
        for unit, verdict, calls in await _replayed(service, tests, answered):
            shares[unit] = float(verdict is True)
            if verdict is None:
                asked[unit] = calls
        if not asked:
            break
    return shares


async def _replayed(
    service: CodeService, tests: Asserts, tested: Sequence[Tested]
) -> list[tuple[int, bool | None, list[AskedCall]]]:
    """The judge's word on each unit.

    All are judged in one process; should an answer be such that it does not live through them, each
    is judged in one of its own.
    """
    if not tested:
        return []
    program = Program("python", judge(tests), [_given(tested)], limits=LIMITS)
    [execution] = await run(service, program)
    said = _lines(execution.stdout)
    if len(said) < len(tested) > 1:
        inputs = [_given([one]) for one in tested]
        alone = await run(service, replace(program, inputs=inputs))
        said = [line for execution in alone for line in _lines(execution.stdout)]
    return said


def _given(tested: Sequence[Tested]) -> Input:
    return Input(json.dumps([[one.unit, one.calls, one.answers] for one in tested]).encode())


def _lines(stdout: bytes) -> list[Any]:
    """The judge's lines; the last may be cut off."""
    return [json.loads(line) for line in stdout.splitlines(keepends=True) if line.endswith(b"\n")]
