"""Worker processes behind one thread: calls go out, replies come back, the stuck are replaced.

The thread starts every worker, because the kernel's "die with the parent" means the thread that
started it; this one lives as long as the pool. It never waits for a worker.
"""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from r1cli.errors import ProviderError
from r1cli.scoring.judge import Reply
from r1cli.scoring.seat import Call, Seat

STARTS = 3  # in a row that may fail before the pool gives up


class Pool:
    """A fixed number of workers; `definitions` are the pickled rewards that calls refer to."""

    def __init__(self, definitions: Sequence[bytes], *, workers: int, memory: int) -> None:
        modules: dict[int, dict[str, None]] = {}
        self._seats = [Seat(definitions, modules, memory) for _ in range(workers)]
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()
        self._bad_starts, self._broken, self._closing = 0, "", False
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._thread = threading.Thread(target=self._serve, name="r1-scoring", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        return len(self._seats)

    def submit(self, calls: Sequence[Call]) -> None:
        """Queue calls, from any thread."""
        with self._lock:
            if self._broken or self._closing:
                raise ProviderError(self._broken or "the reward workers are closed")
            self._waiting.extend(calls)
        self._wake()

    def forget(self, answers: queue.SimpleQueue[tuple[Call, Reply]]) -> None:
        """Drop what waits to be answered there."""
        with self._lock:
            self._waiting = deque(c for c in self._waiting if c.answers is not answers)

    def close(self) -> None:
        """End every worker and all that it started; calls that still wait fail."""
        self._closing = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_out, b".")

    def _awake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_in, 1 << 16)

    def _serve(self) -> None:
        reason = "closed: the scorer ended"
        try:
            while not self._closing:
                self._turn()
        except BaseException as error:
            reason = f"broken: {type(error).__name__}: {error}"
        finally:
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        with self._lock:
            self._broken = f"the reward workers are gone ({reason})"
            left = [seat.call for seat in self._seats if seat.call] + list(self._waiting)
            self._waiting.clear()
        for seat in self._seats:
            if seat.process:
                seat.process.kill()
        for call in left:
            call.answer(Reply("failed", reason=reason))
        os.close(self._wake_in)

    def _turn(self) -> None:
        """Give every seat something to do, wait until something happens, see who is late."""
        for number, seat in enumerate(self._seats):
            if seat.process is None:
                seat.start()
            if not seat.busy and (call := self._next(number)):
                seat.give(call)
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_in, selectors.EVENT_READ, self._awake)
            for seat in self._seats:
                process = seat.process
                assert process
                selector.register(process, selectors.EVENT_READ, partial(self._hear, seat))
                if process.gone is not None:
                    last = partial(self._hear, seat, last=True)
                    selector.register(process.gone, selectors.EVENT_READ, last)
                if process.writes_to is not None:
                    selector.register(process.writes_to, selectors.EVENT_WRITE, seat.flush)
            deadline = min((seat.deadline for seat in self._seats if seat.busy), default=None)
            now = time.monotonic()
            for key, _ in selector.select(None if deadline is None else max(0.0, deadline - now)):
                key.data()
        now = time.monotonic()
        for seat in self._seats:
            if seat.process and seat.busy and now >= seat.deadline:
                seat.process.kill()
                self._lose(seat, f"timeout: no answer within {seat.limit:g} s")

    def _next(self, seat: int) -> Call | None:
        """The call to give to a seat: the first of its own, else the first of all."""
        with self._lock:
            mine = (c for c in self._waiting if c.home % len(self._seats) == seat)
            call = next(mine, self._waiting[0] if self._waiting else None)
            if call is not None:
                self._waiting.remove(call)
            return call

    def _hear(self, seat: Seat, *, last: bool = False) -> None:
        if not seat.process or (last and not seat.process.ended):
            return
        try:
            if seat.hear(last=last):
                self._bad_starts = 0
        except EOFError:
            self._lose(seat, f"crash: the worker ended with {seat.process.end()}")

    def _lose(self, seat: Seat, reason: str) -> None:
        seat.leave(reason)
        if not seat.ready:
            self._bad_starts += 1
            if self._bad_starts >= STARTS:
                raise ChildProcessError(f"{STARTS} in a row did not start, {reason}")
