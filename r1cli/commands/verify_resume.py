"""`r1 train --verify-resume`: a short run, and the same killed and gone on with, compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from r1cli import source, ui
from r1cli.check import check
from r1cli.errors import R1Error, UsageError
from r1cli.files import write_atomic
from r1cli.plugins import Plugins
from r1cli.recipe import Component, Recipe
from r1cli.run import Run
from r1cli.sameness import compare

STEPS, SAVE_AT, KILL_AFTER = 6, 3, 5
"""A checkpoint at an odd step is inside any window of an even number of steps."""


def verify_resume(recipe: Recipe, plugins: Plugins, directory: Path) -> None:
    """Say whether a run that is killed and goes on ends like one that is not; exit 1 if not.

    The two runs are in `directory`.verify-resume, which stays if they differ.
    """
    if recipe.launch.name != "local":
        raise UsageError(f"--verify-resume runs here, launch.name is {recipe.launch.name!r}")
    place = directory.resolve()  # `.` has no name
    folder = place.with_name(f"{place.name}.verify-resume")
    shutil.rmtree(folder, ignore_errors=True)
    short, killed = folder / "recipe.yaml", folder / "killed.yaml"
    write_atomic(short, source.dump(_short(recipe, plugins).model_dump(mode="json")))
    kill = Component(name="kill_after", args={"step": KILL_AFTER})
    write_atomic(killed, source.dump(_short(recipe, plugins, kill).model_dump(mode="json")))
    whole, cut = folder / "whole", folder / "cut"

    ui.say(f"1 of 3: {STEPS} steps without a stop")
    _end(_start(recipe, short, whole), whole)
    ui.say(f"2 of 3: the same, killed after step {KILL_AFTER}")
    if not _start(recipe, killed, cut):
        raise R1Error(f"{cut} ended, though it was to be killed ({cut}.log)")
    checkpoint = Run(cut, recipe).last_checkpoint()
    if checkpoint is None:
        raise R1Error(f"no checkpoint was written by step {KILL_AFTER} ({cut}.log)")
    ui.say(f"3 of 3: on from {checkpoint.name}")
    _end(_start(recipe, short, cut), cut)

    compared = compare(whole, cut)
    rows: list[dict[str, Any]] = [
        {
            "compared": one.what,
            "number": one.count,
            "differing": one.differing,
            "first": one.first,
        }
        for one in compared
    ]
    ui.table(rows, ["compared", "number", "differing", "first"])
    if any(one.differing for one in compared):
        ui.show(f"resume is not exact from {checkpoint.name}; both runs: {folder}")
        raise typer.Exit(1)
    shutil.rmtree(folder)
    ui.show(f"resume is exact: gone on from {checkpoint.name}, the same to the last bit")


def _short(recipe: Recipe, plugins: Plugins, *callbacks: Component) -> Recipe:
    """The recipe for a few steps, of which nothing is measured or pushed."""
    short = getattr(check(recipe, plugins).trainer, "short", None)
    if short is None:
        raise UsageError(f"trainer {recipe.trainer.name!r} cannot be cut short: it has no `short`")
    args = {**recipe.trainer.args, **short(STEPS, SAVE_AT)}
    trainer = recipe.trainer.model_copy(update={"args": args})
    off: dict[str, Any] = {"benchmarks": [], "callbacks": list(callbacks), "hub": None}
    return recipe.model_copy(update={"trainer": trainer, **off})


def _start(recipe: Recipe, short: Path, run: Path) -> int:
    """Train in a process of its own; its exit code."""
    command: Sequence[str] = ("train", str(recipe.trainer.name), "--recipe", str(short))
    with Path(f"{run}.log").open("ab") as log:
        return subprocess.run(
            [sys.executable, "-m", "r1cli", *command, "--run", str(run)],
            stdout=log,
            stderr=log,
            check=False,
        ).returncode


def _end(code: int, run: Path) -> None:
    if code:
        lines = Path(f"{run}.log").read_text("utf-8", "replace").strip().splitlines()
        raise R1Error(f"{run} failed: {lines[-1] if lines else 'it said nothing'} ({run}.log)")
