"""A server as a child process: started, waited for, watched, and ended with its own children."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from types import FrameType

from r1cli.errors import ProviderError
from r1cli.files import disk_errors

POLL = 0.5
SAID_EVERY = 15.0  # seconds between lines while it starts
GRACE = 30.0  # seconds that a server has for its end before it is killed
TAIL = 20  # lines of a log that are shown
GUARD = "import os, sys; n = int(sys.stdin.readline()); sys.stdin.read(); os.killpg(n, 9)"
"""Told a server, waits until who told it is gone, killed maybe, and ends the server's session."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # none leads here
CAUSE = re.compile(r"\b\w*(?:Error|Exception): (?!.*[Ss]ee (?:root cause|stack trace))\S.*")


@dataclass
class Server:
    """`url` answers GET /health with 200 once it is ready; all it prints goes to `log`."""

    command: Sequence[str]
    environment: Mapping[str, str]
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = None
    guard: subprocess.Popen[bytes] | None = None
    asked: str = field(default="", init=False)

    def run(self, *, seconds: float, ready: Callable[[], None], say: Callable[[str], None]) -> None:
        """Serve until SIGINT or SIGTERM; `ready` is called once it answers.

        Raises ProviderError, with the end of the log, for one that is not ready within `seconds`
        or ends by itself.
        """
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._ask) for number in numbers}
        try:
            self._start()
            self._await(seconds, say)
            if not self.asked:
                ready()
            while not self.asked:
                self._check("ended")
                time.sleep(POLL)
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = signal.Signals(number).name

    def _start(self) -> None:
        with disk_errors(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            opened = self.log.open("wb")
        # Before the server, which would keep the other end of its stdin open.
        self.guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True
        )
        with opened as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children can be ended with it
            )
        assert self.guard.stdin is not None
        self.guard.stdin.write(b"%d\n" % self.process.pid)
        self.guard.stdin.flush()

    def _await(self, seconds: float, say: Callable[[str], None]) -> None:
        started = said = time.monotonic()
        while not self.asked and not self._answers():
            self._check("ended before it was ready")
            now = time.monotonic()
            if now - started > seconds:
                raise ProviderError(self._failed(f"was not ready within {seconds:.0f} s"))
            if now - said > SAID_EVERY:
                said = now
                last = (_lines(self.log) or ["nothing yet"])[-1].strip()[:120]
                say(f"r1: starting, {now - started:.0f} of {seconds:.0f} s: {last}")
            time.sleep(POLL)

    def _answers(self) -> bool:
        try:
            with DIRECT.open(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException, ValueError):
            return False

    def _check(self, how: str) -> None:
        assert self.process is not None
        code = self.process.poll()
        if code is not None and not self.asked:
            raise ProviderError(self._failed(f"{how} (exit code {code})"))

    def _failed(self, how: str) -> str:
        lines = _lines(self.log)
        cause = next((found[0] for found in map(CAUSE.search, lines) if found), "")
        tail = "".join(f"\n  {line}" for line in lines[-TAIL:])
        said = f": {cause[:300]}" if cause else ""
        return f"the server {how}{said}; the end of {self.log}:{tail}"

    def _end(self) -> None:
        """Ask it to end, then kill what is left of its session."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.guard is not None:
            self.guard.kill()
            self.guard.communicate()


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
