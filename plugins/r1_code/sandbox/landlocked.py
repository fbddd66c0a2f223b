"""Level `landlock`: where namespaces are forbidden, as in most containers. The host's processes and
files are in sight; Landlock and seccomp let none of them be touched.

A program that needs no files has no folder to write to. Where it does, the folder is on the host's
disk and only the length of each file is limited.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from . import bpf, seccomp
from .landlock import OF_FILES, SCOPED, Ruleset
from .level import Level, become, own_uid, threads_now, threads_of, write_files
from .readable import DEVICES
from .syscalls import PR_SET_NO_NEW_PRIVS, drop_bounds, drop_capabilities, prctl
from .wire import Request

_ROOM = 8192  # threads beside those that the user runs already, which the trainer needs as well


class Landlocked(Level):
    name = "landlock"

    def prepare(self, paths: Sequence[str]) -> None:
        super().prepare(paths)
        self._changes_uid = self.root and self._can_read(paths)
        drop_bounds()  # once for all runners
        self._outer = bpf.Program(seccomp.outer(host_files=True))
        self._inner = {
            fork: bpf.Program(seccomp.inner(fork=fork, leave=False)) for fork in (False, True)
        }
        self._paths = [*paths, *DEVICES, f"{self.scratch}/empty"]
        self._more: Sequence[str] = ()
        self._threads = threads_now(os.getuid())

    def admit(self, readable: Sequence[str]) -> None:
        self._more = readable

    def enter(self, request: Request, number: int, index: int) -> None:
        uid = own_uid(number) if self._changes_uid else os.getuid()
        path = self.enter_folder(request, number)
        own = [path] if path == self.folder(number) else []
        readable, writable = [*self._paths, *self._more, *own], own if request.fetch else []
        self._ruleset = Ruleset(readable, writable)
        self._ruleset.allow("/dev/null", OF_FILES)
        if self._changes_uid:
            for folder in own:
                os.chown(folder, uid, uid)
            become(uid)
        drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        self.guard_life()
        write_files(request, index)
        if request.processes and not self._changes_uid:
            self._threads = threads_now(uid)
        self._ruleset.enforce()
        self._outer.install()

    def writable(self, request: Request) -> bool:
        return bool(request.fetch)

    def alone(self, request: Request) -> bool:
        return not request.processes

    def processes(self, request: Request) -> int:
        if self._changes_uid:
            return threads_of(request)
        return self._threads + (request.processes + 2 if request.processes else _ROOM)

    def restrict(self, request: Request) -> None:
        super().restrict(request)
        self._ruleset.enforce()
        fork = request.processes > 0
        if SCOPED:
            self._inner[fork].install()
        else:
            code = seccomp.inner(fork=fork, leave=False, signals_to=os.getpid())
            bpf.Program(code).install()

    def _can_read(self, paths: Sequence[str]) -> bool:
        """Whether another uid could run this Python, which may lie in /root."""
        there = [path for path in paths if os.path.exists(path)]
        pid = os.fork()
        if pid:
            return os.waitpid(pid, 0)[1] == 0
        try:
            become(own_uid(0))
            os._exit(0 if all(os.access(path, os.R_OK) for path in there) else 1)
        finally:
            os._exit(1)
