"""Level `namespaces`: processes, files and work directory of its own; Landlock and seccomp on top.

A zygote lives in a pid namespace and a mount namespace: when it dies, however that happens, the
kernel ends everything below it. Each runner is the first process of yet another pid namespace, with
a tmpfs for its files that goes away with it. There is no network namespace, which would cost more
than all else: seccomp gives no sockets.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

from . import bpf, seccomp
from .landlock import OF_FILES, Ruleset
from .level import Level, become, own_uid, threads_of, write_files
from .syscalls import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_NODEV,
    MS_NOSUID,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    clone,
    drop_bounds,
    drop_capabilities,
    mount,
    prctl,
    unshare,
)
from .view import BOXES, WORK, View
from .wire import Request

_INODES = 4096
_SPARE_MB = 1  # beside what the program may write: its own source, and folders
_SHARED_THREADS = 1024  # where all runners of a zygote count as one user


class Namespaces(Level):
    name = "namespaces"
    gentle = False  # the first process of a pid namespace takes all others along however it ends

    def begin(self) -> None:
        flags = CLONE_NEWNS | CLONE_NEWPID
        self._own_users = not self.root
        if self.root:
            try:
                unshare(flags)
            except PermissionError:
                self._own_users = True  # root of a container, say
        if self._own_users:
            enter_users(lambda: unshare(flags | CLONE_NEWUSER))
        pid = os.fork()
        if pid:
            os.closerange(0, 64)
            _, status = os.waitpid(pid, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 255)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        drop_bounds()  # once for all runners

    def prepare(self, paths: Sequence[str]) -> None:
        self._view = View(paths)
        self.home = WORK
        self._outer = bpf.Program(seccomp.outer(host_files=False))
        self._inner = {
            fork: bpf.Program(seccomp.inner(fork=fork, leave=True)) for fork in (False, True)
        }
        self._ruleset: Ruleset | None = None
        self.admit(paths)

    def admit(self, readable: Sequence[str]) -> None:
        if not self._view.add(readable) and self._ruleset:
            return
        if self._ruleset:
            self._ruleset.close()
        root = self._view.root
        seen = [entry.path for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
        hidden = (f"{root}/proc", f"{root}{BOXES}")
        readable = [path for path in seen if path not in hidden]
        self._ruleset = Ruleset(readable, [f"{root}{BOXES}"])
        self._ruleset.allow(f"{root}/dev/null", OF_FILES)

    def fork(self, *, processes: bool) -> int:
        flags = CLONE_NEWNS | CLONE_NEWPID
        if self._own_users and processes:
            # Processes are counted per user namespace.
            pid = -1

            def start() -> None:
                nonlocal pid
                pid = clone(flags | CLONE_NEWUSER)

            enter_users(start, lambda: pid == 0)
            return pid
        return clone(flags)

    def enter(self, request: Request, number: int, index: int) -> None:
        uid = os.getuid() if self._own_users else own_uid(number)
        root = self._view.root
        size = f"size={request.disk_mb + _SPARE_MB}m,nr_inodes={_INODES},mode=0700"
        options = f"{size},uid={uid},gid={os.getgid() if self._own_users else uid}"
        mount("tmpfs", root + WORK, "tmpfs", MS_NOSUID | MS_NODEV, options)
        os.chroot(root)
        os.chdir(WORK)
        if not self._own_users:
            become(uid)
        elif request.processes:
            drop_bounds()  # they are new in a user namespace of its own
        drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        write_files(request, index)
        assert self._ruleset
        self._ruleset.enforce()
        self._outer.install()

    def writable(self, request: Request) -> bool:
        return True

    def alone(self, request: Request) -> bool:
        return not request.processes

    def clean(self, number: int) -> None:
        """Its folder went with its namespace."""

    def processes(self, request: Request) -> int:
        shared = self._own_users and not request.processes
        return _SHARED_THREADS if shared else threads_of(request)

    def kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # all in this namespace but the runner

    def restrict(self, request: Request) -> None:
        # Once more: a process cannot trace or signal one that is held in less than itself.
        assert self._ruleset
        self._ruleset.enforce()
        self._inner[request.processes > 0].install()


def enter_users(start, inside=lambda: True) -> None:  # type: ignore[no-untyped-def]
    """Runs `start`, which makes a user namespace; where `inside` holds, keeps uid and gid in it."""
    uid, gid = os.geteuid(), os.getegid()
    prctl(PR_SET_DUMPABLE, 1)  # after a change of uid its own maps are not the process's to write
    start()
    if inside():
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, text.encode())
            os.close(fd)
