"""A function over batches in several processes: results in order, and few batches under way."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from r1cli.errors import ProviderError

Batch = TypeVar("Batch")
Result = TypeVar("Result")

AHEAD = 3
"""Batches per process that wait or are worked on: memory does not grow with what is still to do."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable[[Any, Any], Result],
    shared: Any,
    batches: Iterable[Batch],
    *,
    send: Callable[[Batch], Any],
    workers: int,
) -> Iterator[tuple[Batch, Result]]:
    """Each batch with `function(shared, send(batch))`.

    `shared` goes to each process once, and of a batch only what `send` takes out of it. This
    process is one of the workers. Raises ProviderError when another one is killed.
    """
    if workers == 1:
        for batch in batches:
            yield batch, function(shared, send(batch))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers - 1, context, _begin, (function, shared)) as pool:
        waiting: deque[tuple[Batch, Result | Future[Result]]] = deque()
        try:
            # A process takes a while to start: until one has, its share is done here.
            ready = [pool.submit(_call, None) for _ in range(workers - 1)]
            for batch in batches:
                elsewhere = sum(not _done(result) for _, result in waiting)
                if elsewhere < AHEAD * sum(map(_done, ready)):
                    waiting.append((batch, pool.submit(_call, send(batch))))
                else:
                    waiting.append((batch, function(shared, send(batch))))
                while waiting and (len(waiting) > AHEAD * workers or _done(waiting[0][1])):
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        except BrokenProcessPool as error:
            raise ProviderError(
                "a worker process was killed, for want of memory perhaps; try fewer with --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _done(result: object) -> bool:
    return not isinstance(result, Future) or result.done()


def _first(waiting: deque[tuple[Batch, Result | Future[Result]]]) -> tuple[Batch, Result]:
    batch, result = waiting.popleft()
    return batch, result.result() if isinstance(result, Future) else result


_job: tuple[Callable[[Any, Any], Any], Any]


def _begin(function: Callable[[Any, Any], Any], shared: Any) -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _job = (function, shared)


def _call(sent: Any) -> Any:
    function, shared = _job
    return None if sent is None else function(shared, sent)
