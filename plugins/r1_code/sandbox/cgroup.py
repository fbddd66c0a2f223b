"""A memory and a pids cgroup around a task of several processes, where cgroups can be made (root).

Without one each process has its own limit, and together they may use as many times that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

MOUNTED = "/sys/fs/cgroup"


class Cgroups:
    """Where this zygote may make cgroups; found by making one."""

    def __init__(self, name: str) -> None:
        self._name = name
        for folders in _candidates():
            self._folders = folders
            try:
                self.make(0, 64 << 20, 8).remove()
                return
            except OSError:
                continue
        raise OSError("no cgroup can be made here")

    def make(self, number: int, memory_bytes: int, threads: int) -> Cgroup:
        """Raises OSError."""
        paths = [f"{folder}/{self._name}-{number}" for folder in self._folders]
        return Cgroup(paths, memory_bytes, threads)


class Cgroup:
    def __init__(self, paths: list[str], memory_bytes: int, threads: int) -> None:
        self._paths = paths
        self._joins: list[int] = []
        self._events = -1
        try:
            for path in paths:
                os.mkdir(path, 0o755)
            memory, pids = paths[0], paths[-1]
            if os.path.exists(f"{memory}/memory.max"):
                _write(f"{memory}/memory.max", memory_bytes)
                _write(f"{memory}/memory.swap.max", 0, needed=False)
                events = "memory.events"
            else:
                _write(f"{memory}/memory.limit_in_bytes", memory_bytes)
                _write(f"{memory}/memory.memsw.limit_in_bytes", memory_bytes, needed=False)
                events = "memory.oom_control"
            _write(f"{pids}/pids.max", threads)
            self._events = os.open(f"{memory}/{events}", os.O_RDONLY | os.O_CLOEXEC)
            for path in paths:
                self._joins.append(os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            self.remove()
            raise

    def join(self) -> None:
        """Moves the calling process in; works in a sandbox, as the files were opened outside."""
        for fd in self._joins:
            os.write(fd, b"0")

    def kills(self) -> int:
        """How many processes the kernel killed because the memory was used up."""
        for line in os.pread(self._events, 4096, 0).splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return 0

    def remove(self) -> None:
        """Once everything in it has ended."""
        for fd in [*self._joins, self._events]:
            if fd >= 0:
                os.close(fd)
        self._joins, self._events = [], -1
        for path in self._paths:
            for _ in range(20):
                try:
                    os.rmdir(path)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.005)  # the kernel is still taking the last process apart


def _candidates() -> Iterator[list[str]]:
    """Folders for the memory and the pids controller: beside this process, else at the top."""
    own = {}
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own[controllers] = path
    if "memory" in own and "pids" in own:
        yield [f"{MOUNTED}/{name}{own[name].rstrip('/')}" for name in ("memory", "pids")]
        yield [f"{MOUNTED}/memory", f"{MOUNTED}/pids"]
    if "" in own:
        yield [f"{MOUNTED}{own[''].rstrip('/')}"]
        yield [MOUNTED]


def _write(path: str, value: int, *, needed: bool = True) -> None:
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)
    except OSError:
        if needed:
            raise
