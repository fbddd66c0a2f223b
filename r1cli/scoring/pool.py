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
from dataclasses import dataclass, field
from typing import Any

from r1cli.errors import ProviderError
from r1cli.scoring.judge import Reply
from r1cli.scoring.process import Process
from r1cli.scoring.worker import Load

START_SECONDS = 60.0
FIRST_CALL_SECONDS = 20.0  # more, for the imports that a reward makes when it is first called;
# later workers make them before the clock starts
STARTS = 3  # in a row that may fail before the pool gives up


@dataclass(eq=False)
class Call:
    """Samples for one reward; the reply is put, with the call, into `answers`."""

    reward: int
    samples: Sequence[bytes]
    home: int  # calls of one problem share a worker where that costs no waiting
    seconds: float
    answers: queue.SimpleQueue[tuple[Call, Reply]]
    about: Any = None


@dataclass(eq=False)
class _Seat:
    """A place for a worker, and what the one that sits there does."""

    number: int
    process: Process | None = None
    ready: bool = False
    call: Call | None = None
    deadline: float = 0.0
    limit: float = 0.0
    loading: bool = False
    loaded: set[int] = field(default_factory=set)

    def wait(self, seconds: float) -> None:
        """Give what it does now so long, from now on."""
        self.limit, self.deadline = seconds, time.monotonic() + seconds


class Pool:
    """A fixed number of workers; `definitions` are the pickled rewards that calls refer to."""

    def __init__(self, definitions: Sequence[bytes], *, workers: int, memory: int) -> None:
        self._definitions, self._memory = list(definitions), memory
        self._seats = [_Seat(number) for number in range(workers)]
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()
        self._modules: dict[int, dict[str, None]] = {}  # what the calls of a reward import
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

    def _serve(self) -> None:
        reason = "closed: the scorer ended"
        try:
            while not self._closing:
                self._work()
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
            call.answers.put((call, Reply("failed", reason=reason)))
        os.close(self._wake_in)

    def _work(self) -> None:
        for seat in self._seats:
            if seat.process is None:
                self._start(seat)
            if seat.ready and seat.call is None:
                self._give(seat)
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_in, selectors.EVENT_READ)
            for seat in self._seats:
                assert seat.process
                selector.register(seat.process, selectors.EVENT_READ, seat)
                if seat.process.gone is not None:
                    selector.register(seat.process.gone, selectors.EVENT_READ, seat)
                if seat.process.writes_to is not None:
                    selector.register(seat.process.writes_to, selectors.EVENT_WRITE, seat)
            busy = [seat.deadline for seat in self._seats if seat.call or not seat.ready]
            now = time.monotonic()
            for key, _ in selector.select(max(0.0, min(busy) - now) if busy else None):
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_in, 1 << 16)
                elif key.fileobj is key.data.process:
                    self._hear(key.data)
                elif key.data.process and key.data.process.writes_to == key.fileobj:
                    key.data.process.flush()
                elif key.data.process and key.data.process.ended:
                    self._hear(key.data, last=True)
        now = time.monotonic()
        for seat in self._seats:
            if seat.process and (seat.call or not seat.ready) and now >= seat.deadline:
                seat.process.kill()
                self._lose(seat, f"timeout: no answer within {seat.limit:g} s")

    def _start(self, seat: _Seat) -> None:
        seat.process = Process(self._memory)
        seat.ready, seat.loading, seat.loaded = False, False, set()
        seat.wait(START_SECONDS)

    def _give(self, seat: _Seat) -> None:
        with self._lock:
            mine = (c for c in self._waiting if c.home % len(self._seats) == seat.number)
            call = next(mine, self._waiting[0] if self._waiting else None)
            if call is None:
                return
            self._waiting.remove(call)
        assert seat.process
        seat.call, seat.loading = call, call.reward not in seat.loaded
        if seat.loading:
            modules = list(self._modules.get(call.reward, ()))
            seat.process.send(Load(call.reward, self._definitions[call.reward], modules))
            seat.wait(START_SECONDS)
        else:
            self._send(seat, call)

    def _send(self, seat: _Seat, call: Call) -> None:
        assert seat.process
        seat.process.send((call.reward, call.samples))
        known = call.reward in self._modules
        seat.wait(call.seconds if known else call.seconds + FIRST_CALL_SECONDS)

    def _hear(self, seat: _Seat, last: bool = False) -> None:
        assert seat.process
        try:
            reply = seat.process.receive()
            if reply is None and last:
                raise EOFError
        except EOFError:
            self._lose(seat, f"crash: the worker ended with {seat.process.end()}")
            return
        if reply is None:
            return
        if seat.call is None:
            seat.ready, self._bad_starts = True, 0
            return
        if seat.loading and reply.ending != "unloadable":
            seat.loading = False
            seat.loaded.add(seat.call.reward)
            self._send(seat, seat.call)
            return
        call, seat.call = seat.call, None
        if reply.ending == "outcomes":
            self._modules.setdefault(call.reward, {}).update(dict.fromkeys(reply.modules))
        call.answers.put((call, reply))
        if reply.reason.startswith("memory"):  # what it holds may not be free again
            seat.process.kill()
            seat.process = None

    def _lose(self, seat: _Seat, reason: str) -> None:
        """The worker is gone; its call is answered, its seat is free."""
        seat.process, call, seat.call = None, seat.call, None
        if call:
            call.answers.put((call, Reply("failed", reason=reason)))
        if not seat.ready:
            self._bad_starts += 1
            if self._bad_starts >= STARTS:
                raise ChildProcessError(f"{STARTS} in a row did not start, {reason}")
