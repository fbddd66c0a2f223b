"""Compiling inside the sandbox, each distinct source once: equal ones wait for the first."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from r1_code.ahead import AheadFolders
from r1_code.compile_store import Compiled, CompileStore
from r1_code.language import ENVIRONMENT, Language, source_bytes
from r1_code.sandbox.client import Sandboxes
from r1_code.sandbox.task import Bounds, Ending, Task
from r1_code.tools import identity
from r1_code.verdict import verdict
from r1cli import Execution, Program

MEMORY_MB = 1024  # g++ was seen to take 232 MB; a linker and templates take more
DISK_MB = 128
OUTPUT_BYTES = 1 << 20
PROCESSES = 64  # threads count as well, and javac has some twenty
STOPPED = re.compile(rb"CPU time limit exceeded|Killed signal terminated")
WALL_FACTOR, MORE_SECONDS = 4, 30  # compilers do not sleep: a wall limit only ends what hangs


class Compiling:
    """Compiled programs out of a store, or out of a compiler in a sandbox; for one event loop.

    The sandboxes are open.
    """

    def __init__(self, sandboxes: Sandboxes, folder: Path) -> None:
        self._sandboxes = sandboxes
        self._store = CompileStore(folder / "compiled")
        # Without namespaces, root's sandboxes run as a user of their own.
        other_user = sandboxes.level == "landlock" and os.geteuid() == 0
        self._ahead = AheadFolders(folder / "ahead", open_only=other_user)
        self._running: dict[str, asyncio.Task[Compiled]] = {}

    async def compile(self, language: Language, program: Program) -> Compiled:
        """What `program` compiles to. Its status is `ok`, `compile_error` or `sandbox_error`."""
        key = _key(language, program)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._compiled(key, language, program))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is being compiled."""
        running = [*self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._ahead.close()

    async def _compiled(self, key: str, language: Language, program: Program) -> Compiled:
        known = await asyncio.to_thread(self._store.get, key)
        if known:
            return known
        task = await self._task(language, program)
        result = await self._sandboxes.run(task)
        execution = _judged(result.endings[0], task.bounds)
        made = {name: data for name, data in result.files.items() if name not in task.files}
        if execution.status == "ok" and not made:
            message = f"the compiler made no {language.makes}"
            execution = replace(execution, status="compile_error", message=message)
        compiled = Compiled(execution, made if execution.status == "ok" else {})
        # A compiler that was stopped says nothing of the next time.
        if execution.exit_code is not None and not execution.message:
            await asyncio.to_thread(self._store.put, key, compiled)
        return compiled

    async def _task(self, language: Language, program: Program) -> Task:
        argv = language.command(language.compile, program.source)
        readable = language.readable()
        environment = {**ENVIRONMENT, **language.environment}
        ahead, folder = language.ahead, None
        if ahead and ahead.when.search(program.source):
            folder = await self._ahead.place(ahead, environment)
        if ahead and folder:
            argv[1:1] = [word.format(folder=folder) for word in ahead.words]
            own = {name: value.format(folder=folder) for name, value in ahead.environment.items()}
            environment |= own
            readable.append(str(folder))
        files = {name: data for name, data in program.files.items() if name != language.makes}
        seconds = program.limits.compile_seconds
        bounds = Bounds(
            cpu_seconds=seconds,
            wall_seconds=WALL_FACTOR * seconds + MORE_SECONDS,
            data_mb=MEMORY_MB,
            stack_mb=64,
            output_bytes=OUTPUT_BYTES,
            disk_mb=DISK_MB,
            processes=PROCESSES,
        )
        source = {language.source_name(program.source): source_bytes(program.source)}
        return Task(
            bounds,
            argv=argv,
            files=files | source,
            environment=environment,
            readable=readable,
            fetch=[language.makes],
        )


def _judged(ending: Ending, bounds: Bounds) -> Execution:
    """What a compiler said, or in its place what stopped it."""
    execution = verdict(ending, bounds, MEMORY_MB)
    if execution.status in ("ok", "sandbox_error"):
        return execution
    message = f"the compiler {execution.message}"
    if execution.status == "runtime_error" and ending.exit_code is not None:
        # A compiler is several processes, of which the first reports how another was stopped.
        stopped = STOPPED.search(ending.stderr)
        message = f"the compiler used {bounds.cpu_seconds:g} CPU seconds" if stopped else ""
    return replace(execution, status="compile_error", message=message)


def _key(language: Language, program: Program) -> str:
    """A digest of everything that decides what a compiler makes."""
    digest = hashlib.blake2b(digest_size=20)
    about = [language.compile, sorted(language.environment.items()), MEMORY_MB]
    tools = [identity(tool) for tool in language.needs]
    files = sorted(program.files.items())
    texts = [repr((about, tools)).encode(), source_bytes(program.source)]
    for text in [*texts, *(part for name, data in files for part in (name.encode(), data))]:
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()
