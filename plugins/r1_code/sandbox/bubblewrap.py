"""Level `bubblewrap`: for machines where that program is installed and the other levels fail.

Slower by a start of bwrap and, for Python, of the interpreter per input. The working directory is
on the host's disk, and there is no numpy. A signal that ended the program shows as exit code 128
and its number, which is how bwrap tells of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from . import seccomp
from .level import Level, threads_now, write_files
from .readable import DEVICES
from .wire import Request, write_all

_BOX = "/r1/work"
_OWN_PROCESSES = 4  # bwrap's own
_ISOLATED = [
    "--unshare-user",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
    "--tmpfs",
    "/tmp",  # noqa: S108 - inside, and bwrap's own
    "--proc",
    "/proc",
    "--symlink",
    "/proc/self/fd",
    "/dev/fd",
    "--symlink",
    "/proc/self/fd/0",
    "/dev/stdin",
    "--symlink",
    "/proc/self/fd/1",
    "/dev/stdout",
    "--symlink",
    "/proc/self/fd/2",
    "/dev/stderr",
]


class Bubblewrap(Level):
    name = "bubblewrap"
    warm = False

    def prepare(self, paths: Sequence[str]) -> None:
        super().prepare(paths)
        places = [f"{folder}/bwrap" for folder in ("/usr/local/bin", "/usr/bin", "/bin")]
        found = next((place for place in places if os.access(place, os.X_OK)), None)
        if not found:
            raise OSError("bwrap is not installed (apt install bubblewrap)")
        self._bwrap, self._paths = found, list(paths)
        self._more: Sequence[str] = ()
        self._threads = threads_now(os.getuid())

    def admit(self, readable: Sequence[str]) -> None:
        self._more = readable

    def enter(self, request: Request, number: int, index: int) -> None:
        self.guard_life()
        os.mkdir(self.folder(number), 0o700)
        os.chdir(self.folder(number))
        write_files(request, index)
        if request.python:
            with open("main.py", "wb") as file:
                file.write(request.source)
            python = os.path.realpath(sys.executable)
            request.argv = [python, "-s", "-S", "main.py", *request.argv[1:]]

    def writable(self, request: Request) -> bool:
        return True

    def processes(self, request: Request) -> int:
        return self._threads + _OWN_PROCESSES + (request.processes or 8192)

    def command(self, request: Request) -> Sequence[str]:
        words = [self._bwrap, *_ISOLATED]
        for path in (*self._paths, *self._more):
            words += ["--ro-bind-try", path, path]
        for path in DEVICES:
            words += ["--dev-bind-try", path, path]
        words += ["--bind", ".", _BOX, "--chdir", _BOX]
        filters = (
            seccomp.outer(host_files=False),
            seccomp.inner(fork=request.processes > 0, leave=True),
        )
        for code in filters:
            fd = os.memfd_create("filter", 0)
            write_all(fd, code)
            os.lseek(fd, 0, os.SEEK_SET)
            words += ["--add-seccomp-fd", str(fd)]
        return [*words, "--", *request.argv]
