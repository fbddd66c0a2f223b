"""`r1 jobs`: what a cluster's queue holds of ours, its logs, and an end to it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from r1cli.commands import completer, elsewhere, installed_plugins

app = typer.Typer(help="List, follow and cancel the jobs of a cluster.", no_args_is_help=True)

ON = typer.Option("slurm", "--on", help="The launcher.", autocompletion=completer("launchers"))
TARGET = typer.Argument(help="A run directory or a job id.")
SECONDS = 1.0
"""Between two looks at a log or at the queue."""


@app.command("list")
def list_(
    root: Path = typer.Option(Path("runs"), help="The folder that holds the runs."),
    on: str = ON,
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Jobs in the queue and those that ended, the newest first."""
    from r1cli import ui

    columns = ["job", "state", "exit", "nodes", "elapsed", "reason", "name", "directory"]
    ui.table(_queue(on).list(root), columns, as_json=json, empty=f"no jobs in {root} or the queue")


@app.command()
def logs(
    target: str = TARGET,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until the job ends."),
    lines: int = typer.Option(50, min=0, help="Only the last lines; 0 is all."),
    root: Path = typer.Option(Path("runs"), help="The folder that holds the runs."),
    on: str = ON,
) -> None:
    """What a job has printed; how it stands, on stderr."""
    from r1cli import ui

    queue = _queue(on)
    job = queue.find(target, root)
    log = Path(job["log"])
    said = _show_tail(log, lines)
    while follow and queue.find(target, root)["active"]:
        time.sleep(SECONDS)
        said = _show_from(log, said)
    if follow:
        _show_from(log, said)
        job = queue.find(target, root)
    state = job["state"] + (f" ({job['reason']})" if job["reason"] else "")
    code = "" if job["exit"] is None else f", exit code {job['exit']}"
    ui.say(f"r1: job {job['job']}: {state}{code}{'' if log.exists() else '; no log yet'}")


@app.command()
def cancel(
    target: str = TARGET,
    root: Path = typer.Option(Path("runs"), help="The folder that holds the runs."),
    on: str = ON,
) -> None:
    """Take a job out of the queue or end it; a training run keeps its checkpoints."""
    from r1cli import ui

    queue = _queue(on)
    job = queue.find(target, root)
    if not job["active"]:
        ui.say(f"job {job['job']} has ended already: {job['state']}")
        return
    queue.cancel(job["job"])
    ui.say(f"cancelled job {job['job']}")


@app.command(context_settings={"ignore_unknown_options": True})
def submit(
    script: str = typer.Argument(help="A script of slurm/: router, piston-worker, pass-rate."),
    given: list[str] = typer.Argument(None, help="Its arguments; after -- if some are options."),
    launch: list[str] = elsewhere.LAUNCH,
    directory: Path | None = typer.Option(None, help="The job's; default runs/jobs/SCRIPT-TIME."),
    dry_run: bool = elsewhere.DRY_RUN,
    on: str = ON,
) -> None:
    """Submit one of the shipped scripts with what the site file says."""
    place = directory or Path("runs") / "jobs" / f"{script}-{time.strftime('%Y%m%d-%H%M%S')}"
    argv = [script, *(given or [])]
    raise typer.Exit(elsewhere.submit_line(argv, on, launch, dry_run, place, installed_plugins()))


def _queue(name: str) -> Any:
    """The queue that a launcher keeps jobs in."""
    from r1cli.errors import UsageError

    queue = getattr(installed_plugins()["launchers"].get(name, "--on").load()(), "queue", None)
    if queue is None:
        raise UsageError(f"launcher {name!r} at --on keeps no queue: it waits for its jobs")
    return queue


def _show_tail(log: Path, lines: int) -> int:
    """Print the last lines of a log, all for 0; how many bytes it has."""
    import sys

    if not log.exists():
        return 0
    data = log.read_bytes()
    tail = b"".join(data.splitlines(keepends=True)[-lines:])
    sys.stdout.write(tail.decode(errors="replace"))
    sys.stdout.flush()
    return len(data)


def _show_from(log: Path, start: int) -> int:
    """Print what a log has from byte `start` on; where it ends now."""
    import sys

    if not log.exists():
        return start
    with log.open("rb") as file:
        file.seek(start)
        sys.stdout.write(file.read().decode(errors="replace"))
        sys.stdout.flush()
        return file.tell()
