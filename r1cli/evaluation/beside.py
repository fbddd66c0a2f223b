"""Work done beside the work that makes it: an engine goes on sampling while answers are judged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Beside(Generic[Item]):
    """Hands what is taken to `work`, in lists of at most `at_most`, on a thread of its own.

    A list is all that has come since the one before was begun. Leaving waits for the rest; leaving
    by an exception waits only for what is under way. What `work` raises is raised here.
    """

    def __init__(self, work: Callable[[list[Item]], None], at_most: int) -> None:
        self._work, self._at_most = work, at_most
        self._waiting: list[Item] = []
        self._running: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Beside[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            while error is None and (self._waiting or self._running):
                self._go_on()
        finally:
            self._thread.shutdown()

    def take(self, item: Item) -> None:
        self._waiting.append(item)
        if self._running is None or self._running.done() or len(self._waiting) >= self._at_most:
            self._go_on()

    def _go_on(self) -> None:
        """Wait for what is under way, then begin the next."""
        if self._running:
            self._running.result()
            self._running = None
        if self._waiting:
            now = list(islice(self._waiting, self._at_most))
            del self._waiting[: len(now)]
            self._running = self._thread.submit(self._work, now)
