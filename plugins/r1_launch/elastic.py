"""accelerate's launcher with its own words in a file: of what went wrong, the rank knows more.

Only Python's streams are led away. The ranks inherit the descriptors, so that rank 0 is seen as it
works.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from r1_launch.rank import LOGS, die_with_the_launcher

if __name__ == "__main__":
    die_with_the_launcher()
    if LOGS in os.environ:
        path = Path(os.environ[LOGS], "launcher.log")
        log = path.open("a", buffering=1, encoding="utf-8")
        sys.stdout = sys.stderr = log
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    runpy.run_module("accelerate.commands.launch", run_name="__main__", alter_sys=True)
