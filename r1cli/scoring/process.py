"""The parent's end of one worker: started clean, talked to without waiting, killed with its kin."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from r1cli.scoring.judge import Reply
from r1cli.scoring.worker import HEAD, frame

# The parent's sys.path, so that what it can import the worker can; -P keeps the folder that
# the user happens to be in off the path.
START = "import sys; sys.path[:] = sys.argv[3:]; from r1cli.scoring.worker import main; main()"
MARK = "R1_WORKER"  # an environment variable by which everything a worker starts is known


class Process:
    """A worker process. All of it is used from the pool's one thread."""

    def __init__(self, memory: int) -> None:
        self.mark = uuid.uuid4().hex
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", START, str(os.getpid()), str(memory), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, MARK: self.mark},
        )
        assert self._popen.stdin and self._popen.stdout
        self._in, self._out = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._unsent, self._received = memoryview(b""), bytearray()
        self.pid = self._popen.pid
        # Readable when it is gone, though what it started may still hold its pipes.
        self.gone: int | None = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    def fileno(self) -> int:
        """Where its replies are read."""
        return self._out

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    @property
    def writes_to(self) -> int | None:
        """The pipe that has to take more of a message, if one has."""
        return self._in if self._unsent else None

    def send(self, message: Any) -> None:
        """Begin to send; `flush` goes on when the pipe has room."""
        self._unsent = memoryview(frame(message))
        self.flush()

    def flush(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._in, self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # `receive` will see that it is gone
            self._unsent = memoryview(b"")

    def receive(self) -> Reply | None:
        """A reply if one is complete. Raises EOFError when the process is gone or babbles."""
        try:
            data = os.read(self._out, 1 << 20)
        except BlockingIOError:
            return None
        if not data:
            raise EOFError
        self._received += data
        if len(self._received) < HEAD.size:
            return None
        size = HEAD.size + HEAD.unpack_from(self._received)[0]
        if len(self._received) < size:
            return None
        try:
            reply = pickle.loads(self._received[HEAD.size : size])  # noqa: S301 - our own worker
        except Exception as error:
            raise EOFError from error
        del self._received[:size]
        if not isinstance(reply, Reply):
            raise EOFError
        return reply

    def end(self) -> str:
        """Kill it and all that it started; return how it had ended, if it had by itself."""
        # It may have closed its pipe only moments before it is gone.
        for _ in range(20):
            if self.ended:
                break
            time.sleep(0.001)
        code = self._popen.poll()
        self.kill()
        if code is None:
            return "it closed its pipe"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """SIGKILL for the process, its group, and what left the group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        clean = 0
        for _ in range(50):  # one may be starting another meanwhile, and has no mark during exec
            kin = [pid for pid in _marked(self.mark) if pid != self.pid]
            for pid in kin:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            clean = 0 if kin else clean + 1
            if clean == 2:
                break
            time.sleep(0.002)
        self._popen.wait()
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.close()
        self._popen.stdout.close()
        if self.gone is not None:
            os.close(self.gone)


def _marked(mark: str) -> list[int]:
    """The living processes that inherited the mark (none where there is no /proc)."""
    needle, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if needle in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found
