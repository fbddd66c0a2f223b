"""How a program ended, as far as a server tells: text for bytes, some figures not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from r1_code.sandbox.task import Bounds, Ending
from r1_code.verdict import verdict
from r1cli import Execution, Limits, ProgramResult, one_line


@dataclass(frozen=True)
class Told:
    """Seconds and MB are None where the server does not measure them."""

    stdout: str
    stderr: str
    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    peak_mb: float | None = None
    stopped: Literal["", "wall", "output"] = ""


def execution(told: Told, limits: Limits) -> Execution:
    """The same verdict as anywhere else. Output beyond its limit is cut here."""
    out, err = (_bytes(text) for text in (told.stdout, told.stderr))
    most = limits.output_bytes
    ending = Ending(
        told.exit_code,
        told.signal,
        out[:most],
        err[:most],
        truncated=told.stopped == "output" or len(out) > most or len(err) > most,
        cpu_seconds=told.cpu_seconds or 0.0,
        wall_seconds=told.wall_seconds or 0.0,
        peak_mb=told.peak_mb or 0.0,
        stopped=told.stopped,
    )
    memory, cpu, wall = limits.memory_mb, limits.cpu_seconds, limits.wall
    bounds = Bounds(cpu, wall, memory, memory, most, limits.disk_mb)
    judged = verdict(ending, bounds, memory)
    if judged.status == "time_limit" and told.cpu_seconds is None:
        judged = replace(judged, message=f"did not end within {wall:g} s")
    return replace(
        judged,
        cpu_seconds=told.cpu_seconds,
        wall_seconds=told.wall_seconds,
        peak_mb=told.peak_mb,
    )


def compilation(told: Told, limits: Limits) -> Execution:
    """How compiling ended: anything but an exit code of 0 is a compile error."""
    failed = told.stopped or told.signal is not None or told.exit_code != 0
    message = f"exit code {told.exit_code}" if failed else ""
    if told.stopped == "wall":
        message = f"compiling did not end within {limits.compile_seconds:g} s"
    elif failed and told.exit_code is None:
        message = "the compiler was killed"
    return Execution(
        "compile_error" if failed else "ok",
        _bytes(told.stdout)[: limits.output_bytes],
        _bytes(told.stderr)[: limits.output_bytes],
        told.exit_code,
        told.signal,
        told.cpu_seconds,
        told.wall_seconds,
        told.peak_mb,
        message=message,
    )


def cause(error: BaseException) -> str:
    """An error by its type and its message, in one line."""
    return one_line(f"{type(error).__name__}: {error}")


def broken(name: str, why: object) -> ProgramResult:
    """Infrastructure failed, so this says nothing of the program."""
    said = Execution("sandbox_error", message=one_line(why))
    return ProgramResult([said], provider=name, isolation=name)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
