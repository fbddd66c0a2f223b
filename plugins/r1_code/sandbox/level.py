"""What every way of holding programs in has in common; by itself it holds nothing: level `none`.

A level lives in a zygote: `begin` and `prepare` run once there, `admit` before every task, `fork`
makes the task's runner. `enter` and everything below run in the runner, `restrict` and `command` in
each tested process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from .folders import remove_tree
from .limits import THREADS
from .syscalls import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl
from .wire import Request

_FIRST_UID, _UIDS = 61184, 4096
"""Systemd's range for users that exist only while something runs."""


class Level:
    name = "none"
    warm = True
    """Whether Python can be forked into it; otherwise it is started each time."""
    gentle = True
    """Whether a runner has to be asked to end, so that it takes along what it runs."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        """A folder of this zygote alone, for working directories on the host's disk."""
        self.home = f"{scratch}/empty"
        """The working directory of most tasks."""
        self.root = os.geteuid() == 0

    # -- in the zygote -----------------------------------------------------------------------------

    def begin(self) -> None:
        """First thing in the process, which is small yet. May go on as a child of it."""

    def prepare(self, paths: Sequence[str]) -> None:
        """Makes ready what all tasks share; `paths` are to be readable in all of them."""
        os.mkdir(f"{self.scratch}/empty", 0o755)

    def admit(self, readable: Sequence[str]) -> None:
        """Makes ready for a task that wants more to be readable."""

    def fork(self, *, processes: bool) -> int:
        return os.fork()

    # -- in the runner -----------------------------------------------------------------------------

    def enter(self, request: Request, number: int, index: int) -> None:
        """The runner goes where the task is held, and never comes out; its files are written.

        `number` is unlike that of any other runner of this zygote. `index` is the first input to be
        run, and the only one whose own files there are.
        """
        self.guard_life()
        self.enter_folder(request, number)
        write_files(request, index)

    def guard_life(self) -> None:
        """Nothing outlives its parent, and what a program leaves behind comes to the runner."""
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def enter_folder(self, request: Request, number: int) -> str:
        path = self.folder(number)
        if has_files(request) or request.fetch:
            os.mkdir(path, 0o700)
        else:
            path = f"{self.scratch}/empty"
        os.chdir(path)
        return path

    def folder(self, number: int) -> str:
        """The working directory of a runner, where it is on the host's disk."""
        return f"{self.scratch}/{number}"

    def writable(self, request: Request) -> bool:
        """Whether the program may write files."""
        return bool(has_files(request) or request.fetch)

    def alone(self, request: Request) -> bool:
        """Whether a program can have started no process that outlives it."""
        return False

    def clean(self, number: int) -> None:
        """Removes what a runner left, once it has ended. This is done in the zygote."""
        remove_tree(self.folder(number))

    def processes(self, request: Request) -> int:
        """RLIMIT_NPROC: how many threads the uid may have."""
        return 1 << 20

    def kill(self, pid: int) -> None:
        """Ends a tested process and all that it started."""
        try:
            os.killpg(pid, signal.SIGKILL)
            with open(f"/proc/self/task/{os.getpid()}/children") as children:
                for child in children.read().split():
                    os.kill(int(child), signal.SIGKILL)
        except OSError:
            pass  # gone already, or /proc is not to be seen and nothing can have got away

    # -- in a tested process -----------------------------------------------------------------------

    def restrict(self, request: Request) -> None:
        """Takes from the calling process, for good, all that a program must not have."""
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def command(self, request: Request) -> Sequence[str]:
        return request.argv


def has_files(request: Request) -> bool:
    return bool(request.files or any(files for _, files in request.inputs))


def write_files(request: Request, index: int) -> None:
    """The task's files and those of one input into the current folder, as if long ago."""
    files = {**request.files, **request.inputs[index][1]}
    for name, place in files.items():
        _write_file(request, name, place)
        os.utime(name, (0, 0))


def _write_file(request: Request, name: str, place: Sequence[int]) -> None:
    if folder := os.path.dirname(name):
        os.makedirs(folder, exist_ok=True)
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o700)
    try:
        request.copy(place, fd)
    finally:
        os.close(fd)


def own_uid(number: int) -> int:
    """One that no other runner has now, unless thousands run."""
    return _FIRST_UID + (os.getppid() * 64 + number) % _UIDS


def become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def threads_of(request: Request) -> int:
    """RLIMIT_NPROC for a uid that nothing else runs as; the runner and the program count."""
    return request.processes + 2 if request.processes else THREADS


def threads_now(uid: int) -> int:
    """How many threads a user runs: RLIMIT_NPROC counts all of them."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue  # ended meanwhile
    return count
