"""One shard of a command, where a cluster has put it: `r1` once more, its output in a log."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from r1_launch.rank import die_with_the_launcher
from r1cli import UsageError

GRACE = 20.0
"""Seconds for `r1` to keep what it has, once it is told to stop."""


def run(
    argv: Sequence[str], folder: str, log: str, environment: Mapping[str, str]
) -> tuple[int, str]:
    """Run `r1` in `folder` to its end; its exit code, negative for a signal, and this node's name.

    The node's own variables go before those of `environment`. KeyboardInterrupt, which is how Ray
    cancels a task, stops `r1` as Ctrl-C does. Raises UsageError where the node sees other files.
    """
    node = socket.gethostname()
    if not (Path(folder).is_dir() and Path(log).parent.is_dir()):
        raise UsageError(
            f"node {node} does not see {folder} and {Path(log).parent}; a shard needs the same "
            "files on every node: work on a file system that they share"
        )
    with open(log, "ab") as file:  # noqa: PTH123
        r1 = subprocess.Popen(
            [sys.executable, "-m", "r1_launch.shard", *argv],
            cwd=folder,
            env={**environment, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):  # only between waits is Ray heard
                    return r1.wait(1), node
        finally:
            _stop(r1)


def _stop(r1: subprocess.Popen[bytes]) -> None:
    if r1.poll() is None:
        r1.send_signal(signal.SIGINT)
        try:
            r1.wait(GRACE)
        except subprocess.TimeoutExpired:
            r1.kill()
            r1.wait()


if __name__ == "__main__":
    die_with_the_launcher()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # which Ray blocks
    runpy.run_module("r1cli", run_name="__main__", alter_sys=True)
