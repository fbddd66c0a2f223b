"""A tested process against the limits that the kernel does not keep: wall-clock, CPU, output."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from .wire import Request

_TICK_SECONDS = 0.02
_GRACE_SECONDS = 0.5  # of CPU, between SIGXCPU, which can be handled, and SIGKILL


def watch(
    pid: int, written: Sequence[int], started: float, request: Request, *, kill: Callable[[], None]
) -> tuple[str, float]:
    """Wait until the process has ended, by `kill` when it is over a limit; it is not reaped.

    Returns what it was stopped for ("wall", "output" or nothing) and its seconds since `started`.
    `written` are the files that it writes to.
    """
    stopped, warned = "", False
    # The process's CPU clock, the one of the three that agrees with its rusage in the end
    # (posix-cpu-timers.c).
    clock = (~pid << 3) | 2
    end = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(end, select.POLLIN)
    while not poll.poll(_TICK_SECONDS * 1000):
        if time.monotonic() - started > request.wall_seconds:
            stopped = "wall"
        elif any(os.fstat(fd).st_size > request.output_bytes for fd in written):
            stopped = "output"
        else:
            # RLIMIT_CPU knows whole seconds only, and counts too many (limits.py).
            over = time.clock_gettime(clock) - request.cpu_seconds
            if over > 0 and not warned:
                os.kill(pid, signal.SIGXCPU)
                warned = True
            elif over > _GRACE_SECONDS:
                os.kill(pid, signal.SIGKILL)
        if stopped:
            kill()
            break
    poll.poll()
    wall = time.monotonic() - started
    os.close(end)
    return stopped, wall
