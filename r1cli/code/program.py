"""What is to be run, what came of it, and what a provider can do: the words of code execution.

Nothing here holds an expected output. A provider runs and never judges: what a solution printed is
compared outside the sandbox it ran in, so there is nothing in there to be read.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Status = Literal[
    "ok",
    "compile_error",
    "runtime_error",
    "time_limit",
    "memory_limit",
    "output_limit",
    "sandbox_error",
]
"""How an execution ended. All but `sandbox_error` are the program's doing; that one is ours."""


@dataclass(frozen=True)
class Limits:
    """What one execution may take; a compilation has `compile_seconds` and at least 1 GB.

    `cpu_seconds` decides the verdict, so that a loaded machine fails nobody; `wall_seconds` (unset:
    twice that and a second) ends what sleeps. `output_bytes` bounds each of stdout and stderr,
    `disk_mb` all files together. `processes` may be started beside the program itself; threads are
    free.
    """

    cpu_seconds: float = 10.0
    wall_seconds: float | None = None
    memory_mb: int = 512
    output_bytes: int = 1 << 20
    disk_mb: int = 16
    processes: int = 0
    compile_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name == "processes" else 1 if isinstance(value, int) else 0.001
            if value is not None and not least <= value < math.inf:
                raise ValueError(f"{name} {value} is not a number from {least} on")

    @property
    def wall(self) -> float:
        return 2 * self.cpu_seconds + 1 if self.wall_seconds is None else self.wall_seconds


@dataclass(frozen=True)
class Input:
    """What one execution is given: bytes on stdin, and files in its working directory."""

    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """One source, compiled once and run on every input, each time as a new process.

    `language` is a name that the provider declares; `files` stand beside the source for every
    input. With `stop_at_failure` nothing is run after the first execution that is not `ok`, and the
    result is shorter than `inputs`.
    """

    language: str
    source: str
    inputs: Sequence[Input] = (Input(),)
    files: Mapping[str, bytes] = field(default_factory=dict)
    args: Sequence[str] = ()
    limits: Limits = Limits()
    stop_at_failure: bool = False

    def key(self) -> bytes:
        """A digest of everything that decides the result."""
        parts: list[object] = [self.language, self.source, tuple(self.args), self.limits]
        parts += [self.stop_at_failure, sorted(self.files.items())]
        parts += [(i.stdin, sorted(i.files.items())) for i in self.inputs]
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            digest.update(repr(part).encode(errors="surrogatepass"))
        return digest.digest()


@dataclass(frozen=True)
class Execution:
    """How a program ended on one input, or how its compilation ended.

    `exit_code` is None where a signal ended it, and then `signal` says which. `peak_mb` is None
    where the provider cannot tell. `truncated` means that `stdout` or `stderr` is cut off.
    `message` says more in one line: what was missing, which limit, how the sandbox broke.
    """

    status: Status
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    peak_mb: float | None = None
    truncated: bool = False
    message: str = ""


@dataclass(frozen=True)
class ProgramResult:
    """What came of a program: one execution per input, in order; none where it did not compile.

    `compilation` is None for a language that is not compiled and where the compiler was never
    reached. A sandbox that broke before the program was run leaves one `sandbox_error` execution.
    `isolation` is the provider's word for what held the program in; `cached` means that nothing was
    run, because the same program had been run before.
    """

    executions: Sequence[Execution]
    compilation: Execution | None = None
    provider: str = ""
    isolation: str = ""
    cached: bool = False

    @property
    def status(self) -> Status:
        """The first status that is not `ok`, the compiler's included."""
        stages = [self.compilation, *self.executions] if self.compilation else self.executions
        return next((stage.status for stage in stages if stage.status != "ok"), "ok")

    @property
    def broken(self) -> bool:
        """Whether infrastructure failed anywhere, so that the result says nothing of the program"""
        stages = [self.compilation, *self.executions] if self.compilation else self.executions
        return any(stage.status == "sandbox_error" for stage in stages)


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, known once it is open. A program that asks for more is refused.

    `isolation` names what holds a program in. `languages` are all names that `Program.language` may
    have. `missing` are languages it would have if something were installed, and what. The `max_`
    limits are the provider's own; None means that it has none.
    """

    languages: Sequence[str]
    isolation: str
    stdin: bool = True
    files: bool = True
    args: bool = True
    max_inputs: int | None = None
    max_cpu_seconds: float | None = None
    max_wall_seconds: float | None = None
    max_memory_mb: int | None = None
    max_processes: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


class CodeProvider(Protocol):
    """Runs programs and judges none. Entered, used and left on one event loop.

    `run` may be called many times at once; how many programs are under way together is the
    provider's to decide. What the program does ends as a status. Infrastructure that fails is a
    `sandbox_error` execution; `ProviderError` is for what no retry would mend (no key, no compiler)
    and stops the run.
    """

    capabilities: Capabilities

    async def __aenter__(self) -> CodeProvider: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def run(self, program: Program) -> ProgramResult: ...
