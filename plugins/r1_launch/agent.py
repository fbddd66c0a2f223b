"""accelerate's launcher that outlives SIGTERM: the ranks have had it too, and save.

SLURM signals every process of a job. Torch's agent, left to itself, then gives its ranks 30 s and
kills them, whatever checkpoint they are writing; here it ends when they do, with 130 as they do.
"""

from __future__ import annotations

import runpy
import signal
import sys
from typing import Any

stopped = False


def _wait_for_the_ranks(number: int, frame: Any) -> None:
    global stopped
    stopped = True


if __name__ == "__main__":
    # A handler, not SIG_IGN, which the ranks and their own workers would inherit.
    signal.signal(signal.SIGTERM, _wait_for_the_ranks)
    try:
        runpy.run_module("accelerate.commands.launch", run_name="__main__", alter_sys=True)
    except Exception as error:
        if stopped:
            sys.exit(130)
        if type(error).__name__ != "ChildFailedError":  # torch's: a rank has said what went wrong
            raise
        code = error.get_first_failure()[1].exitcode  # type: ignore[attr-defined]
        sys.exit(code if code > 0 else 128 - code)
