"""Why a provider cannot run a program, in one line, before anything is started."""

from __future__ import annotations

import math
import re

from r1cli.code.program import Capabilities, Program
from r1cli.errors import suggest

FILE_NAME = re.compile(r"[\w.+-]{1,100}")


def refusal(program: Program, can: Capabilities) -> str:
    """What follows "code provider 'x' "; empty where the program can be run."""
    if program.language in can.missing:
        return f"cannot run {program.language!r} here; {can.missing[program.language]}"
    if program.language not in can.languages:
        return f"has no language {program.language!r}; {suggest(program.language, can.languages)}"
    if can.max_inputs is not None and len(program.inputs) > can.max_inputs:
        return f"takes {can.max_inputs} inputs a program, not {len(program.inputs)}"
    if not can.stdin and any(given.stdin for given in program.inputs):
        return "gives programs no stdin; use another provider for this dataset"
    names = [*program.files, *(name for given in program.inputs for name in given.files)]
    if names and not can.files:
        return f"gives programs no files, but {names[0]!r} is wanted; use another provider"
    for name in names:
        if not FILE_NAME.fullmatch(name) or name.strip(".") == "":
            return f"takes plain file names of letters, digits, '.', '_', '+', '-', not {name!r}"
    if program.args and not can.args:
        return f"gives programs no arguments, but {program.args[0]!r} is wanted"
    if any("\0" in argument for argument in program.args):
        return "cannot pass an argument with a NUL byte"
    limits = program.limits
    for name, asked, most in (
        ("cpu_seconds", limits.cpu_seconds, can.max_cpu_seconds),
        ("wall_seconds", limits.wall, can.max_wall_seconds),
        ("memory_mb", limits.memory_mb, can.max_memory_mb),
        ("processes", limits.processes, can.max_processes),
    ):
        if asked > (math.inf if most is None else most):
            return f"allows {name} up to {most:g}, not {asked:g}"
    return ""
