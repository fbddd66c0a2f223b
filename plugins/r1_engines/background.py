"""An event loop on a thread of its own: for callers without one, and for those who run one."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")

MOST_WAITING = 1024
"""Results that may lie there untaken before no more work is begun."""


class Background:
    """Runs coroutines to their end while the caller's thread waits; Ctrl-C cancels them."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="r1-loop", daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        finally:
            future.cancel()  # means nothing unless the wait itself was interrupted

    def each(
        self, items: Iterable[S], work: Callable[[S], Awaitable[T]], concurrency: int
    ) -> Iterator[list[T]]:
        """The results as they come, those that are there in one list; `items` are taken one by one.

        What is raised, by the work or the items, ends all of it once every result was handed out.
        """
        results: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        left = iter(items)

        async def worker() -> None:
            for item in left:  # all workers take from it
                results.put(await work(item))
                while results.qsize() > MOST_WAITING:
                    await asyncio.sleep(0.05)

        async def workers() -> None:
            try:
                await together(worker() for _ in range(concurrency))
            except BaseException as error:
                results.put(_End(error))
                raise
            results.put(_End(None))

        future = asyncio.run_coroutine_threadsafe(workers(), self.loop)
        try:
            while True:
                there = [results.get()]
                while not results.empty():
                    there.append(results.get())
                found = [result for result in there if not isinstance(result, _End)]
                if found:
                    yield found
                if isinstance(there[-1], _End):
                    if there[-1].error is not None:
                        raise there[-1].error
                    return
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what still runs, let it clean up, and end the thread."""
        self.run(_end_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class _End:
    """No result comes after it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """All results in order, or the first error, after the others were cancelled and are over."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
