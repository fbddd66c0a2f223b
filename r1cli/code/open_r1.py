"""The JSON of open-r1's two routers, so that its clients can be pointed at ours.

The request is {"scripts", "languages", "timeout", "request_timeout"}. The answer of its E2B router
is a list of {"execution": {"results", "logs", "error", "execution_count"} or null,
"exception_str"}, that of its Morph router of {"text", "exception_str"}; a row here has the keys of
both. Their Python scripts are notebook cells: indented as a whole, and ending in an expression
whose value is the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from r1cli.code.program import Capabilities, Limits, Program, ProgramResult

MEMORY_MB = 1024
PROCESSES = 64  # their scripts start the program under test as a subprocess
MARK = "\x1e value of the cell: "
CELL = """\
import ast as _ast, sys as _sys
_cell = _ast.parse({cell})
_last = _cell.body.pop() if _cell.body and isinstance(_cell.body[-1], _ast.Expr) else None
exec(compile(_cell, "<cell>", "exec"), globals())
if _last is not None:
    _value = eval(compile(_ast.Expression(_last.value), "<cell>", "eval"), globals())
    if _value is not None:
        _sys.stdout.write({mark!a} + repr(_value))
"""


class Scripts(BaseModel):
    """`timeout` is in seconds, for each script. `request_timeout` is taken and not used."""

    scripts: list[str]
    languages: list[str]
    timeout: float = Field(gt=0)
    request_timeout: float

    def pairs(self) -> Iterable[tuple[str, str]]:
        return zip(self.scripts, self.languages, strict=False)  # as theirs: the shorter wins


def as_program(script: str, language: str, timeout: float, can: Capabilities) -> Program:
    """A script as a program, with as much as the provider allows."""
    python = language in ("python", "python3", "py")
    source = CELL.format(cell=ascii(_dedented(script)), mark=MARK) if python else script
    limits = Limits(
        cpu_seconds=_least(timeout, can.max_cpu_seconds),
        wall_seconds=_least(timeout, can.max_wall_seconds),
        memory_mb=int(_least(MEMORY_MB, can.max_memory_mb)),
        processes=int(_least(PROCESSES, can.max_processes)),
    )
    return Program(language, source, limits=limits)


def as_row(result: ProgramResult | Exception | BaseException) -> dict[str, Any]:
    """What became of a script, in both of their shapes. Infrastructure that failed is no row."""
    if isinstance(result, BaseException):
        return _failed(str(result))
    stages = [stage for stage in (result.compilation, *result.executions) if stage]
    last = stages[-1]
    if result.status not in ("ok", "runtime_error", "compile_error"):
        return _failed(f"{result.status}: {last.message}")
    printed, _, value = last.stdout.decode(errors="replace").partition(MARK)
    stderr = last.stderr.decode(errors="replace")
    text = value or printed.strip()
    error = None
    if result.status != "ok":
        name, _, about = (stderr.strip().splitlines() or [""])[-1].partition(": ")
        error = {"name": name or result.status, "value": about, "traceback": stderr}
        text = ""
    execution = {
        "results": [{"text": value, "is_main_result": True}] if value else [],
        "logs": {"stdout": [printed] if printed else [], "stderr": [stderr] if stderr else []},
        "error": error,
        "execution_count": 1,
    }
    why = None if text else f"{result.status}: {last.message}" if error else "no output"
    return {"execution": execution, "text": text, "exception_str": why}


def _failed(why: str) -> dict[str, Any]:
    return {"execution": None, "text": None, "exception_str": why}


def _dedented(script: str) -> str:
    """Without blank lines before the first, whose indentation all others lose, as in IPython."""
    lines = script.splitlines()
    while lines and not lines[0].strip():
        lines.pop(0)
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())] if lines else ""
    return "\n".join(line.removeprefix(indent) for line in lines)


def _least(wanted: float, most: float | None) -> float:
    return wanted if most is None else min(wanted, most)
