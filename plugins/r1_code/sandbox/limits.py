"""What the kernel lets a tested process use."""

from __future__ import annotations

import math
import resource
import sys

from .wire import Request

Limit = tuple[int, tuple[int, int]]

THREADS = 256
"""As many may run in a process that may not fork."""

MEGABYTE = 1 << 20
_NONE = ("CORE", "MEMLOCK", "MSGQUEUE", "NICE", "RTPRIO")
_most: dict[int, int] = {}  # limit: its hard one in this zygote
_CPU_GRACE_SECONDS = 1  # between SIGXCPU, which can be handled, and SIGKILL
_CPU_SPARE = 2  # the kernel keeps this one by counting ticks, on a busy machine far too many


def file_bytes(request: Request, writable: bool) -> int:
    """How long a file may grow, its output being one: past it comes SIGXFSZ.

    Output is cut at `output_bytes` where it is read. Beyond that it can only grow as far as files
    may, where the program may write some.
    """
    disk = request.disk_mb * MEGABYTE if writable else 0
    return max(disk, request.output_bytes + 1)


def limits_of(request: Request, *, writable: bool, processes: int) -> list[Limit]:
    """For resource.setrlimit, in a tested process. `processes` counts all threads of the uid."""
    cpu = math.ceil(request.cpu_seconds * _CPU_SPARE)
    return [
        _limit(resource.RLIMIT_CPU, cpu, cpu + _CPU_GRACE_SECONDS),
        _limit(resource.RLIMIT_DATA, request.data_mb * MEGABYTE),
        _limit(resource.RLIMIT_STACK, request.stack_mb * MEGABYTE),
        _limit(resource.RLIMIT_FSIZE, file_bytes(request, writable)),
        _limit(resource.RLIMIT_NOFILE, request.open_files),
        _limit(resource.RLIMIT_NPROC, processes),
    ]


def limit_zygote() -> None:
    """What nothing in a sandbox needs; and it is noted what was limited before."""
    for name in ("CPU", "DATA", "STACK", "FSIZE", "NOFILE", "NPROC", "SIGPENDING", *_NONE):
        number = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(number)[1]
        _most[number] = sys.maxsize if most == resource.RLIM_INFINITY else most
    for number, pair in (
        _limit(resource.RLIMIT_SIGPENDING, 256),
        *(_limit(getattr(resource, f"RLIMIT_{name}"), 0) for name in _NONE),
    ):
        resource.setrlimit(number, pair)


def _limit(number: int, soft: int, hard: int | None = None) -> Limit:
    """At most what is allowed already: nobody can raise a limit in here."""
    most = _most[number]
    return number, (min(soft, most), min(soft if hard is None else hard, most))
