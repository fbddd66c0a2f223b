"""`r1 runs`: what was run, how it went, what it scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import installed_plugins

if TYPE_CHECKING:
    from r1cli.run import Run

app = typer.Typer(help="List and show runs.", no_args_is_help=True)

TABLES = ("scores", "checkpoint_scores", "checkpoint_steps", "benchmark_jobs")
"""Keys of run.json that are tables of their own."""


@app.command("list")
def list_(
    root: Path = typer.Option(Path("runs"), help="The folder that holds the runs."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Every run below a folder, newest first."""
    from r1cli import ui
    from r1cli.run import list_runs

    columns = ["run", "trainer", "status", "step", "started", "model"]
    rows = [_row(run, root) for run in list_runs(root)]
    ui.table(rows, columns, as_json=json, empty=f"no runs in {root}")


@app.command()
def show(
    run: Path = typer.Argument(help="A run directory."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """One run: where it came from, how it ended, what it scored; late scores are taken in."""
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.evaluation.launched import collect_late
    from r1cli.run import list_runs

    runs = list_runs(run) if run.is_dir() else []
    if not runs:
        raise UsageError(f"{run} is no run directory; see: r1 runs list")
    if any(r.state.get("benchmark_jobs") for r in runs):
        collect_late(runs, installed_plugins())
    if json:
        ui.show_json([{**r.state, "directory": r.directory, "last": _last(r)} for r in runs])
        return
    for one in reversed(runs):
        state = one.state
        rows = [{"what": key, "value": value} for key, value in state.items() if key not in TABLES]
        rows += [{"what": key, "value": value} for key, value in _last(one).items()]
        ui.table(rows, ["what", "value"], title=str(one.directory))
    show_scores(list(reversed(runs)))
    for one in reversed(runs):
        for job in one.state.get("benchmark_jobs", []):
            at = "the final policy" if job["step"] is None else f"step {job['step']}"
            place = one.directory / job["folder"]
            ui.say(f"under way: benchmark {job['benchmark']} on {at}, in {place}")


def show_scores(runs: Sequence[Run]) -> None:
    """The table at the end: what each run's policy scores, with 95 % intervals."""
    from r1cli import ui

    rows: list[dict[str, Any]] = []
    for run in runs:
        state = run.state
        for score in state.get("scores", []):
            rows.append(
                {
                    "run": run.directory.name,
                    "benchmark": score["benchmark"],
                    "score": score["label"],
                    "%_[95%_interval]": ui.with_interval(
                        score["mean"], score["low"], score["high"]
                    ),
                    "tokens": f"{score['tokens']:.1f}",
                    "truncated_%": ui.percent(score["truncated"]),
                    **{f"{k}_%": ui.percent(v) for k, v in score["measures"].items()},
                    "n": score["problems"],
                    "spec": score["spec"],
                    "train_s": f"{state.get('train_seconds', 0):.0f}",
                    "eval_s": f"{score['seconds']:.0f}",
                }
            )
    if rows:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        ui.table(rows, columns)


def _row(run: Run, root: Path) -> dict[str, Any]:
    state = run.state
    return {
        "run": run.directory.relative_to(root),
        "trainer": run.recipe.trainer.name,
        "status": state.get("status", "?"),
        "step": _last(run).get("step"),
        "started": state.get("started"),
        "model": run.recipe.model.name,
    }


def _last(run: Run) -> dict[str, Any]:
    """The last row of the last step: scores of jobs may come after later ones."""
    rows = reversed(run.metrics())
    return max(rows, key=lambda row: int(row.get("step", 0)), default={})
