"""A program as a job for the harness in a virtual machine, and the harness's report as a result."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from r1_code.java_class import java_class
from r1_code.language import source_bytes
from r1_code.languages import BY_NAME, LANGUAGES
from r1_code.remote.told import broken
from r1_code.sandbox.task import Bounds, Ending
from r1_code.verdict import verdict
from r1cli import Capabilities, Execution, Program, ProgramResult

HARNESS = Path(__file__).with_name("vm_harness.py").read_bytes()
ISOLATION = "virtual machine"
COMPILE_MB = 1024
COMPILE_DISK_MB = 512
SLACK_SECONDS = 30.0  # for all that is not the program


def probe() -> bytes:
    """The job that asks which tools are there."""
    tools = {tool for language in LANGUAGES for tool in language.needs}
    return _packed({"tools": sorted({*tools, "python3"})})


def capabilities(report: str) -> Capabilities:
    """What a machine with those tools can do. Raises ValueError for no report."""
    there = {*_unpacked(report)}
    able, missing = [], {}
    for language in LANGUAGES:
        lacking = [tool for tool in language.needs if tool not in there]
        if lacking:
            why = f"it needs {lacking[0]} in the machine's template or setup"
            missing |= dict.fromkeys(language.names, why)
        else:
            able += language.names
    return Capabilities(able, isolation=ISOLATION, missing=missing)


def pack(program: Program) -> bytes:
    """The job: base64 of compressed JSON, so that it can be a word of a shell command."""
    language = BY_NAME[program.language]
    limits, source = program.limits, program.source
    bounds = _bounds(program)
    compiling = Bounds(
        limits.compile_seconds,
        2 * limits.compile_seconds + 1,
        data_mb=max(COMPILE_MB, limits.memory_mb),
        stack_mb=64,
        output_bytes=limits.output_bytes,
        disk_mb=COMPILE_DISK_MB,
    )

    def command(words: Sequence[str]) -> list[str]:
        main = java_class(source)[1] if language.name == "java" else ""
        name, memory = language.source_name(source), limits.memory_mb
        return [word.format(source=name, main=main, memory=memory) for word in words]

    return _packed(
        {
            "files": _coded({**program.files, language.source_name(source): source_bytes(source)}),
            "compile": command(language.compile),
            "compile_bounds": asdict(compiling),
            "run": [*(["python3"] if language.warm else []), *command(language.run), *program.args],
            "bounds": asdict(bounds),
            "environment": dict(language.environment),
            "inputs": [
                {"stdin": _text(given.stdin), "files": _coded(given.files)}
                for given in program.inputs
            ],
            "stop_at_failure": program.stop_at_failure,
        }
    )


def seconds(program: Program) -> float:
    """Longer than the program can take."""
    limits = program.limits
    return SLACK_SECONDS + 2 * limits.compile_seconds + limits.wall * len(program.inputs)


def result(program: Program, report: str, name: str) -> ProgramResult:
    """What the harness found. A report that is none is our failure."""
    limits = program.limits
    try:
        told = _unpacked(report)
        compiled = told["compiled"] and _ending(told["compiled"])
        endings = [_ending(ending) for ending in told["endings"]]
    except (ValueError, KeyError, TypeError) as error:
        return broken(name, f"no report from the machine: {error!r}: {report[-100:]!r}")
    bounds = _bounds(program)
    compilation = _compilation(compiled, program) if compiled else None
    executions = [verdict(ending, bounds, limits.memory_mb) for ending in endings]
    return ProgramResult(executions, compilation, provider=name, isolation=ISOLATION)


def _bounds(program: Program) -> Bounds:
    language, limits = BY_NAME[program.language], program.limits
    return Bounds(
        limits.cpu_seconds,
        limits.wall,
        data_mb=limits.memory_mb + language.runtime_mb,
        stack_mb=language.stack(program.source, limits.memory_mb),
        output_bytes=limits.output_bytes,
        disk_mb=limits.disk_mb,
    )


def _compilation(ending: Ending, program: Program) -> Execution:
    limits = program.limits
    bounds = Bounds(
        limits.compile_seconds,
        2 * limits.compile_seconds + 1,
        *(COMPILE_MB, 64, limits.output_bytes, COMPILE_DISK_MB),
    )
    judged = verdict(ending, bounds, COMPILE_MB)
    if judged.status in ("ok", "sandbox_error"):
        return judged
    return replace(judged, status="compile_error", message=f"the compiler: {judged.message}")


def _ending(told: Mapping[str, Any]) -> Ending:
    texts = {name: base64.b64decode(told[name]) for name in ("stdout", "stderr")}
    return Ending(**{**told, **texts})


def _coded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: _text(data) for name, data in files.items()}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _packed(job: object) -> bytes:
    return base64.b64encode(zlib.compress(json.dumps(job).encode()))


def _unpacked(report: str) -> Any:
    """Of the last line: a login shell may have had its say before."""
    lines = report.split()
    try:
        return json.loads(zlib.decompress(base64.b64decode(lines[-1], validate=True)))
    except (IndexError, zlib.error) as error:
        raise ValueError(str(error)) from error
