"""Watching a run: a live console view, and a report that a person would rather look at."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from r1cli import Register, hookimpl

if TYPE_CHECKING:
    from r1cli import Run

log = logging.getLogger("r1cli.monitor")

REPORT_SECONDS = 60
"""A report takes about a second to draw: often enough to watch, too seldom to notice."""


@hookimpl
def register_callbacks(register: Register) -> None:
    register("console", "r1_monitor.console:console", help="live progress, rewards, length, ETA")


@hookimpl
def run_started(run: Run) -> None:
    """Say where everything goes, before the first step makes anyone wait."""
    log.info("run directory: %s", run.directory)


@hookimpl
def checkpoint_saved(run: Run, path: Path, step: int) -> None:
    """Keep the report of a long run readable while it goes on."""
    from r1_monitor import report

    page = run.directory / report.NAME
    if not page.exists() or time.time() - page.stat().st_mtime > REPORT_SECONDS:
        report.write_run(run)


@hookimpl
def run_finished(run: Run, error: BaseException | None) -> None:
    """Give the terminal back, then write the run's report.html."""
    from r1_monitor import console, report

    console.close(run)
    report.write_run(run, error)


@hookimpl
def scores_came(run: Run) -> None:
    """Write the report anew, with the scores that came late in it."""
    from r1_monitor import report

    report.write_run(run)


@hookimpl
def pipeline_finished(runs: list[Run], directory: Path) -> None:
    """Write the pipeline's report.html, and draw its curves on the terminal."""
    from r1_monitor import picture, report

    report.write_pipeline(runs, directory)
    picture.show(runs)
