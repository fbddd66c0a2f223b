"""A process of LightEval's environment, asked one thing at a time by lines of JSON."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

from r1_benchmarks.lighteval import program
from r1_benchmarks.lighteval.environment import environment
from r1cli import ProviderError, UsageError

PROGRAM = Path(program.__file__)
SECONDS = 600.0  # for one answer: a data set may have to be downloaded; LightEval's own limit for
# one comparison is five


class Session:
    """Starts when first asked; may be asked from any thread, and one is answered at a time."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, **request: Any) -> Any:
        """The reply of `program.py`.

        Raises UsageError for what LightEval does not have, ProviderError where it fails, dies, or
        gives no answer in time; the next request starts it again.
        """
        with self._lock:
            process = self._process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            clock = threading.Timer(SECONDS, process.kill)
            clock.start()
            try:
                process.stdin.write(json.dumps(request, default=str) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            finally:
                clock.cancel()
            if not line:
                self._process = None
                raise ProviderError(f"LightEval {self.version} ended: {self._last_words(process)}")
        reply = json.loads(line)
        if "refused" in reply:
            raise UsageError(reply["refused"])
        if "error" in reply:
            raise ProviderError(f"LightEval {self.version} failed: {reply['error']}")
        return reply["reply"]

    def close(self) -> None:
        with self._lock:
            if self._process:
                self._process.kill()
                self._process.communicate()
                self._process = None

    def _start(self) -> subprocess.Popen[str]:
        python = environment(self.version)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        return subprocess.Popen(
            [str(python), "-I", str(PROGRAM)],  # -I: nothing of this environment is seen there
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            encoding="utf-8",
            env={"OMP_NUM_THREADS": "1", **os.environ},
        )

    def _last_words(self, process: subprocess.Popen[str]) -> str:
        """Why a process is no more: its signal or status, and the last line it wrote."""
        code = process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        limit = f" (an answer has {SECONDS:g} s)" if code == -9 else ""
        return f"exit status {code}{limit}{': ' if last else ''}{last}"


@cache
def session(version: str) -> Session:
    """The one of this process: it takes seconds to start, and 700 MB."""
    opened = Session(version)
    atexit.register(opened.close)
    return opened
