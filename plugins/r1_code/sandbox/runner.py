"""What runs a task inside its sandbox: one new process per input, watched until it ends.

The runner executes nothing of the program's. It tells how a process ended by what the kernel says
of it, and reads output from files that it made itself, so no program can say anything of its own
end; and it is held in as well, in all but starting and ending processes.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from . import warm_python
from .cgroup import Cgroup
from .fetching import fetched, look
from .level import Level, has_files
from .limits import limits_of
from .syscalls import clone
from .watching import watch
from .wire import BROKEN, DONE, FILE, GO_ON, Request, ending_frame, frame, write_all

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_STARTED, _COMPILED = b"", b"\0"


def environment_in(home: str) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "HOME": home,
        "TMPDIR": home,
    }


class Runner:
    """Of one task, on the inputs from `index` on; what comes of it is written to `results`."""

    def __init__(
        self, level: Level, request: Request, results: int, cgroup: Cgroup | None = None
    ) -> None:
        self.level, self.request, self.results, self.cgroup = level, request, results, cgroup
        self._source = request.source if request.python and level.warm else None
        self._code: Any = None
        self._compiles = False
        self._pid = 0  # of the tested process, while there is one
        self._told = os.memfd_create("told")  # what new processes say before they are the program's
        self._heard = 0

    def run(self, number: int, index: int) -> None:
        request, level = self.request, self.level
        if level.gentle:
            signal.signal(signal.SIGTERM, self._stop)
        try:
            level.enter(request, number, index)
            self._prepare()
        except Exception as error:
            return self._say(frame(BROKEN, {"why": f"sandbox cannot be entered: {error}"}))
        writable, count = level.writable(request), len(request.inputs)
        before = look(".") if writable and (request.fetch or count - index > 1) else {}
        said = b""  # what is not yet told: the last of it goes with the end, in one piece
        while index < count:
            self._say(said)
            ending, stdout, stderr = self._one(index)
            if "broken" in ending:
                return self._say(frame(BROKEN, {"why": ending["broken"]}))
            said = ending_frame(ending, stdout, stderr)
            index += 1
            failed = ending["code"] or ending["stopped"]
            slow = ending["cpu_seconds"] > request.cpu_seconds
            if index == count or (request.stop_at_failure and (failed or slow)):
                break
            own_files = request.inputs[index - 1][1] or request.inputs[index][1]
            if own_files or (writable and look(".") != before):
                return self._say(said + frame(GO_ON, {"index": index}))
        files = fetched(request.fetch, before, request.disk_mb << 20)
        frames = [frame(FILE, {"name": name}, data) for name, data in files]
        return self._say(b"".join((said, *frames, frame(DONE, {}))))

    def _say(self, frames: bytes) -> None:
        write_all(self.results, frames)

    def _prepare(self) -> None:
        """What would be the same in every tested process. It is in the sandbox already."""
        request, level, home = self.request, self.level, os.getcwd()
        self._environment = {**environment_in(home), **request.environment}
        self._alone = level.alone(request)
        writable, processes = level.writable(request), level.processes(request)
        self._limits = limits_of(request, writable=writable, processes=processes)
        if self._source is None:
            # Python ignores them. Here they could only mean that nobody reads the results.
            for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(ignored, signal.SIG_DFL)
        else:
            self._main = warm_python.main_module(self._source, request.argv, self._environment)
            self._draws = b"random" in self._source or has_files(request)

    # -- one input ---------------------------------------------------------------------------------

    def _one(self, index: int) -> tuple[dict[str, Any], bytes, bytes]:
        """How it ended, and what it wrote to stdout and stderr."""
        if self._compiles and self._code is None and self._source is not None:
            # It was compiled within limits once, so it is safe to do here, for all further inputs.
            self._code = warm_python.compiled(self._source)
        given = self._stdin(self.request.inputs[index][0])
        written = [os.memfd_create(name) for name in ("stdout", "stderr")]
        started = time.monotonic()
        pid = clone()
        if not pid:
            self._become_program(given, *written)
        self._pid = pid
        os.close(given)
        about = self._watched(pid, written, started)
        said = os.pread(self._told, 1024, self._heard)
        self._heard += len(said)
        if said not in (_STARTED, _COMPILED):
            about = {"broken": f"program cannot be started: {said.decode(errors='replace')}"}
        elif said == _COMPILED:
            self._compiles = True
        kept = []
        for fd in written:
            size = os.fstat(fd).st_size
            kept.append(os.pread(fd, min(size, self.request.output_bytes), 0) if size else b"")
            os.close(fd)
            if size > self.request.output_bytes:
                about["truncated"], about["stopped"] = True, about.get("stopped") or "output"
        return about, kept[0], kept[1]

    def _stdin(self, place: list[int]) -> int:
        fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.request.copy(place, fd)
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        return fd

    def _watched(self, pid: int, written: list[int], started: float) -> dict[str, Any]:
        """Until the process has ended and all that it started is gone."""
        killed_before = self.cgroup.kills() if self.cgroup else 0
        stopped, wall = watch(
            pid, written, started, self.request, kill=partial(self.level.kill, pid)
        )
        if not self._alone:
            self.level.kill(pid)
        _, status, used = os.wait4(pid, 0)
        self._pid = 0
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss
        for used in () if self._alone else self._rest(pid):
            cpu, peak = cpu + used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "cpu_seconds": cpu,
            "wall_seconds": wall,
            "peak_mb": peak / 1024,
            "stopped": stopped,
            "truncated": False,
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

    def _become_program(self, stdin: int, stdout: int, stderr: int) -> None:
        """Never returns."""
        request, level, tell = self.request, self.level, self._told
        try:
            if level.gentle:
                self._pid = 0
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()
            if self.cgroup:
                self.cgroup.join()
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            for limit, pair in self._limits:
                resource.setrlimit(limit, pair)
            level.restrict(request)
            tell = os.dup2(tell, 3, inheritable=False)
            os.closerange(4, 1 << 20)
            if self._source is None:
                argv = level.command(request)
                os.execve(argv[0], argv, self._environment)  # noqa: S606
            code = self._code
            if code is None:
                try:
                    code = warm_python.compiled(self._source)
                    os.write(tell, _COMPILED)
                except Exception as error:  # SyntaxError, MemoryError, RecursionError, ValueError
                    code = error.with_traceback(None)
            os.close(tell)
            warm_python.run(code, self._main, draws=self._draws)
        except BaseException as error:
            os.write(tell, str(error).encode() or b"unknown")
        finally:
            os._exit(125)
