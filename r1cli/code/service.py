"""A code provider as rewards use it: from any thread or loop, each distinct program run once."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from r1cli.code.program import Capabilities, CodeProvider, Program, ProgramResult
from r1cli.code.refusal import refusal
from r1cli.errors import UsageError

TRIES = 3
FIRST_WAIT_SECONDS = 0.5
KNOWN_BYTES = 64 << 20  # of results that are remembered
CLOSE_SECONDS = 30.0

T = TypeVar("T")


class CodeService:
    """Keeps one provider open on an event loop in a thread of its own.

    A context manager that may be entered more than once: the provider closes when the last one
    leaves, and opens again when it is next used. Equal programs are run once, those under way
    together as well; what infrastructure broke is tried again, three times in all, and is never
    remembered.
    """

    def __init__(self, name: str, open_provider: Callable[[], CodeProvider]) -> None:
        self.name = name
        self._open_provider = open_provider
        self._lock, self._users = threading.RLock(), 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._provider: CodeProvider | None = None
        self._running: dict[bytes, asyncio.Task[ProgramResult]] = {}
        self._known: OrderedDict[bytes, ProgramResult] = OrderedDict()
        self._known_bytes = 0

    def __enter__(self) -> CodeService:
        with self._lock:
            self._users += 1
            try:
                self._open()
            except BaseException:
                self._users -= 1
                raise
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self.close()

    @property
    def capabilities(self) -> Capabilities:
        """What the provider can do. Opens it. Raises ProviderError where it cannot be had."""
        return self._open().capabilities

    def check(self, program: Program) -> None:
        """Raises UsageError for a program that the provider cannot run. Opens it."""
        self._check(self._open(), program)

    def run(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """Results in the order of the programs, from any thread but a coroutine's.

        Raises UsageError for a program that the provider cannot run.
        """
        provider = self._open()
        results: list[ProgramResult] = self._on_loop(self._all(provider, programs)).result()
        return results

    async def arun(self, programs: Sequence[Program]) -> list[ProgramResult]:
        """`run`, awaited on whatever loop the caller lives."""
        provider = await asyncio.to_thread(self._open)
        results = asyncio.wrap_future(self._on_loop(self._all(provider, programs)))
        return list(await results)

    def close(self) -> None:
        """End the provider and all that it started. Used again, it opens again."""
        with self._lock:
            loop, thread, provider = self._loop, self._thread, self._provider
            self._loop = self._thread = self._provider = None
        if loop is None or thread is None:
            return
        try:
            if provider:
                leaving = asyncio.run_coroutine_threadsafe(self._leave(provider), loop)
                leaving.result(CLOSE_SECONDS)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(CLOSE_SECONDS)

    # -- the loop ----------------------------------------------------------------------------------

    def _open(self) -> CodeProvider:
        with self._lock:
            if self._provider is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name=f"r1-code-{self.name}", daemon=True
                )
                self._thread.start()
                try:
                    self._provider = self._on_loop(self._open_provider().__aenter__()).result()
                except BaseException:
                    self.close()
                    raise
            return self._provider

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> Any:
        assert self._loop
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _leave(self, provider: CodeProvider) -> None:
        for task in [*self._running.values()]:
            task.cancel()
        await provider.__aexit__(None, None, None)

    # -- programs ----------------------------------------------------------------------------------

    async def _all(
        self, provider: CodeProvider, programs: Sequence[Program]
    ) -> list[ProgramResult]:
        for program in programs:
            self._check(provider, program)
        return list(await asyncio.gather(*(self._one(provider, program) for program in programs)))

    def _check(self, provider: CodeProvider, program: Program) -> None:
        if why := refusal(program, provider.capabilities):
            raise UsageError(f"code provider {self.name!r} {why}")

    async def _one(self, provider: CodeProvider, program: Program) -> ProgramResult:
        key = program.key()
        if key in self._known:
            self._known.move_to_end(key)
            return replace(self._known[key], cached=True)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._tried(provider, program, key))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
            return await asyncio.shield(task)
        return replace(await asyncio.shield(task), cached=True)

    async def _tried(self, provider: CodeProvider, program: Program, key: bytes) -> ProgramResult:
        """Goes on, and is remembered, though nobody waits for it any more."""
        for number in range(TRIES):
            result = await provider.run(program)
            if not result.broken or number == TRIES - 1:
                break
            await asyncio.sleep(FIRST_WAIT_SECONDS * 2**number * random.uniform(0.5, 1.5))
        result = replace(result, provider=self.name)
        if not result.broken:
            self._remember(key, result)
        return result

    def _remember(self, key: bytes, result: ProgramResult) -> None:
        self._known[key] = result
        self._known_bytes += _size(result)
        while self._known_bytes > KNOWN_BYTES:
            _, oldest = self._known.popitem(last=False)
            self._known_bytes -= _size(oldest)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _size(result: ProgramResult) -> int:
    stages = [*result.executions, *([result.compilation] if result.compilation else [])]
    return 256 + sum(256 + len(stage.stdout) + len(stage.stderr) for stage in stages)
