"""A program on a server that takes one input per request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from r1_code.remote.request import Passing
from r1_code.remote.told import broken
from r1cli import Execution, Input, Program, ProgramResult, UsageError

Stages = tuple[Execution | None, Execution | None]
"""How compiling ended, if there was any, and the run, if it came to that."""


async def run_each(
    name: str, program: Program, execute: Callable[[Input], Awaitable[Stages]]
) -> ProgramResult:
    """The program's result. Where `execute` raises Passing, all of it is a sandbox_error."""
    try:
        return await _run_each(name, program, execute)
    except Passing as error:
        return broken(name, error)


async def _run_each(
    name: str, program: Program, execute: Callable[[Input], Awaitable[Stages]]
) -> ProgramResult:
    # The first alone: what does not compile, or is refused, is asked once.
    first, *others = program.inputs or [Input()]
    compiled, run = await execute(first)
    stages = [run]
    if program.stop_at_failure:
        for given in others:
            if stages[-1] is None or stages[-1].status != "ok":
                break
            stages.append((await execute(given))[1])
    elif run is not None:
        more = [asyncio.ensure_future(execute(given)) for given in others]
        try:
            stages += [stage for _, stage in await asyncio.gather(*more)]
        finally:
            for task in more:
                task.cancel()
    executions = [stage for stage in stages if stage] if program.inputs else []
    return ProgramResult(executions, compiled, provider=name, isolation=name)


def text(provider: str, stdin: bytes) -> str:
    """stdin for a server that takes JSON. Raises UsageError where it is no UTF-8."""
    try:
        return stdin.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"code provider {provider!r} gives programs stdin as UTF-8, and this one is not; "
            "use another provider for this dataset"
        ) from None
