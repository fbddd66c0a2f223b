"""Which isolation works on this machine: each is tried for real, best first."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from r1_code.sandbox.collecting import Collected
from r1_code.sandbox.task import Bounds, Task
from r1_code.sandbox.worker import Worker
from r1cli import ProviderError, UsageError, suggest

HOLDING = ("namespaces", "landlock", "bubblewrap")
"""Best first. `none` holds nothing and is only had by asking."""

_TRIAL = """
import os, socket, sys

def holds(what, *args):
    try:
        what(*args)
    except OSError:
        return True
    return False

def fork():
    if os.fork() == 0:
        os._exit(0)

held = [
    holds(open, "/etc/passwd"),
    holds(os.listdir, "/home"),
    holds(socket.socket, socket.AF_INET),
    holds(socket.socket, socket.AF_UNIX),
    holds(fork),
]
sys.stdout.write("held" if all(held) else f"{held}")
"""
_BOUNDS = Bounds(
    cpu_seconds=10, wall_seconds=30, data_mb=256, stack_mb=8, output_bytes=4096, disk_mb=4
)


async def find_level(
    wanted: str | None,
    unsafe: bool,
    attempt: Callable[[Worker, Task], Awaitable[Collected]],
) -> Worker:
    """A started worker of the best level that works, or of the one that is wanted.

    Raises ProviderError where none does, and UsageError for a level that there is not.
    """
    if wanted is not None and wanted not in (*HOLDING, "none"):
        raise UsageError(f"no isolation is called {wanted!r}; {suggest(wanted, HOLDING)}")
    if wanted == "none" and not unsafe:
        raise ProviderError("isolation 'none' holds nothing: say so with unsafe: true")
    if sys.platform != "linux":
        raise ProviderError("the local sandbox needs Linux; use a remote code provider")
    failed = []
    for level in [wanted] if wanted else HOLDING:
        try:
            worker = await Worker(level).start()
        except OSError as error:
            failed.append(f"{level}: {error}")
            continue
        if level == "none":
            return worker
        why = await _trial(worker, attempt)
        if not why:
            return worker
        failed.append(f"{level}: {why}")
        await worker.stop()
    if unsafe and wanted is None:
        return await Worker("none").start()
    raise ProviderError(
        f"no isolation works here ({'; '.join(failed)}); use a remote code provider, or run "
        "programs unprotected with --unsafe-local (in a recipe: args {unsafe: true})"
    )


async def _trial(worker: Worker, attempt: Callable[[Worker, Task], Awaitable[Collected]]) -> str:
    """Why it does not hold; empty where it does."""
    ending = (await attempt(worker, Task(_BOUNDS, python=_TRIAL))).endings[-1]
    if ending.broken:
        return ending.broken
    if ending.stdout != b"held":
        said = ending.stdout or ending.stderr[-200:]
        return f"a trial got through: {said.decode(errors='replace')}"
    return ""
