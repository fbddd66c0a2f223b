"""The process that programs are forked from. Small, started once per core, with nothing of the
parent's in it: no environment, no descriptors, no libraries.

It is no part of the package `r1_code` at run time, whose imports would cost it and every program
start-up and memory: it is started by path as `sandbox.zygote` (see worker.py). It ends when its
parent's end of the socket closes, and everything that it started ends with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import marshal
import os
import select
import signal
import socket
import sys
from typing import Any, NamedTuple

from . import landlocked, namespaces
from .bubblewrap import Bubblewrap
from .cgroup import Cgroup, Cgroups
from .folders import remove_tree
from .level import Level
from .limits import limit_zygote
from .readable import SYSTEM, python_paths
from .runner import Runner, environment_in
from .warm_python import PRELOADED, make_ready
from .wire import BROKEN, Request, frame, write_all

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


class _Runner(NamedTuple):
    pid: int
    task: int  # the parent's number
    number: int  # our own
    cgroup: Cgroup | None


class Zygote:
    def __init__(self, parent: socket.socket, level: Level, site: str) -> None:
        self._parent, self._level = parent, level
        self._runners: dict[int, _Runner] = {}  # by pidfd
        self._poll = select.poll()
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
        limit_zygote()
        make_ready(environment_in(level.home))
        gc.collect()
        gc.disable()
        gc.freeze()

    def serve(self, life: int) -> None:
        """Until the parent is gone.

        Its process is watched beside its end of the socket, of which a fork may hold a copy.
        """
        self._poll.register(self._parent.fileno(), select.POLLIN)
        self._poll.register(life, select.POLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd == life:
                    return
                if fd in self._runners:
                    self._forget(fd)
                elif not self._receive():
                    return

    def end(self) -> None:
        """Ends every task."""
        for runner in self._runners.values():
            self._kill(runner.pid)
        signal.alarm(_END_SECONDS)
        while self._runners:
            self._forget(next(iter(self._runners)))
        remove_tree(self._level.scratch)

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM if self._level.gentle else signal.SIGKILL)

    # -- messages ----------------------------------------------------------------------------------

    def _receive(self) -> bool:
        data, fds, *_ = socket.recv_fds(self._parent, _MESSAGE_BYTES, 2)
        if not data:
            return False
        message = marshal.loads(data)
        if "run" in message:
            self._start(message, *fds)
        else:
            for runner in self._runners.values():
                if runner.task == message["kill"]:
                    self._kill(runner.pid)
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
            write_all(results, frame(BROKEN, {"why": f"sandbox cannot be made: {error}"}))
        else:
            if not pid:
                self._run(task, results, message["index"], cgroup)
            end = os.pidfd_open(pid)
            self._runners[end] = _Runner(pid, message["run"], self._number, cgroup)
            self._poll.register(end, select.POLLIN)
        os.close(task)
        os.close(results)

    def _run(self, task: int, results: int, index: int, cgroup: Cgroup | None) -> None:
        """The runner, which never returns."""
        try:
            self._parent.close()
            Runner(self._level, Request(task), results, cgroup).run(self._number, index)
            os._exit(0)
        except BaseException as error:
            try:
                write_all(results, frame(BROKEN, {"why": f"sandbox failed: {error!r}"}))
            finally:
                os._exit(1)

    def _forget(self, end: int) -> None:
        runner = self._runners.pop(end)
        self._poll.unregister(end)
        os.close(end)
        os.waitpid(runner.pid, 0)
        if runner.cgroup:
            runner.cgroup.remove()
        self._level.clean(runner.number)


def _load_numpy(site: str) -> list[str]:
    """Imports it from a folder that is not searched for anything else. Returns what it reads."""
    sys.path.append(site)
    import numpy as np

    sys.path.remove(site)
    folder = os.path.dirname(os.path.realpath(np.__file__))
    return [folder, f"{folder}.libs"]
