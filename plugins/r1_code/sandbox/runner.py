"""What runs a task inside its sandbox: one new process per input, watched until it ends.

The runner executes nothing of the program's. It tells how a process ended by what the kernel says
of it, and reads output from files that it made itself, so no program can say anything of its own
end; and it is held in as well, in all but starting and ending processes.
"""

# pathlib would cost every program that is forked from here memory.
# ruff: noqa: PTH109, PTH123

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
import time
from collections.abc import Iterator
from typing import Any

from . import warm_python
from .cgroup import Cgroup
from .level import Level
from .limits import limit
from .wire import BROKEN, DONE, ENDING, FILE, GO_ON, Request, write_frame

_TICK_SECONDS = 0.02
_GRACE_SECONDS = 0.5  # of CPU, between SIGXCPU, which can be handled, and SIGKILL
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_STARTED, _COMPILED = b"", b"\0"
_MAX_FETCHED = 1024
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


class Runner:
    """Of one task, on the inputs from `index` on; what comes of it is written to `results`."""

    def __init__(
        self, level: Level, request: Request, results: int, cgroup: Cgroup | None = None
    ) -> None:
        self.level, self.request, self.results, self.cgroup = level, request, results, cgroup
        self._source = request.read(request.python) if request.python and level.warm else None
        self._code: Any = None
        self._pid = 0  # of the tested process, while there is one

    def run(self, number: int, index: int) -> None:
        request = self.request
        signal.signal(signal.SIGTERM, self._stop)
        try:
            self.level.enter(request, number, index)
        except Exception as error:
            write_frame(self.results, BROKEN, {"why": f"sandbox cannot be entered: {error}"})
            return None
        writable = self.level.writable(request)
        before = _look(".") if writable else {}
        count = len(request.inputs)
        while index < count:
            ending = self._one(index)
            if "broken" in ending[0]:
                write_frame(self.results, BROKEN, {"why": ending[0]["broken"]})
                return None
            write_frame(self.results, ENDING, *ending)
            index += 1
            failed = any(ending[0].get(name) for name in ("exit_code", "signal", "stopped"))
            if request.stop_at_failure and (
                failed or ending[0]["cpu_seconds"] > request.cpu_seconds
            ):
                break
            more = index < count
            if more and (request.inputs[index - 1][1] or request.inputs[index][1]):
                return write_frame(self.results, GO_ON, {"index": index})
            if more and writable and _look(".") != before:
                return write_frame(self.results, GO_ON, {"index": index})
        self._fetch(before)
        write_frame(self.results, DONE, {})
        return None

    # -- one input ---------------------------------------------------------------------------------

    def _one(self, index: int) -> tuple[dict[str, Any], bytes, bytes]:
        given = self._stdin(self.request.inputs[index][0])
        written = [os.memfd_create(name) for name in ("stdout", "stderr")]
        told, tell = os.pipe()
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            self._become_program(given, *written, tell)
        self._pid = pid
        os.close(tell)
        os.close(given)
        about = self._watched(pid, written, started)
        said = os.read(told, 1024)
        os.close(told)
        if said not in (_STARTED, _COMPILED):
            about = {"broken": f"program cannot be started: {said.decode(errors='replace')}"}
        elif said == _COMPILED and self._code is None and self._source is not None:
            # It was compiled within limits once, so it is safe to do here, for all further inputs.
            self._code = warm_python.compiled(self._source)
        kept = []
        for fd in written:
            size = os.fstat(fd).st_size
            kept.append(os.pread(fd, min(size, self.request.output_bytes), 0))
            about["truncated"] = about.get("truncated", False) or size > self.request.output_bytes
            os.close(fd)
        if about["truncated"]:
            about["stopped"] = about.get("stopped") or "output"
        return about, *kept

    def _stdin(self, place: list[int]) -> int:
        fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.request.copy(place, fd)
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        return fd

    def _watched(self, pid: int, written: list[int], started: float) -> dict[str, Any]:
        """Until the process has ended and all that it started is gone."""
        request, stopped, warned = self.request, "", False
        killed_before = self.cgroup.kills() if self.cgroup else 0
        clock = (~pid << 3) | 2  # the process's CPU clock (posix-cpu-timers.c)
        end = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(end, select.POLLIN)
        while not poll.poll(_TICK_SECONDS * 1000):
            if time.monotonic() - started > request.wall_seconds:
                stopped = "wall"
            elif any(os.fstat(fd).st_size > request.output_bytes for fd in written):
                stopped = "output"
            else:
                # RLIMIT_CPU knows whole seconds only.
                over = time.clock_gettime(clock) - request.cpu_seconds
                if over > 0 and not warned:
                    os.kill(pid, signal.SIGXCPU)
                    warned = True
                elif over > _GRACE_SECONDS:
                    os.kill(pid, signal.SIGKILL)
            if stopped:
                self.level.kill(pid)
                break
        poll.poll()
        wall = time.monotonic() - started
        os.close(end)
        self.level.kill(pid)
        _, status, used = os.wait4(pid, 0)
        self._pid = 0
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss
        for used in self._rest(pid):
            cpu, peak = cpu + used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss)
        code = os.waitstatus_to_exitcode(status)
        return {
            "exit_code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "cpu_seconds": cpu,
            "wall_seconds": wall,
            "peak_mb": peak / 1024,
            "stopped": stopped,
            "oom": bool(self.cgroup and self.cgroup.kills() > killed_before),
        }

    def _rest(self, pid: int) -> Iterator[Any]:
        """What the processes used that were left behind, each of which is killed."""
        while True:
            self.level.kill(pid)
            try:
                yield os.wait4(-1, 0)[2]
            except ChildProcessError:
                return

    def _stop(self, *_: object) -> None:
        """The zygote has died, or wants this to end."""
        if self._pid:
            self.level.kill(self._pid)
        os._exit(1)

    # -- in the new process ------------------------------------------------------------------------

    def _become_program(self, stdin: int, stdout: int, stderr: int, tell: int) -> None:
        """Never returns."""
        request, level = self.request, self.level
        try:
            self._pid = 0
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()
            if self.cgroup:
                self.cgroup.join()
            for number, fd in enumerate((stdin, stdout, stderr)):
                os.dup2(fd, number)
            writable, processes = level.writable(request), level.processes(request)
            limit(request, writable=writable, processes=processes)
            level.restrict(request)
            tell = os.dup2(tell, 3, inheritable=False)
            os.closerange(4, 1 << 20)
            home = os.getcwd()
            environment = {**_ENVIRONMENT, "HOME": home, "TMPDIR": home, **request.environment}
            if self._source is None:
                for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
                    signal.signal(ignored, signal.SIG_DFL)
                argv = level.command(request)
                os.execve(argv[0], argv, environment)  # noqa: S606
            code = self._code
            if code is None:
                try:
                    code = warm_python.compiled(self._source)
                    os.write(tell, _COMPILED)
                except Exception as error:  # SyntaxError, MemoryError, RecursionError, ValueError
                    code = error.with_traceback(None)
            os.close(tell)
            warm_python.run(code, self._source, request.argv, environment)
        except BaseException as error:
            os.write(tell, str(error).encode() or b"unknown")
        finally:
            os._exit(125)

    # -- files -------------------------------------------------------------------------------------

    def _fetch(self, before: dict[str, tuple[int, ...]]) -> None:
        request = self.request
        if not request.fetch:
            return
        everything = "*" in request.fetch
        room = request.disk_mb << 20
        after = _look(".", max_entries=_MAX_FETCHED)
        for path, about in after.items():
            name = path.removeprefix("./")
            wanted = name in request.fetch or (everything and before.get(path) != about)
            if not wanted or not stat.S_ISREG(about[0]) or about[1] > room:
                continue
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue  # a file that may not be read is none of its results
            with open(fd, "rb") as file:
                data = file.read()
            room -= len(data)
            write_frame(self.results, FILE, {"name": name}, data)


def _look(folder: str, depth: int = 8, max_entries: int = 4096) -> dict[str, tuple[int, ...]]:
    """Every path below a folder, and what changes when anything changes it: mode, size, times."""
    seen: dict[str, tuple[int, ...]] = {}
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return {folder: ()}
    for entry in entries[:max_entries]:
        about = entry.stat(follow_symlinks=False)
        seen[entry.path] = (
            about.st_mode,
            about.st_size,
            about.st_ino,
            about.st_mtime_ns,
            about.st_ctime_ns,
        )
        if entry.is_dir(follow_symlinks=False) and depth:
            seen.update(_look(entry.path, depth - 1, max_entries))
    return seen
