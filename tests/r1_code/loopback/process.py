"""What the loopback servers run programs with: plain subprocesses, for our own sources only."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

COMPILERS = {"cpp": ["g++", "-o", "program"], "c": ["gcc", "-o", "program"]}
RUNNERS = {"python": [sys.executable], "javascript": ["node"], "bash": ["bash"]}


@dataclass
class Ended:
    code: int  # minus a signal's number, as subprocess says it
    stdout: str
    stderr: str
    seconds: float
    late: bool = False


def run(argv, folder, *, stdin="", seconds=20.0):
    began = time.monotonic()
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            input=stdin.encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        out, err = ((text or b"").decode() for text in (late.stdout, late.stderr))
        return Ended(-9, out, err, time.monotonic() - began, late=True)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return Ended(done.returncode, out, err, time.monotonic() - began)


def compile_and_run(language, source, folder, *, name="", stdin="", args=(), seconds=20.0):
    """(how compiling ended or None, how the run ended or None)."""
    suffix = {"cpp": ".cpp", "c": ".c"}.get(language, "")
    path = Path(folder) / (name or f"main{suffix}")
    path.write_text(source)
    compiled = None
    if language in COMPILERS:
        compiled = run([*COMPILERS[language], path.name], folder)
        if compiled.code:
            return compiled, None
    command = ["./program"] if compiled else [*RUNNERS[language], path.name]
    return compiled, run([*command, *args], folder, stdin=stdin, seconds=seconds)
