"""Sandboxes for tasks: a zygote per core, a queue before them, whatever isolation works here."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1_code.sandbox.collecting import Collected
from r1_code.sandbox.levels import find_level
from r1_code.sandbox.task import Ending, Task, TaskResult
from r1_code.sandbox.wire import TaskWriter
from r1_code.sandbox.worker import Worker

_OVERSUBSCRIPTION = 2  # a program that sleeps costs a slot, not a core
_SLACK_SECONDS = 20.0  # beyond a wall limit, which the sandbox itself keeps
_LARGE_BYTES = 1 << 22  # what is copied by a thread
_NUMPY = re.compile(r"\bnumpy\b")


class Sandboxes:
    """Runs tasks, `2 * workers` at a time, each in a sandbox of its own.

        async with Sandboxes() as sandboxes:
            result = await sandboxes.run(task)

    Entered, used and left on one event loop, of any thread. `workers` are processes, one per core
    of this rank if unset. `level` asks for one kind of isolation; unset, the strongest that works
    here is found by trying, and is `level` once open. `unsafe` accepts none at all where none
    works. Opening raises ProviderError where the level that is wanted does not work.
    """

    level: str

    def __init__(
        self, workers: int | None = None, level: str | None = None, unsafe: bool = False
    ) -> None:
        self.workers = workers or _share_of_cores()
        self._wanted, self._unsafe = level, unsafe
        self._plain: list[Worker] = []
        self._numpy: list[Worker] = []
        self._site = ""

    async def __aenter__(self) -> Sandboxes:
        self._slots = asyncio.Semaphore(_OVERSUBSCRIPTION * self.workers)
        self._starting = asyncio.Lock()
        self._site = _numpy_site()
        first = await find_level(self._wanted, self._unsafe, _attempt)
        self.level = first.level
        self._plain = [first]
        try:
            for worker in await asyncio.gather(
                *(Worker(self.level).start() for _ in range(self.workers - 1))
            ):
                self._plain.append(worker)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Ends what still runs. Leaves nothing behind."""
        workers, self._plain, self._numpy = [*self._plain, *self._numpy], [], []
        await asyncio.gather(*(worker.stop() for worker in workers))

    async def run(self, task: Task) -> TaskResult:
        """Whatever the program does is an ending. A sandbox that failed is one that is `broken`,
        and the last.
        """
        async with self._slots:
            fd = os.memfd_create("task")
            try:
                collected = await self._run(fd, task)
            except OSError as error:
                return TaskResult([Ending(broken=f"no sandbox: {error}")], self.level)
            finally:
                os.close(fd)
        return TaskResult(collected.endings, self.level, collected.files)

    async def _run(self, fd: int, task: Task) -> Collected:
        large = sum(len(given.stdin) for given in task.inputs) > _LARGE_BYTES
        if large:
            await asyncio.to_thread(_write, fd, task)
        else:
            _write(fd, task)
        wants_numpy = task.python is not None and self._site and _NUMPY.search(task.python)
        index, collected = 0, None
        while True:
            worker = await self._free(self._numpy if wants_numpy else self._plain)
            collected = await _attempt(worker, task, fd, index, collected)
            if not collected.next:
                return collected
            index, collected.next = collected.next, 0

    async def _free(self, workers: list[Worker]) -> Worker:
        """The least busy; a new one in the place of a dead one, or where all are busy."""
        alive = [worker for worker in workers if worker.alive()]
        if alive and (min(w.load for w in alive) == 0 or len(alive) == self.workers):
            return min(alive, key=lambda worker: worker.load)
        async with self._starting:
            for dead in [worker for worker in workers if worker.dead]:
                workers.remove(dead)
                await dead.stop()
            if len(workers) < self.workers:
                site = self._site if workers is self._numpy else ""
                workers.append(await Worker(self.level, site).start())
        return min(workers, key=lambda worker: worker.load)


async def _attempt(
    worker: Worker,
    task: Task,
    fd: int | None = None,
    index: int = 0,
    collected: Collected | None = None,
) -> Collected:
    """One sandbox, from one input on."""
    own = os.memfd_create("task") if fd is None else -1
    if fd is None:
        _write(own, task)
    if collected is None:
        collected = Collected(task.bounds.wall_seconds + _SLACK_SECONDS, worker.kill)
    about = {
        "readable": [os.path.abspath(path) for path in task.readable],
        "processes": task.bounds.processes,
        "memory_mb": task.bounds.data_mb + task.bounds.disk_mb,
    }
    worker.load += 1
    number = 0
    try:
        number = worker.run(own if fd is None else fd, index, about, collected)
        await collected.wait()
    finally:
        worker.load -= 1
        worker.done(number)
        if own >= 0:
            os.close(own)
    return collected


def _write(fd: int, task: Task) -> None:
    writer = TaskWriter()
    argv = list(task.argv)
    if argv and argv[0].startswith("/") and task.python is None:
        argv[0] = os.path.realpath(argv[0])  # a link may lead out of what is readable
    header: dict[str, Any] = {
        **vars(task.bounds),
        "argv": argv,
        "python": task.python is not None,
        "files": writer.places(task.files),
        "inputs": [[writer.place(i.stdin), writer.places(i.files)] for i in task.inputs],
        "environment": dict(task.environment),
        "fetch": list(task.fetch),
        "stop_at_failure": task.stop_at_failure,
    }
    writer.write(fd, header, (task.python or "").encode(errors="surrogatepass"))


def _share_of_cores() -> int:
    """Of this process among those of a launcher on this machine."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return max(1, len(os.sched_getaffinity(0)) // max(1, ranks))


def _numpy_site() -> str:
    """The folder that numpy would be imported from; empty where it is not installed."""
    found = importlib.util.find_spec("numpy")
    places: Sequence[str] = found.submodule_search_locations or [] if found else []
    return str(Path(places[0]).parent) if places else ""
