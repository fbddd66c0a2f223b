"""Provider `local`: programs on this machine, in a sandbox that needs neither root nor docker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from r1_code.compile_store import Compiled
from r1_code.compiling import Compiling
from r1_code.language import ENVIRONMENT, Language, source_bytes
from r1_code.languages import BY_NAME, missing_languages
from r1_code.sandbox.client import Sandboxes
from r1_code.sandbox.task import Bounds, Task
from r1_code.verdict import verdict
from r1cli import Capabilities, Execution, Program, ProgramResult, cache_folder


def local(*, workers: int | None = None, level: str | None = None, unsafe: bool = False) -> Local:
    """Runs programs on this machine.

    `workers` hold two programs at a time each; unset, there is one per core of this rank. `level`
    asks for one kind of isolation instead of the strongest that works here. `unsafe` runs programs
    without any where none works.
    """
    return Local(Sandboxes(workers=workers, level=level, unsafe=unsafe))


class Local:
    capabilities: Capabilities

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def __aenter__(self) -> Local:
        await self._sandboxes.__aenter__()
        missing = await asyncio.to_thread(missing_languages)
        languages = [name for name in BY_NAME if name not in missing]
        self._compiling = Compiling(self._sandboxes, cache_folder("code"))
        level = self._sandboxes.level
        self.capabilities = Capabilities(languages, isolation=level, missing=missing)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._compiling.close()
        await self._sandboxes.__aexit__(*exc)

    async def run(self, program: Program) -> ProgramResult:
        """The language is one of the capabilities'."""
        language = BY_NAME[program.language]
        compiled = None
        if language.compile:
            compiled = await self._compiling.compile(language, program)
            if compiled.execution.status == "sandbox_error":
                return self._result([compiled.execution])
            if compiled.execution.status != "ok":
                return self._result([], compiled)
        if not program.inputs:
            return self._result([], compiled)
        task = _task(language, program, compiled.files if compiled else {})
        done = await self._sandboxes.run(task)
        memory_mb = program.limits.memory_mb
        executions = [verdict(ending, task.bounds, memory_mb) for ending in done.endings]
        return replace(self._result(executions, compiled), isolation=done.isolation)

    def _result(
        self, executions: Sequence[Execution], compiled: Compiled | None = None
    ) -> ProgramResult:
        compilation = compiled.execution if compiled else None
        level = self._sandboxes.level
        return ProgramResult(executions, compilation, provider="local", isolation=level)


def _task(language: Language, program: Program, made: Mapping[str, bytes]) -> Task:
    limits = program.limits
    given = {**program.files, **made}
    source = source_bytes(program.source)
    if not made and not language.warm:
        given[language.source] = source
    argv = language.command(language.run, program.source, limits.memory_mb)
    own_mb = _megabytes(given) + max(_megabytes(i.files) for i in program.inputs)
    bounds = Bounds(
        cpu_seconds=limits.cpu_seconds,
        wall_seconds=limits.wall,
        data_mb=limits.memory_mb + language.runtime_mb,
        stack_mb=language.stack(program.source, limits.memory_mb),
        output_bytes=limits.output_bytes,
        disk_mb=limits.disk_mb + own_mb,
        processes=max(limits.processes, language.processes),
    )
    return Task(
        bounds,
        argv=[*argv, *program.args],
        python=source.decode(errors="replace") if language.warm else None,
        files=given,
        inputs=program.inputs,
        environment={**ENVIRONMENT, **language.environment},
        readable=language.readable() if not made or language.runtime_mb else [],
        stop_at_failure=program.stop_at_failure,
    )


def _megabytes(files: Mapping[str, bytes]) -> int:
    """What the files that are given take: `disk_mb` is for those that the program writes."""
    return -(-sum(len(data) for data in files.values()) // (1 << 20))
