"""The solution is called in its own sandbox, each unit of calls in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r1_code.rewards.calls.programs import player
from r1_code.rewards.running import run
from r1cli import Input, Limits, Program

if TYPE_CHECKING:
    from r1cli import CodeService

ANSWER_BYTES = 16 << 20  # a value takes more as JSON than as the program would print it

AskedCall = list[Any]
"""`[place, arguments, keywords]`, as the stand-ins of the judge write it."""

Answer = dict[str, Any]
"""What the player says of one call."""


async def play(
    service: CodeService,
    solution: str,
    units: Sequence[Sequence[AskedCall]],
    *,
    limits: Limits,
    preamble: str = "",
    entry_point: str = "",
    stop: bool = False,
) -> list[tuple[list[Answer], bool]]:
    """Per unit the answers, fewer than calls where the solution ended early, and whether it was
    stopped for its time. Only an execution that ended well has answers."""
    limits = replace(limits, output_bytes=ANSWER_BYTES)
    source = player(solution, preamble=preamble, entry_point=entry_point)
    inputs = [Input(json.dumps(calls).encode()) for calls in units]
    program = Program("python", source, inputs, limits=limits, stop_at_failure=stop)
    executions = list(await run(service, program))
    played: list[tuple[list[Answer], bool]] = [
        (_answers(e.stdout) if e.status == "ok" else [], e.status == "time_limit")
        for e in executions
    ]
    return played + [([], False)] * (len(units) - len(played))


def _answers(stdout: bytes) -> list[Answer]:
    """Lines that are answers, up to the first that is none: the solution may have written them."""
    answers: list[Answer] = []
    for line in stdout.splitlines():
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(answer, dict) or not isinstance(answer.get("after", {}), dict):
            break
        answers.append(answer)
    return answers
