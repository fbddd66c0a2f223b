"""One rank: `r1` with its output in a file of its own, and a note of how it ended.

Rank 0 is also seen on the terminal, less its errors: of several ranks' errors the launching process
shows the first one. Without LOGS in the environment (another launcher's rank) this is plain `r1`.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import json
import logging
import os
import runpy
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

LOGS = "R1_RANK_LOGS"
"""The folder of rank-N.log. It may be renamed while the ranks work: files are opened once."""
NOTES = "R1_RANK_NOTES"
"""The folder of rank-N.pid and rank-N.json, for the launching process alone."""
INTERRUPTED = 130
PR_SET_PDEATHSIG = 1


class Stream:
    """A text stream that is written to a log too, and remembers the line that tells of an error."""

    def __init__(self, screen: TextIO, log: TextIO | None) -> None:
        self.screen, self.log, self.error = screen, log, ""

    def write(self, text: str) -> int:
        held = text.startswith(("error: ", "interrupted;"))
        if held:
            self.error = text.strip()
        if self.log:
            with suppress(OSError):  # a full disk stops the run where its results are written
                self.log.write(text)
        if not (held and self.log):
            self.screen.write(text)
        return len(text)

    def flush(self) -> None:
        self.screen.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.screen, name)


def die_with_the_launcher() -> None:
    """Ask the kernel for SIGKILL when the process that started this one is gone: ranks that a
    killed `r1` left behind would hold the GPUs and the run directory."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> int:
    if LOGS not in os.environ:
        runpy.run_module("r1cli", run_name="__main__", alter_sys=True)
        return 0
    die_with_the_launcher()
    rank, notes = int(os.environ["RANK"]), Path(os.environ[NOTES])
    path = Path(os.environ[LOGS], f"rank-{rank}.log")
    log = path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
    faulthandler.register(signal.SIGUSR2, file=log, all_threads=True)
    if rank == 0:
        stderr = Stream(sys.stderr, log)
        sys.stdout = Stream(sys.stdout, log)  # type: ignore[assignment]
    else:
        for descriptor in (1, 2):  # what libraries in C say, too
            os.dup2(log.fileno(), descriptor)
        stderr = Stream(sys.stderr, None)
        # r1 narrates on rank 0 alone; here it is for whoever reads the logs side by side.
        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s: %(message)s")
        logging.getLogger("r1cli").setLevel(logging.INFO)
    sys.stderr = stderr  # type: ignore[assignment]
    _note(notes / f"rank-{rank}.pid", str(os.getpid()))
    code, error = _run(log)
    ended = {"rank": rank, "code": code, "error": error or stderr.error, "time": time.time()}
    _note(notes / f"rank-{rank}.json", json.dumps(ended))
    # Of a rank that stops in good order the agent hears nothing: it would kill those still saving.
    if code in (0, INTERRUPTED):
        _leave()
    return code


def _run(log: TextIO) -> tuple[int, str]:
    """Run `r1`; its exit code, and the error where it was none of r1's own."""
    try:
        runpy.run_module("r1cli", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return (end.code if isinstance(end.code, int) else int(end.code is not None)), ""
    except KeyboardInterrupt:
        return INTERRUPTED, "interrupted; the same command goes on from what was kept"
    except BaseException as error:
        traceback.print_exc(file=log)
        first = next(iter(str(error).splitlines()), "")
        return 1, f"error: rank {os.environ['RANK']}: {type(error).__name__}: {first}"[:500]
    return 0, ""


def _leave() -> None:
    """End in good order without taking the interpreter down, in which libraries crash at times."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _note(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
