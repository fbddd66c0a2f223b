"""A function over batches, side by side: in processes of this machine, or on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeVar

from r1cli.errors import ProviderError
from r1cli.types import Pool

Batch = TypeVar("Batch")

Workers = Callable[[Callable[[Any, Any], Any], Any], AbstractContextManager[Pool]]
"""Opens a pool for `function(shared, sent)`; `shared` goes to each of its processes once."""

AHEAD = 3
"""Batches per process that wait or are worked on: memory does not grow with what is still to do."""

PAYS_AFTER = 1.0
"""Seconds of work here before other processes are started: they need a third of it to start,
and what is done by then had no need of them."""


def in_order(
    function: Callable[[Any, Any], Any],
    shared: Any,
    batches: Iterable[Batch],
    *,
    send: Callable[[Batch], Any],
    workers: Workers,
) -> Iterator[tuple[Batch, Any]]:
    """Each batch, in order, with `function(shared, send(batch))`."""
    waiting: deque[tuple[Batch, Future[Any]]] = deque()
    with workers(function, shared) as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(send(batch))))
            while waiting and (len(waiting) > AHEAD * pool.size or waiting[0][1].done()):
                yield _first(waiting)
        while waiting:
            yield _first(waiting)


def _first(waiting: deque[tuple[Batch, Future[Any]]]) -> tuple[Batch, Any]:
    batch, future = waiting.popleft()
    return batch, future.result()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(count: int) -> Workers:
    """So many processes, of which this is one. Killing another raises ProviderError."""
    return partial(_processes, count)


@contextmanager
def _processes(count: int, function: Callable[[Any, Any], Any], shared: Any) -> Iterator[Pool]:
    if count == 1:
        yield _Here(function, shared)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count - 1, context, _begin, (function, shared)) as others:
        try:
            yield _Processes(function, shared, others, count)
        except BrokenProcessPool as error:
            raise ProviderError(
                "a worker process was killed, for want of memory perhaps; try fewer with --workers"
            ) from error
        finally:
            others.shutdown(cancel_futures=True)


class _Here:
    """This process alone."""

    size = 1

    def __init__(self, function: Callable[[Any, Any], Any], shared: Any) -> None:
        self._function, self._shared = function, shared

    def submit(self, sent: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(self._function(self._shared, sent))
        return future


class _Processes(_Here):
    """This process and others: what they have no room for is done here at once."""

    def __init__(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        others: ProcessPoolExecutor,
        size: int,
    ) -> None:
        super().__init__(function, shared)
        self.size, self._others = size, others
        self._began = time.monotonic()
        self._starting: list[Future[Any]] = []
        self._away: list[Future[Any]] = []

    def submit(self, sent: Any) -> Future[Any]:
        if not self._starting and time.monotonic() - self._began >= PAYS_AFTER:
            self._starting = [self._others.submit(_call, None) for _ in range(self.size - 1)]
        self._away = [future for future in self._away if not future.done()]
        if len(self._away) >= AHEAD * sum(one.done() for one in self._starting):
            return super().submit(sent)
        self._away.append(self._others.submit(_call, sent))
        return self._away[-1]


_job: tuple[Callable[[Any, Any], Any], Any]


def _begin(function: Callable[[Any, Any], Any], shared: Any) -> None:
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _job = (function, shared)


def _call(sent: Any) -> Any:
    function, shared = _job
    return None if sent is None else function(shared, sent)
