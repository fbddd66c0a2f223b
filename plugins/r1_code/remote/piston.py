"""Provider `piston`: servers of github.com/engineer-man/piston, API v2.

Both generations of it: since September 2024 the server says a status (RE, SG, TO, OL, EL, XX), CPU
time and memory; before, only an exit code or a signal, and SIGKILL means that the time was up. It
takes one input per request, so a compiled language is compiled again for each. It ends stdin with
a line break where there is none.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from typing import Any

from r1_code.language import source_bytes
from r1_code.languages import BY_NAME, LANGUAGES
from r1_code.remote.counts import at_least_one
from r1_code.remote.fleet import Fleet
from r1_code.remote.per_input import Stages, run_each, text
from r1_code.remote.request import Passing
from r1_code.remote.slurm_workers import slurm_workers
from r1_code.remote.told import Told, compilation, execution
from r1_code.remote.urls import given_urls, share
from r1cli import (
    Capabilities,
    Input,
    Limits,
    Program,
    ProgramResult,
    ProviderError,
    UsageError,
)

VARIABLE = "PISTON_ENDPOINTS"
TOKENS_VARIABLE = "PISTON_MAX_REQUESTS_PER_ENDPOINT"
SLACK_SECONDS = 30.0  # for a server's own queue
COMPILE_MB = 1024
OVERLOADED = "Resource temporarily unavailable"
STOPPED = {"TO": "wall", "OL": "output", "EL": "output"}
SHELL_SIGNALS = {128 + number for number in (4, 6, 7, 8, 9, 11, 24, 25)}  # as bash reports them


def piston(
    *, endpoints: str | list[str] = "", max_requests_per_endpoint: int | None = None
) -> Piston:
    """Runs programs on Piston servers.

    `endpoints` are URLs, a list or with commas between (http://host:2000, or .../api/v2), or
    `slurm` for the running jobs called piston-worker-PORT; unset, what PISTON_ENDPOINTS says. With
    at least as many endpoints as ranks, each rank has its own. `max_requests_per_endpoint` are
    sent at a time (unset: PISTON_MAX_REQUESTS_PER_ENDPOINT, else 1).
    """
    tokens = max_requests_per_endpoint
    if tokens is None:
        said = os.environ.get(TOKENS_VARIABLE) or "1"
        if not said.isdecimal():
            raise UsageError(f"code provider 'piston': {TOKENS_VARIABLE}={said!r} is no number")
        tokens = int(said)
    at_least_one("piston", max_requests_per_endpoint=tokens)
    return Piston(given_urls("piston", endpoints, VARIABLE), tokens)


class Piston:
    capabilities: Capabilities

    def __init__(self, endpoints: list[str], tokens: int) -> None:
        self._given, self._tokens = endpoints, tokens

    async def __aenter__(self) -> Piston:
        urls = self._given
        if urls == ["slurm"]:
            urls = await asyncio.to_thread(slurm_workers)
            if not urls:
                raise ProviderError("no job called piston-worker-PORT is running; see: squeue")
        urls = [url if url.endswith("/api/v2") else f"{url}/api/v2" for url in urls]
        help = f"see argument 'endpoints' and {VARIABLE}"
        self.fleet = Fleet(
            "piston", share(sorted(urls)), tokens=self._tokens, health="/runtimes", help=help
        )
        told = await self.fleet.open()
        try:
            known = [
                {n for one in each for n in (one["language"], *one["aliases"])} for each in told
            ]
        except (TypeError, KeyError):
            await self.fleet.close()
            raise ProviderError(
                f"code provider 'piston': no Piston server answers; {help}"
            ) from None
        self._names = _names(set.intersection(*known))
        self.capabilities = Capabilities(sorted(self._names), isolation="piston")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.fleet.close()

    async def run(self, program: Program) -> ProgramResult:
        """Raises UsageError for what the server refuses: a limit above its own, say."""
        return await run_each("piston", program, lambda given: self._execute(program, given))

    async def _execute(self, program: Program, given: Input) -> Stages:
        limits = program.limits

        def read(answer: Any) -> Stages:
            stages = [answer["run"], *([answer["compile"]] if answer.get("compile") else [])]
            for stage in stages:
                failed = stage["code"] != 0 or stage["signal"]
                if stage.get("status") == "XX" or (failed and OVERLOADED in stage["stderr"]):
                    why = stage.get("message") or stage["stderr"][-200:]
                    raise Passing(f"the server could not run it: {why}")
            compiled = compilation(_told(answer["compile"], limits), limits) if stages[1:] else None
            if compiled and compiled.status != "ok":
                return compiled, None  # `run` is then a copy of `compile`, or not there
            return compiled, execution(_told(answer["run"], limits), limits)

        seconds = limits.wall + limits.compile_seconds + SLACK_SECONDS
        return await self.fleet.post("/execute", self._body(program, given), read, seconds=seconds)

    def _body(self, program: Program, given: Input) -> dict[str, Any]:
        limits = program.limits
        ours = BY_NAME.get(program.language)
        source = {
            "name": ours.source_name(program.source) if ours else "main",
            "content": source_bytes(program.source).decode(errors="replace"),
        }
        # What comes as base64 is not taken for source.
        files = [
            {"name": name, "content": base64.b64encode(data).decode(), "encoding": "base64"}
            for name, data in {**program.files, **given.files}.items()
        ]
        compile_mb = max(COMPILE_MB, limits.memory_mb)
        return {
            "language": self._names[program.language],
            "version": "*",
            "files": [source, *files],
            "stdin": text("piston", given.stdin),
            "args": list(program.args),
            "run_timeout": round(1000 * limits.wall),
            "run_cpu_time": round(1000 * limits.cpu_seconds),
            "run_memory_limit": limits.memory_mb << 20,
            "compile_timeout": round(1000 * limits.compile_seconds),
            "compile_cpu_time": round(1000 * limits.compile_seconds),
            "compile_memory_limit": compile_mb << 20,
        }


def _names(known: set[str]) -> dict[str, str]:
    """What a program may call its language, to what the server calls it."""
    names = {name: name for name in known}
    for language in LANGUAGES:
        if theirs := [name for name in language.names if name in known]:
            names |= {name: name if name in known else theirs[0] for name in language.names}
    return names


def _told(stage: dict[str, Any], limits: Limits) -> Told:
    code, name = stage["code"], stage["signal"]
    number = int(getattr(signal, name, 0)) or None if name else None
    stopped = STOPPED.get(stage.get("status") or "", "")
    if "status" not in stage and name == "SIGKILL":
        longest = max(len(stage["stdout"]), len(stage["stderr"]))
        stopped = "output" if longest >= limits.output_bytes else "wall"
    if code in SHELL_SIGNALS:
        code, number = None, code - 128
    return Told(
        stage["stdout"],
        stage["stderr"],
        code if number is None else None,
        number,
        _over(stage.get("cpu_time"), 1000),
        _over(stage.get("wall_time"), 1000),
        _over(stage.get("memory"), 1 << 20),
        stopped,  # type: ignore[arg-type]
    )


def _over(value: float | None, unit: int) -> float | None:
    return None if value is None else value / unit
