"""What comes out of a sandbox, frame by frame, until it is over or silent for too long."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from r1_code.sandbox.task import Ending
from r1_code.sandbox.wire import BROKEN, DONE, ENDING, FILE, GO_ON, FrameReader

_CHUNK = 1 << 18


class Collected:
    """The results of one task over all the sandboxes that it needed.

    `patience` is how many seconds a sandbox may say nothing; then it is told to end, and a second
    time its whole process is (`hurry`).
    """

    def __init__(self, patience: float, hurry: Callable[[], None]) -> None:
        self.endings: list[Ending] = []
        self.files: dict[str, bytes] = {}
        self.next = 0
        """The input to go on with in a new sandbox, where not everything is done."""
        self.over = False
        self._patience, self._hurry = patience, hurry
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        self._timer: asyncio.TimerHandle | None = None

    def listen(self, fd: int) -> None:
        """To one more sandbox."""
        self._fd, self._frames = fd, FrameReader()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.over = False
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)
        self._wait()

    async def wait(self) -> None:
        await self._over

    def fail(self, why: str) -> None:
        """It is over, unless what was said last has not been read yet."""
        while not self.over and self._fd >= 0 and self._read():
            pass
        if not self.over:
            self.endings.append(Ending(broken=why))
            self._finish()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            self.fail("the sandbox was ended from outside")
            return False
        self._wait()
        try:
            for frame in self._frames.feed(data):
                self._take(*frame)
        except (ValueError, TypeError) as error:
            self.close()
            self.fail(f"the sandbox answered nonsense: {error}")
        return True

    def _take(self, kind: bytes, about: dict[str, Any], first: bytes, second: bytes) -> None:
        if kind == ENDING:
            self.endings.append(Ending(stdout=first, stderr=second, **about))
        elif kind == FILE:
            self.files[about["name"]] = first
        elif kind == BROKEN:
            self.endings.append(Ending(broken=about["why"]))
            self._finish()
        elif kind in (DONE, GO_ON):
            self.next = about.get("index", 0)
            self._finish()
        else:
            raise ValueError(f"no frame is called {kind!r}")

    def _finish(self) -> None:
        if not self.over:
            self.over = True
            self._over.set_result(None)

    def _wait(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._patience, self._silent)

    def _silent(self) -> None:
        self._hurry()
        self.fail("the sandbox did not answer")
