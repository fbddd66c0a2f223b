"""`r1 code`: run a program as a reward would, see what providers can do, time them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import arguments, completer, installed_plugins

if TYPE_CHECKING:
    from r1cli.code.program import Execution, ProgramResult
    from r1cli.code.service import CodeService
    from r1cli.plugins import Plugins

app = typer.Typer(help="Run programs in a sandbox, list and time providers.", no_args_is_help=True)

SUFFIXES = {
    ".py": "python",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".c": "c",
    ".js": "javascript",
    ".java": "java",
    ".go": "go",
    ".rs": "rust",
    ".sh": "bash",
}

PROVIDER = typer.Option(
    "local", help="A code provider.", autocompletion=completer("code_providers")
)
ARG = typer.Option([], "--arg", metavar="KEY=VALUE", help="An argument of the provider.")
UNSAFE = typer.Option(
    False, "--unsafe-local", help="Run without a sandbox where none works: --arg unsafe=true."
)
JSON = typer.Option(False, "--json", help="Print JSON.")


@app.command()
def run(
    file: Path = typer.Argument(help="A source file."),
    language: str = typer.Option("", help="Its language, where its name does not tell."),
    stdin: list[Path] = typer.Option([], help="A file for stdin; several run it several times."),
    cpu_seconds: float = typer.Option(10.0, min=0.01, help="CPU seconds of one run."),
    memory_mb: int = typer.Option(512, min=1, help="Memory of one run."),
    provider: str = PROVIDER,
    arg: list[str] = ARG,
    unsafe_local: bool = UNSAFE,
    json: bool = JSON,
) -> None:
    """Run a program: its output on stdout, how it ended on stderr; exit 1 unless all is ok."""
    from r1cli import ui
    from r1cli.code.program import Input, Limits, Program
    from r1cli.errors import UsageError

    known = language or SUFFIXES.get(file.suffix, "")
    if not known:
        raise UsageError(f"{file}: what language is {file.suffix or 'it'}? say --language")
    try:
        limits = Limits(cpu_seconds=cpu_seconds, memory_mb=memory_mb)
    except ValueError as error:
        raise UsageError(str(error)) from error
    inputs = [Input(_read(path)) for path in stdin] or [Input()]
    source = _read(file).decode(errors="surrogateescape")
    program = Program(known, source, inputs, limits=limits)
    with _service(provider, arg, unsafe_local, installed_plugins()) as code:
        [result] = code.run([program])
    if json:
        ui.show_json(_told(result))
    else:
        for stage in _stages(result):
            sys.stdout.buffer.write(stage.stdout)
            sys.stdout.buffer.flush()
            sys.stderr.buffer.write(stage.stderr)
            sys.stderr.buffer.flush()
            ui.say(_line(stage, result))
    if result.status != "ok":
        raise typer.Exit(1)


@app.command()
def providers(json: bool = JSON) -> None:
    """Every code provider, opened to see what it can do, or why it cannot be had."""
    from r1cli import ui
    from r1cli.errors import R1Error

    plugins = installed_plugins()
    registry = plugins["code_providers"]
    rows: list[dict[str, Any]] = []
    for entry in sorted(registry.entries, key=registry.name_of):
        name = registry.name_of(entry)
        row = {"provider": name, "plugin": entry.plugin, "about": entry.help}
        try:
            with _service(name, [], False, plugins) as code:
                can = code.capabilities
            row |= {"state": "ready", "isolation": can.isolation}
            row |= {"languages": ", ".join(can.languages)}
        except R1Error as error:
            row["state"] = str(error)
        rows.append(row)
    columns = ["provider", "state", "isolation", "languages", "plugin", "about"]
    ui.table(rows, columns, as_json=json)


@app.command()
def bench(
    provider: str = PROVIDER,
    arg: list[str] = ARG,
    language: list[str] = typer.Option([], help="Languages to time; default those it has."),
    seconds: float = typer.Option(3.0, min=0.1, help="How long to repeat each."),
    unsafe_local: bool = UNSAFE,
    json: bool = JSON,
) -> None:
    """Programs and tests per second, sixteen at once, and the wait for a single program."""
    from r1cli import ui
    from r1cli.code.throughput import SUMS, measure
    from r1cli.errors import UsageError, suggest

    for name in language:
        if name not in SUMS:
            raise UsageError(f"no program in {name!r} to time; {suggest(name, SUMS)}")
    with _service(provider, arg, unsafe_local, installed_plugins()) as code:
        can = code.capabilities.languages
        rows = measure(code, language or [n for n in SUMS if n in can], seconds=seconds)
    ui.table(rows, list(rows[0]) if rows else [], as_json=json)


def _service(name: str, arg: list[str], unsafe: bool, plugins: Plugins) -> CodeService:
    from r1cli.code.opening import code_service
    from r1cli.recipe import Component

    args = {**arguments(arg), **({"unsafe": True} if unsafe else {})}
    return code_service(Component(name=name, args=args), plugins, where="the command line")


def _read(path: Path) -> bytes:
    from r1cli.errors import UsageError

    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _stages(result: ProgramResult) -> list[Execution]:
    compilation = [result.compilation] if result.compilation else []
    return [*(c for c in compilation if c.status != "ok"), *result.executions]


def _line(stage: Execution, result: ProgramResult) -> str:
    used = [
        f"{stage.cpu_seconds:.3f} s CPU" if stage.cpu_seconds is not None else "",
        f"{stage.wall_seconds:.3f} s" if stage.wall_seconds is not None else "",
        f"{stage.peak_mb:.0f} MB" if stage.peak_mb is not None else "",
        "output cut off" if stage.truncated else "",
        f"by {result.provider}, {result.isolation}",
    ]
    ended = stage.status + (f" ({stage.message})" if stage.message else "")
    return f"r1: {ended}: {', '.join(filter(None, used))}"


def _told(result: ProgramResult) -> dict[str, Any]:
    from dataclasses import asdict

    def readable(stage: Execution) -> dict[str, Any]:
        texts = {name: getattr(stage, name).decode(errors="replace") for name in _TEXTS}
        return {**asdict(stage), **texts}

    return {
        "status": result.status,
        "provider": result.provider,
        "isolation": result.isolation,
        "compilation": readable(result.compilation) if result.compilation else None,
        "executions": [readable(stage) for stage in result.executions],
    }


_TEXTS = ("stdout", "stderr")
