"""`--cross-check`: the samples of an evaluation judged by a second scorer as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from r1cli.evaluation import Score
    from r1cli.evaluation.cross_check import CrossCheck
    from r1cli.evaluation.during import Bound
    from r1cli.plugins import Plugins
    from r1cli.scoring import BoundReward

CROSS_CHECK = typer.Option(
    "", metavar="REWARD[:TASK]", help="Judge the samples by this, too; show where they differ."
)


def checkers(name: str, benchmarks: Sequence[Bound], plugins: Plugins) -> list[BoundReward]:
    """The second scorer of each benchmark, ready; none where none is asked for."""
    from r1cli.evaluation.cross_check import cross_checker

    return [cross_checker(name, run.name, plugins) for run, _ in benchmarks] if name else []


def checked(
    scores: Sequence[Score], scorers: Sequence[BoundReward], folder: Path
) -> dict[str, CrossCheck]:
    """What the second scorers say of the samples in `folder`, by benchmark."""
    from r1cli import ui
    from r1cli.evaluation.cross_check import cross_check, samples_of

    found = {}
    for score, scorer in zip(scores, scorers, strict=False):  # there are none, or one each
        with ui.progress(f"cross-check {score.benchmark}") as progress:
            found[score.benchmark] = cross_check(samples_of(score, folder), scorer, progress)
    return found


def show(checks: Iterable[CrossCheck]) -> None:
    """Both scores, and the samples on which the two disagree."""
    from r1cli import ui

    for check in checks:
        ui.table([check.summary()], list(check.summary()))
        rows = check.rows()
        ui.table(rows, list(rows[0]) if rows else [], empty="they agree on every sample")
