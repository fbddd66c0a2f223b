"""Sandboxes in processes of their own, as any user, and what the tests ask of the host."""

import contextlib
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from r1_code.sandbox.task import Bounds, Ending, Task, TaskResult
from r1cli import Input

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
UID = 12345
BOUNDS = Bounds(
    cpu_seconds=5,
    wall_seconds=11,
    data_mb=256,
    stack_mb=8,
    output_bytes=1 << 16,
    disk_mb=16,
)
FORKING = replace(BOUNDS, processes=4)


class Harness:
    """Sandboxes in a process of their own, as some user."""

    def __init__(self, level: str, user: str, folder: Path) -> None:
        self.level, self.user = level, user
        uid = UID if user == "user" and os.geteuid() == 0 else None
        self.home = folder / "home"
        self.temporary = folder / "tmp"
        for made in (self.home, self.temporary):
            made.mkdir(parents=True)
        self.secret = self.home / "secret.txt"
        self.secret.write_text("R1_TEST_SECRET of the host\n")
        self.secret.chmod(0o644)
        os.setxattr(self.secret, "user.note", b"kept")
        self.before = self.state()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "R1_TEST_SECRET": "of the environment",
            "TMPDIR": str(self.temporary),
        }
        start = partial(
            subprocess.Popen,
            env=environment,
            cwd="/",
            **({"user": uid, "group": uid, "extra_groups": []} if uid else {}),
        )
        if uid:
            for path in (folder, self.home, self.temporary, self.secret):
                os.chown(path, uid, uid)
        self.victim = start(["sleep", "600"])
        self.process = start(
            [_python(uid), str(HERE / "harness.py"), level],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.before = self.state()
        self.sent = 0
        try:
            self.pid = self.read()
        except EOFError:
            assert self.process.stderr
            pytest.skip(f"{level} as {user}: {self.process.stderr.read().decode()[-300:]}")

    def state(self) -> tuple[object, ...]:
        about = self.secret.stat()
        whose = (about.st_mode, about.st_uid, about.st_mtime_ns, os.listxattr(self.secret))
        return self.secret.read_text(), *whose, sorted(self.home.iterdir())

    def run(self, *tasks: Task) -> list[TaskResult]:
        self.send(*tasks)
        return self.answer()

    def send(self, *tasks: Task) -> None:
        assert self.process.stdin
        self.sent += 1
        data = pickle.dumps((self.sent, tasks))
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()

    def answer(self) -> list[TaskResult]:
        """To what was sent last. A test that failed may have left one that nobody took."""
        while True:
            number, results = self.read()
            if number == self.sent:
                return results

    def read(self):
        assert self.process.stdout
        head = self.process.stdout.read(4)
        if len(head) < 4:
            raise EOFError
        return pickle.loads(self.process.stdout.read(struct.unpack("<I", head)[0]))

    def close(self) -> None:
        for process in (self.process, self.victim):
            if process is self.process and process.stdin:
                process.stdin.close()
            else:
                process.kill()
            process.wait(30)


def opened(level: str, user: str, folder: Path) -> Iterator[Harness]:
    if user == "root" and os.geteuid() != 0:
        pytest.skip("the tests are not run by root")
    # A fixture may be made again for another file: each has a folder of its own.
    folder.mkdir(exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f"{level}-{user}-", dir=folder))
    own.chmod(0o755)
    harness = Harness(level, user, own)
    yield harness
    harness.close()


def attack(harness: Harness, name: str, targets: dict[str, object] | None = None) -> Task:
    facts = {
        "secret": str(harness.secret),
        "home": str(harness.home),
        "parent": harness.pid,
        "victim": harness.victim.pid,
        **{key: value for key, value in (targets or {}).items() if key != "silent"},
    }
    source = (PROGRAMS / "reach.py").read_text() + (PROGRAMS / f"{name}.py").read_text()
    return Task(BOUNDS, python=source, inputs=[Input(json.dumps(facts).encode() + b"\n")])


def only(results: list[TaskResult]) -> Ending:
    (result,) = results
    (ending,) = result.endings
    return ending


def lines(ending: Ending, word: bytes) -> list[str]:
    return [x.decode() for x in ending.stdout.splitlines() if x.startswith(word)]


def c_program(source: bytes, data_mb: int = 256) -> Task:
    """A C program, compiled on the host."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    with tempfile.TemporaryDirectory() as place:
        made = Path(place, "program")
        command = ["gcc", "-O1", "-x", "c", "-", "-o", str(made), "-pthread"]
        subprocess.run(command, input=source, check=True, capture_output=True)
        files = {"program": made.read_bytes()}
    return Task(replace(BOUNDS, data_mb=data_mb), argv=["./program"], files=files)


def _python(uid: int | None) -> str:
    """An interpreter that the user may run: this one, or the system's of the same version."""
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(
                [path, "-c", "import sys; print(sys.version_info[:2])"],
                user=uid,
                capture_output=True,
                text=True,
                check=True,
            )
            if said.stdout.strip() == str(sys.version_info[:2]):
                return path
    pytest.skip(f"no Python of this version can be run by uid {uid}")


def _processes() -> Iterator[tuple[int, int, str]]:
    """(pid, parent, command line) of every one that is no zombie."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                if words[0] != "Z":
                    yield int(folder.name), int(words[1]), command.decode(errors="replace")


def left(marker: str) -> list[int]:
    return [
        pid for pid, _, command in _processes() if marker in command and "pytest" not in command
    ]


def below_pid(parent: int) -> list[int]:
    found, every = [parent], list(_processes())
    for pid in found:
        found += [child for child, of, _ in every if of == pid]
    return found[1:]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid, _, _ in _processes() if pid in pids]


def until(true, seconds: float = 20) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def cgroups() -> list[str]:
    return [str(path) for path in Path("/sys/fs/cgroup").glob("**/r1-*")]


def has_cgroups() -> bool:
    return any(os.access(f"/sys/fs/cgroup/{x}", os.W_OK) for x in ("memory", "cgroup.procs"))
