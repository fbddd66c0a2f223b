"""What is said of a program from how its process ended, and which cause is looked for first."""

import signal

import pytest

from r1_code.sandbox.task import Bounds, Ending
from r1_code.verdict import verdict

BOUNDS = Bounds(
    cpu_seconds=2, wall_seconds=5, data_mb=100, stack_mb=64, output_bytes=1000, disk_mb=16
)
KILLED = {"exit_code": None, "signal": signal.SIGKILL}

CASES = {
    "well": (Ending(exit_code=0, stdout=b"out"), "ok", ""),
    "exit code": (Ending(exit_code=3), "runtime_error", "exit code 3"),
    "signal": (Ending(signal=signal.SIGSEGV), "runtime_error", "ended by SIGSEGV"),
    "real-time signal": (Ending(signal=40), "runtime_error", "ended by signal 40"),
    "cpu": (Ending(signal=signal.SIGXCPU, cpu_seconds=2.0), "time_limit", "2 CPU seconds"),
    "cpu, then the hard limit": (Ending(**KILLED, cpu_seconds=3.0), "time_limit", "CPU"),
    "cpu, and went on to end well": (Ending(exit_code=0, cpu_seconds=2.5), "time_limit", "CPU"),
    "slept": (
        Ending(**KILLED, cpu_seconds=0.01, stopped="wall"),
        "time_limit",
        "did not end within 5 s, having used 0.01 CPU seconds",
    ),
    "killed by itself": (Ending(**KILLED), "runtime_error", "ended by SIGKILL"),
    "killed at the top": (Ending(**KILLED, peak_mb=96), "memory_limit", "100 MB"),
    "at the top, ended well": (Ending(exit_code=0, peak_mb=99), "ok", ""),
    "cgroup": (Ending(**KILLED, oom=True), "memory_limit", "100 MB"),
    "python": (Ending(exit_code=1, stderr=b"...\nMemoryError\n"), "memory_limit", "100 MB"),
    "c++": (
        Ending(signal=signal.SIGABRT, stderr=b"what():  std::bad_alloc\n"),
        "memory_limit",
        "100 MB",
    ),
    "node": (
        Ending(signal=signal.SIGABRT, stderr=b"FATAL ERROR: JavaScript heap out of memory\n"),
        "memory_limit",
        "100 MB",
    ),
    "java": (
        Ending(exit_code=1, stderr=b"java.lang.OutOfMemoryError: Java heap space\n"),
        "memory_limit",
        "100 MB",
    ),
    "rust": (
        Ending(signal=signal.SIGABRT, stderr=b"memory allocation of 8 bytes failed\n"),
        "memory_limit",
        "100 MB",
    ),
    "talks of memory, ends well": (Ending(exit_code=0, stderr=b"MemoryError"), "ok", ""),
    "time before memory": (
        Ending(**KILLED, peak_mb=100, cpu_seconds=2.1),
        "time_limit",
        "2 CPU seconds",
    ),
    "output": (
        Ending(**KILLED, stdout=b"x", truncated=True, stopped="output"),
        "output_limit",
        "1000 bytes",
    ),
    "output, ended before it was stopped": (
        Ending(exit_code=0, truncated=True),
        "output_limit",
        "1000 bytes",
    ),
    "file": (Ending(signal=signal.SIGXFSZ), "output_limit", "16 MB"),
    "broken": (
        Ending(exit_code=0, broken="the zygote is gone"),
        "sandbox_error",
        "the zygote is gone",
    ),
}


@pytest.mark.parametrize(("ending", "status", "message"), CASES.values(), ids=CASES)
def test_a_cause_is_found(ending, status, message):
    execution = verdict(ending, BOUNDS, memory_mb=100)
    assert execution.status == status
    assert message in execution.message
    assert (execution.message == "") == (status == "ok")
    assert "\n" not in execution.message


def test_what_was_measured_and_written_is_passed_on():
    ending = Ending(
        signal=signal.SIGSEGV,
        stdout=b"\xff\0",
        stderr=b"e",
        cpu_seconds=0.5,
        wall_seconds=0.75,
        peak_mb=12,
    )
    execution = verdict(ending, BOUNDS, memory_mb=100)
    assert (execution.stdout, execution.stderr) == (b"\xff\0", b"e")
    assert (execution.exit_code, execution.signal) == (None, signal.SIGSEGV)
    assert (execution.cpu_seconds, execution.wall_seconds, execution.peak_mb) == (0.5, 0.75, 12)
