"""What is said of a program from how its process ended: causes are looked for in an order.

Time comes first, as a program that was stopped ends in any way; then memory, as the want of it ends
in a crash; then output; and what is left is the program's own failure.
"""

from __future__ import annotations

import re
import signal

from r1_code.sandbox.task import Bounds, Ending
from r1cli import Execution

MEMORY_SIGNALS = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP)
NEARLY_ALL = 0.95
OUT_OF_MEMORY = re.compile(
    rb"MemoryError|bad_alloc|OutOfMemoryError|[Oo]ut of memory|heap out of memory"
    rb"|memory allocation of|[Cc]annot allocate memory|virtual memory exhausted"
)
TAIL = 8192  # bytes of stderr in which a runtime's last words are looked for


def verdict(ending: Ending, bounds: Bounds, memory_mb: int) -> Execution:
    """The status of one process and, in one line, why. `memory_mb` is what it was promised."""
    status, message = _status(ending, bounds, memory_mb)
    return Execution(
        status,
        stdout=ending.stdout,
        stderr=ending.stderr,
        exit_code=ending.exit_code if ending.signal is None else None,
        signal=ending.signal,
        cpu_seconds=ending.cpu_seconds,
        wall_seconds=ending.wall_seconds,
        peak_mb=ending.peak_mb,
        truncated=ending.truncated,
        message=message,
    )


def _status(ending: Ending, bounds: Bounds, memory_mb: int) -> tuple[str, str]:
    if ending.broken:
        return "sandbox_error", ending.broken
    if ending.cpu_seconds > bounds.cpu_seconds or ending.signal == signal.SIGXCPU:
        return "time_limit", f"used more than {bounds.cpu_seconds:g} CPU seconds"
    if ending.stopped == "wall":
        used = f"having used {ending.cpu_seconds:.2f} CPU seconds"
        return "time_limit", f"did not end within {bounds.wall_seconds:g} s, {used}"
    if _wanted_memory(ending, memory_mb):
        return "memory_limit", f"needed more than {memory_mb} MB"
    if ending.stopped == "output" or ending.truncated:
        return "output_limit", f"wrote more than {bounds.output_bytes} bytes"
    if ending.signal == signal.SIGXFSZ:
        return "output_limit", f"wrote a file of more than {bounds.disk_mb} MB"
    if ending.signal is not None:
        return "runtime_error", f"ended by {_name(ending.signal)}"
    if ending.exit_code:
        return "runtime_error", f"exit code {ending.exit_code}"
    return "ok", ""


def _wanted_memory(ending: Ending, memory_mb: int) -> bool:
    if ending.oom:
        return True
    if ending.signal in MEMORY_SIGNALS and ending.peak_mb >= NEARLY_ALL * memory_mb:
        return True
    failed = ending.signal is not None or ending.exit_code != 0
    return failed and OUT_OF_MEMORY.search(ending.stderr[-TAIL:]) is not None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
