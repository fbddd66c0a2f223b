"""Real attacks that reach for what is not theirs, as root and as an unprivileged user.

An attack is tried once without isolation too, where that is harmless: what never succeeds proves
nothing.
"""

import contextlib
import json
import signal
import socket
from pathlib import Path

import pytest

from r1_code.sandbox.task import Task
from r1cli import Input
from tests.r1_code.attacks.attacking import (
    BOUNDS,
    PROGRAMS,
    Harness,
    attack,
    c_program,
    lines,
    only,
)

PROBES = ["host_files", "environment", "sockets", "processes", "kernel", "forks"]


@pytest.mark.parametrize("name", PROBES)
def test_nothing_is_reached(name: str, harness: Harness, targets: dict[str, object]) -> None:
    (result,) = harness.run(attack(harness, name, targets))
    ending = result.endings[0]
    assert result.isolation == harness.level
    assert not lines(ending, b"GOT")
    assert len(lines(ending, b"held")) > 5
    assert (ending.exit_code, ending.stderr) == (0, b"")
    assert harness.state() == harness.before
    assert harness.victim.poll() is None
    for path in ("/var/tmp/r1-evil", "/dev/shm/r1-evil"):
        assert not Path(path).exists()
    for quiet in targets["silent"]:  # type: ignore[attr-defined]
        with pytest.raises(BlockingIOError):
            quiet.recv(100, socket.MSG_DONTWAIT)


@pytest.mark.parametrize(
    ("name", "least"), [("host_files", 4), ("environment", 10), ("sockets", 8), ("forks", 6)]
)
def test_the_attacks_work_where_nothing_holds(
    name: str, least: int, unprotected: Harness, targets: dict[str, object]
) -> None:
    if name == "host_files":
        source = (PROGRAMS / "reach.py").read_text()
        source += 'for path in (facts["secret"], "/etc/passwd", "/proc/self/root/etc/passwd"):\n'
        source += '    attempt("read", read, path)\nattempt("list", os.listdir, "/proc")\n'
        facts = json.dumps({"secret": str(unprotected.secret)}).encode() + b"\n"
        task = Task(BOUNDS, python=source, inputs=[Input(facts)])
    else:
        task = attack(unprotected, name, targets)
    assert len(lines(only(unprotected.run(task)), b"GOT")) >= least
    for told in targets["silent"]:  # type: ignore[attr-defined]
        with contextlib.suppress(BlockingIOError):
            while told.recv(100, socket.MSG_DONTWAIT):
                pass


def test_another_architecture_is_no_way_around(harness: Harness) -> None:
    source = b'int main(){int r; __asm__("int $0x80":"=a"(r):"a"(20)); return r > 0;}'
    ending = only(harness.run(c_program(source)))
    assert ending.signal == signal.SIGSYS


def test_files_of_other_runs(harness: Harness) -> None:
    one = Task(
        BOUNDS,
        python="import time; time.sleep(1); print('done')",
        files={"mine.txt": b"secret of another run"},
    )
    look = (PROGRAMS / "reach.py").read_text() + (
        "import glob\n"
        "for place in ('/tmp', '/var/tmp', '/dev/shm', '/r1', '..', '../..'):\n"
        "    names = [n for n in glob.glob(place + '/**', recursive=True) if 'mine' in n]\n"
        "    print('GOT' if names else 'held', place, names)\n"
        "for number in range(200):\n"
        "    for path in glob.glob(facts['scratch']) + ['..']:\n"
        "        try: print('GOT', read(f'{path}/{number}/mine.txt'))\n"
        "        except OSError: pass\n"
    )
    facts = json.dumps({"scratch": f"{harness.temporary}/*"}).encode() + b"\n"
    _, other = harness.run(one, Task(BOUNDS, python=look, inputs=[Input(facts)]))
    assert not lines(other.endings[0], b"GOT")
    assert lines(other.endings[0], b"held")


def test_what_one_input_leaves_the_next_does_not_find(harness: Harness) -> None:
    source = (
        "import os\n"
        "print(os.path.exists('left'), open('given').read())\n"
        "open('left', 'w').write('x'); open('given', 'w').write('spoilt')\n"
    )
    task = Task(BOUNDS, python=source, files={"given": b"given"}, fetch=["*"], inputs=[Input()] * 3)
    (result,) = harness.run(task)
    assert [e.stdout for e in result.endings] == [b"False given\n"] * 3
    assert result.files == {"left": b"x", "given": b"spoilt"}
