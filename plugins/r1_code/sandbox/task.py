"""What a sandbox is asked to run, and how that ended, before anyone calls it right or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from r1cli import Input


@dataclass(frozen=True)
class Bounds:
    """Limits as the kernel takes them. `data_mb` is RLIMIT_DATA: RLIMIT_AS breaks node, java, go.

    `processes` may be started beside the first; 0 makes fork fail while threads work.
    """

    cpu_seconds: float
    wall_seconds: float
    data_mb: int
    stack_mb: int
    output_bytes: int
    disk_mb: int
    processes: int = 0
    open_files: int = 64


@dataclass(frozen=True)
class Task:
    """One sandbox: files, and a command that is run once per input, each time a new process.

    `argv` starts with an absolute path, or with `./name` for one of `files` (which are then
    executable). `python` instead is source for the warm interpreter (`argv` is then its sys.argv).
    `readable` are host paths that the command may read and execute beside the system's own
    libraries. `fetch` names files of the working directory to be handed back after the last input;
    `*` means all that the command made.
    """

    bounds: Bounds
    argv: Sequence[str] = ()
    python: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    inputs: Sequence[Input] = (Input(),)
    environment: Mapping[str, str] = field(default_factory=dict)
    readable: Sequence[str] = ()
    fetch: Sequence[str] = ()
    stop_at_failure: bool = False


@dataclass(frozen=True)
class Ending:
    """How one process ended: its wait status, what it used, what it wrote.

    `stopped` says that the sandbox ended it and why; `broken` that the sandbox itself failed, in
    one line, and then nothing else counts. `oom` means that a memory cgroup killed it.
    """

    exit_code: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_mb: float = 0.0
    stopped: Literal["", "wall", "output"] = ""
    oom: bool = False
    broken: str = ""


@dataclass(frozen=True)
class TaskResult:
    """One ending per input that was run, the files that were fetched, and what held it in."""

    endings: Sequence[Ending]
    isolation: str
    files: Mapping[str, bytes] = field(default_factory=dict)
