"""What the kernel lets a tested process use."""

from __future__ import annotations

import math
import resource

from .wire import Request

THREADS = 256
"""As many may run in a process that may not fork."""

MEGABYTE = 1 << 20
_NONE = ("CORE", "MEMLOCK", "MSGQUEUE", "NICE", "RTPRIO")
_CPU_GRACE_SECONDS = 1  # between SIGXCPU, which can be handled, and SIGKILL


def file_bytes(request: Request, writable: bool) -> int:
    """How long a file may grow, its output being one: past it comes SIGXFSZ.

    Output is cut at `output_bytes` where it is read. Beyond that it can only grow as far as files
    may, where the program may write some.
    """
    disk = request.disk_mb * MEGABYTE if writable else 0
    return max(disk, request.output_bytes + 1)


def limit(request: Request, *, writable: bool, processes: int) -> None:
    """Limits the calling process for good. `processes` counts all threads of the uid."""
    cpu = math.ceil(request.cpu_seconds)
    _set("CPU", cpu, cpu + _CPU_GRACE_SECONDS)
    _set("DATA", request.data_mb * MEGABYTE)
    _set("STACK", request.stack_mb * MEGABYTE)
    _set("FSIZE", file_bytes(request, writable))
    _set("NOFILE", request.open_files)
    _set("NPROC", processes)
    _set("SIGPENDING", 256)
    for name in _NONE:
        _set(name, 0)


def _set(name: str, soft: int, hard: int | None = None) -> None:
    """At most what is allowed already: nobody can raise a limit in here."""
    number = getattr(resource, f"RLIMIT_{name}", None)
    if number is None:
        return
    most = resource.getrlimit(number)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(soft if hard is None else hard, most)
    resource.setrlimit(number, (soft, soft if hard is None else hard))
