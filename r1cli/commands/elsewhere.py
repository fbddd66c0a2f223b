"""A command that runs somewhere else: `--on slurm --launch time=2:00:00`.

As a job, whole or in shards; or here, with its batches worked on there, where the command can say
what a batch is and the launcher has a pool for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import arguments, completer

if TYPE_CHECKING:
    from r1cli.parallel import Workers
    from r1cli.plugins import Plugins
    from r1cli.types import Job, Launcher

ON = typer.Option(
    "", "--on", help="Submit it by this launcher.", autocompletion=completer("launchers")
)
LAUNCH = typer.Option(
    [], "--launch", metavar="KEY=VALUE", help="An argument of the launcher: time, partition, after."
)
DRY_RUN = typer.Option(False, "--dry-run", help="With --on: print what would be submitted.")
OURS = ("on", "launch", "dry_run")


def folder_of(written: Path) -> Path:
    """Where what a launcher keeps of a command goes: beside what the command writes."""
    return Path(f"{written.absolute()}.job")


def submit(
    ctx: typer.Context, on: str, launch: list[str], dry_run: bool, directory: Path, plugins: Plugins
) -> None:
    """Hand this very command to a launcher and leave; return where none is asked for."""
    from r1cli.errors import UsageError

    if not on:
        if launch or dry_run:
            raise UsageError("--launch and --dry-run say how to submit; add --on slurm")
        return
    raise typer.Exit(submit_line(line(ctx), on, launch, dry_run, directory, plugins))


def submit_line(
    argv: list[str], on: str, launch: list[str], dry_run: bool, directory: Path, plugins: Plugins
) -> int:
    """Hand a command line to a launcher, or show what would be handed over; the exit code."""
    from r1cli.types import Job

    launcher = _launcher(on, launch, plugins)
    job = Job(argv=argv, processes=1, accelerator="single", directory=directory)
    if dry_run:
        show(launcher, job)
        return 0
    return int(launcher.submit(job))


def workers(
    ctx: typer.Context, on: str, launch: list[str], dry_run: bool, directory: Path, plugins: Plugins
) -> Workers | None:
    """The pool of a launcher for this command's batches; None where no launcher is asked for.

    A launcher without pools is handed the command whole, and the command is left.
    """
    from r1cli import ui

    pool = getattr(_launcher(on, launch, plugins), "pool", None) if on else None
    if pool is None:
        submit(ctx, on, launch, dry_run, directory, plugins)
    elif dry_run:
        ui.say(f"r1 {' '.join(line(ctx))} runs here; launcher {on!r} works on its batches")
        raise typer.Exit
    return pool


def _launcher(on: str, launch: list[str], plugins: Plugins) -> Launcher:
    from r1cli import signature

    function = plugins["launchers"].get(on, "--on").load()
    args = signature.bind(
        function, arguments(launch, "--launch"), what=f"launcher {on!r}", where="--launch"
    )
    launcher: Launcher = function(**args)
    return launcher


def show(launcher: Launcher, job: Job) -> None:
    """What a launcher would do with a job: its command, and the script that this submits."""
    import shlex

    from r1cli import ui

    ui.say(f"command: {shlex.join(launcher.command(job))}")
    script = getattr(launcher, "script", None)
    if script:
        ui.say(script(job))


def line(ctx: typer.Context) -> list[str]:
    """The command as it was given, without the options that say where it runs."""
    words: list[str] = []
    positional: list[str] = []
    for parameter in ctx.command.params:
        name = str(parameter.name)
        source = ctx.get_parameter_source(name)
        if name in OURS or source is None or source.name != "COMMANDLINE":
            continue
        value: Any = ctx.params[name]
        values = [str(v) for v in (value if isinstance(value, list | tuple) else [value])]
        if parameter.param_type_name == "argument":
            positional += values
        elif getattr(parameter, "is_flag", False):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            words += [word for text in values for word in (parameter.opts[0], text)]
    return [*_names(ctx), *positional, *words]


def _names(ctx: Any) -> list[str]:
    """What is typed after `r1` to reach the command: data, pass-rate."""
    return [*_names(ctx.parent), str(ctx.info_name)] if ctx.parent else []
