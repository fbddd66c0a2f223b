"""The process that programs are forked from. Small, started once per core, with nothing of the
parent's in it: no environment, no descriptors, no libraries.

It is no part of the package `r1_code` at run time, whose imports would cost it and every program
start-up and memory: it is started by path as `sandbox.zygote` (see worker.py). It ends when its
parent's end of the socket closes, and everything that it started ends with it.
"""

# pathlib would cost every program that is forked from here memory.
# ruff: noqa: PTH119, PTH120

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from . import landlocked, namespaces
from .bubblewrap import Bubblewrap
from .cgroup import Cgroup, Cgroups
from .folders import remove_tree
from .level import Level
from .readable import SYSTEM, python_paths
from .runner import Runner
from .warm_python import PRELOADED, hide_own_modules
from .wire import BROKEN, Request, write_frame

LEVELS: dict[str, type[Level]] = {
    level.name: level for level in (namespaces.Namespaces, landlocked.Landlocked, Bubblewrap, Level)
}
_MESSAGE_BYTES = 1 << 16
_CGROUP_SPARE_MB = 32  # page tables, pipes and output files count as well
_END_SECONDS = 2


def main() -> None:
    """One argument, JSON: level, scratch, site (of numpy), fd (a socket), life (a pidfd of the
    parent).
    """
    given = json.loads(sys.argv[1])
    parent = socket.socket(fileno=given["fd"])
    os.umask(0o022)
    try:
        level = LEVELS[given["level"]](given["scratch"])
        level.begin()
        zygote = Zygote(parent, level, given["site"])
    except Exception as error:
        parent.send(json.dumps({"error": str(error)}).encode())
        return
    parent.send(json.dumps({"error": ""}).encode())
    try:
        zygote.serve(given["life"])
    finally:
        zygote.end()


class Zygote:
    def __init__(self, parent: socket.socket, level: Level, site: str) -> None:
        self._parent, self._level = parent, level
        self._tasks: dict[int, int] = {}  # pid: the parent's number
        self._cgroup_of: dict[int, Cgroup] = {}
        self._number_of: dict[int, int] = {}
        self._number = 0
        paths = [*SYSTEM, *python_paths()]
        for name in PRELOADED:
            importlib.import_module(name)
        if site:
            paths += _load_numpy(site)
        level.prepare(paths)
        self._cgroups: Cgroups | None = None
        if level.name != "none":
            with contextlib.suppress(OSError):  # the usual case for whoever is not root
                self._cgroups = Cgroups(f"r1-{os.path.basename(level.scratch)}")
        hide_own_modules()
        sys.argv = [""]
        gc.collect()
        gc.disable()
        gc.freeze()

    def serve(self, life: int) -> None:
        """Until the parent is gone.

        Its process is watched beside its end of the socket, of which a fork may hold a copy.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        wake, ring = os.pipe()
        os.set_blocking(ring, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        poll = select.poll()
        poll.register(self._parent.fileno(), select.POLLIN)
        poll.register(wake, select.POLLIN)
        poll.register(life, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == life:
                    return
                if fd == wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 4096)
                    self._reap()
                elif not self._receive():
                    return

    def end(self) -> None:
        """Ends every task. A runner that is told to takes its program along."""
        for pid in self._tasks:
            os.kill(pid, signal.SIGTERM if self._gentle(pid) else signal.SIGKILL)
        signal.alarm(_END_SECONDS)
        while self._tasks:
            self._forget(os.wait()[0])
        remove_tree(self._level.scratch)

    def _gentle(self, pid: int) -> bool:
        # The first process of a pid namespace takes all others along however it ends.
        return not isinstance(self._level, namespaces.Namespaces)

    # -- messages ----------------------------------------------------------------------------------

    def _receive(self) -> bool:
        data, fds, *_ = socket.recv_fds(self._parent, _MESSAGE_BYTES, 2)
        if not data:
            return False
        message = json.loads(data)
        if "run" in message:
            self._start(message, *fds)
        else:
            for pid, number in self._tasks.items():
                if number == message["kill"]:
                    os.kill(pid, signal.SIGTERM if self._gentle(pid) else signal.SIGKILL)
        return True

    def _start(self, message: dict[str, Any], task: int, results: int) -> None:
        self._number += 1
        cgroup = None
        try:
            self._level.admit(message["readable"])
            if message["processes"] and self._cgroups:
                room = (message["memory_mb"] + _CGROUP_SPARE_MB) << 20
                cgroup = self._cgroups.make(self._number, room, message["processes"] + 1)
            pid = self._level.fork(processes=message["processes"] > 0)
        except OSError as error:
            if cgroup:
                cgroup.remove()
            write_frame(results, BROKEN, {"why": f"sandbox cannot be made: {error}"})
        else:
            if not pid:
                self._run(task, results, message["index"], cgroup)
            self._tasks[pid] = message["run"]
            self._number_of[pid] = self._number
            if cgroup:
                self._cgroup_of[pid] = cgroup
        os.close(task)
        os.close(results)

    def _run(self, task: int, results: int, index: int, cgroup: Cgroup | None) -> None:
        """The runner, which never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._parent.close()
            Runner(self._level, Request(task), results, cgroup).run(self._number, index)
            os._exit(0)
        except BaseException as error:
            try:
                write_frame(results, BROKEN, {"why": f"sandbox failed: {error!r}"})
            finally:
                os._exit(1)

    def _reap(self) -> None:
        while self._tasks:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        if self._tasks.pop(pid, None) is None:
            return
        if cgroup := self._cgroup_of.pop(pid, None):
            cgroup.remove()
        remove_tree(self._level.folder(self._number_of.pop(pid)))


def _load_numpy(site: str) -> list[str]:
    """Imports it from a folder that is not searched for anything else. Returns what it reads."""
    sys.path.append(site)
    import numpy as np

    sys.path.remove(site)
    folder = os.path.dirname(os.path.realpath(np.__file__))
    return [folder, f"{folder}.libs"]
