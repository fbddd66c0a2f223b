"""Real attacks that stay, stall or die in the wrong place; and what is left in the end."""

import contextlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from r1_code.sandbox.task import Task
from r1cli import Input
from tests.r1_code.attacks.attacking import (
    BOUNDS,
    FORKING,
    Harness,
    alive,
    below_pid,
    cgroups,
    left,
    only,
    opened,
    until,
)

DAEMON = """
import os, sys, time
marker = "r1attack-" + sys.stdin.readline().strip()
if os.fork() == 0:
    for leave in (os.setsid, lambda: os.setpgid(0, 0)):
        try: leave()
        except OSError: pass
    if os.fork():
        os._exit(0)
    os.execv("/bin/sleep", ["sleep", "600.0000" + marker[9:]])
os.wait()
print("left it")
"""


def test_daemons_end_with_the_program(harness: Harness) -> None:
    number = str(os.getpid()).zfill(9)
    started = time.monotonic()
    ending = only(harness.run(Task(FORKING, python=DAEMON, inputs=[Input(f"{number}\n".encode())])))
    assert ending.stdout == b"left it\n"
    assert time.monotonic() - started < 9, "a daemon that holds the output is not waited for"
    assert not left(f"600.0000{number}")


@pytest.mark.parametrize(
    ("source", "stopped"),
    [
        ("import time; time.sleep(60)", "wall"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "wall"),
        ("import os; r, w = os.pipe(); os.read(r, 1)", "wall"),
        ("import os; os.close(0); os.close(1); os.close(2); os._exit(7)", ""),
    ],
    ids=["sleep", "stop", "pipe", "closed"],
)
def test_stalling(source: str, stopped: str, harness: Harness) -> None:
    bounds = replace(BOUNDS, wall_seconds=0.5) if stopped else BOUNDS
    ending = only(harness.run(Task(bounds, python=source)))
    assert (ending.stopped, ending.broken) == (stopped, "")
    assert ending.wall_seconds < 5
    assert ending.exit_code == (None if stopped else 7)


def test_cpu_time_is_limited_also_for_who_ignores_it(harness: Harness) -> None:
    short = replace(BOUNDS, cpu_seconds=0.3)
    ending = only(harness.run(Task(short, python="while True: pass")))
    assert ending.signal == signal.SIGXCPU
    assert 0.3 <= ending.cpu_seconds < 1, "the kernel's own limit comes later"
    deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    ending = only(harness.run(Task(short, python=deaf)))
    assert ending.signal == signal.SIGKILL
    assert ending.cpu_seconds < 3


def test_a_killed_zygote_is_replaced(harness: Harness) -> None:
    harness.send(Task(BOUNDS, python="import time; time.sleep(8)"))
    # The zygote, its namespace's first process, the runner and the program.
    until(lambda: len(below_pid(harness.pid)) >= (4 if harness.level == "namespaces" else 3))
    killed = below_pid(harness.pid)
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):  # one that went with another
            os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    ending = only(harness.answer())
    assert ending.broken
    assert time.monotonic() - started < 5, "that it is dead is not found out by its silence"
    # A task for a zygote that is about to die is lost with it, and `broken` as well.
    until(lambda: not alive(killed))
    assert only(harness.run(Task(BOUNDS, python="print('hello')"))).stdout == b"hello\n"


def test_nothing_outlives_a_killed_parent(user: str, harness: Harness, folder: Path) -> None:
    for processes in (0, 4):
        place = folder / f"killed-{harness.level}-{user}-{processes}"
        other = next(opened(harness.level, user, place.relative_to(folder) and place))
        number = f"77{processes}{other.pid}".zfill(12)
        argv = ["/bin/sleep", f"600.{number}"]
        fork = ["/bin/bash", "-c", f"sleep 600.{number} & sleep 600.{number}"]
        bounds = replace(BOUNDS, processes=processes, wall_seconds=60)
        other.send(Task(bounds, argv=fork if processes else argv))
        until(lambda number=number, count=2 if processes else 1: len(left(number)) >= count)
        below = below_pid(other.pid)
        assert below
        os.kill(other.pid, signal.SIGKILL)
        until(lambda number=number, below=below: not left(number) and not alive(below))
        until(lambda other=other: not list(other.temporary.iterdir()))
        other.close()


def test_nothing_is_left_behind(user: str, harness: Harness, folder: Path) -> None:
    other = next(opened(harness.level, user, folder / f"left-{harness.level}-{user}"))
    folders = list(other.temporary.iterdir())
    assert folders
    (first,) = other.run(Task(FORKING, argv=["/bin/true"], files={"a": b"1"}, fetch=["*"]))
    assert first.endings[0].exit_code == 0
    below = below_pid(other.pid)
    assert below
    names = {path.name for path in folders}
    assert "/r1/work" not in Path("/proc/self/mounts").read_text()
    other.close()
    until(lambda: not alive(below))
    assert not list(other.temporary.iterdir())
    assert not [path for path in cgroups() if any(name in path for name in names)]
