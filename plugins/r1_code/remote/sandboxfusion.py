"""Provider `sandboxfusion`: servers of github.com/bytedance/SandboxFusion, POST /run_code.

It takes one input per request, so a compiled language is compiled again for each. It measures no
CPU time: the wall-clock limit decides, on a loaded server too.
"""

from __future__ import annotations

import base64
from typing import Any

from r1_code.language import source_bytes
from r1_code.languages import BY_NAME
from r1_code.remote.counts import at_least_one
from r1_code.remote.fleet import Fleet
from r1_code.remote.per_input import Stages, run_each, text
from r1_code.remote.request import Passing
from r1_code.remote.told import Told, compilation, execution
from r1_code.remote.urls import given_urls, share
from r1cli import Capabilities, Input, Program, ProgramResult

VARIABLE = "SANDBOX_FUSION_ENDPOINT"
SLACK_SECONDS = 30.0
OURS = {"python": "python", "cpp": "cpp", "javascript": "nodejs", "java": "java", "go": "go"}
OURS |= {"rust": "rust", "bash": "bash"}
THEIRS = ("typescript", "php", "csharp", "lua", "R", "perl", "ruby", "scala", "julia", "racket")


def sandboxfusion(
    *, endpoints: str | list[str] = "", max_requests_per_endpoint: int = 8
) -> SandboxFusion:
    """Runs programs on SandboxFusion servers.

    `endpoints` are URLs, a list or with commas between; unset, what SANDBOX_FUSION_ENDPOINT says.
    """
    at_least_one("sandboxfusion", max_requests_per_endpoint=max_requests_per_endpoint)
    urls = given_urls("sandboxfusion", endpoints, VARIABLE)
    return SandboxFusion(urls, max_requests_per_endpoint)


class SandboxFusion:
    def __init__(self, endpoints: list[str], tokens: int) -> None:
        self._names = {name: name for name in THEIRS}
        for ours, theirs in OURS.items():
            self._names |= dict.fromkeys(BY_NAME[ours].names, theirs)
        self.capabilities = Capabilities(sorted(self._names), isolation="sandboxfusion", args=False)
        self.fleet = Fleet(
            "sandboxfusion",
            share(sorted(endpoints)),
            tokens=tokens,
            health="/v1/ping",
            help=f"see argument 'endpoints' and {VARIABLE}",
        )

    async def __aenter__(self) -> SandboxFusion:
        await self.fleet.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.fleet.close()

    async def run(self, program: Program) -> ProgramResult:
        """Raises UsageError for what the server refuses."""
        return await run_each("sandboxfusion", program, lambda one: self._execute(program, one))

    async def _execute(self, program: Program, given: Input) -> Stages:
        limits = program.limits

        def read(answer: Any) -> Stages:
            compiled = None
            if answer["status"] == "SandboxError":
                raise Passing(f"the server could not run it: {answer.get('message')}")
            if answer.get("compile_result"):
                compiled = compilation(_told(answer["compile_result"]), limits)
                if compiled.status != "ok":
                    return compiled, None
            return compiled, execution(_told(answer["run_result"]), limits)

        files = {**program.files, **given.files}
        body = {
            "language": self._names[program.language],
            "code": source_bytes(program.source).decode(errors="replace"),
            "stdin": text("sandboxfusion", given.stdin),
            "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
            "compile_timeout": limits.compile_seconds,
            "run_timeout": limits.wall,
            "memory_limit_MB": limits.memory_mb,
        }
        seconds = limits.wall + limits.compile_seconds + SLACK_SECONDS
        return await self.fleet.post("/run_code", body, read, seconds=seconds)


def _told(stage: dict[str, Any]) -> Told:
    status, code = stage["status"], stage.get("return_code")
    if status == "Error":
        raise Passing(f"the server could not run it: {stage.get('stderr')}")
    late = status == "TimeLimitExceeded"
    signal = -code if code is not None and code < 0 else None  # as Python's subprocess says it
    return Told(
        stage.get("stdout") or "",
        stage.get("stderr") or "",
        None if signal else code,
        signal,
        wall_seconds=stage.get("execution_time"),
        stopped="wall" if late else "",
    )
