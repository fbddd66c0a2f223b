"""`r1 train --verify-resume`: a short run, and the same killed and gone on with, compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from r1cli import source, ui
from r1cli.check import check
from r1cli.errors import R1Error, UsageError
from r1cli.files import read_rows, write_atomic
from r1cli.plugins import Plugins
from r1cli.recipe import Recipe
from r1cli.run import Run
from r1cli.sameness import compare

STEPS, SAVE_AT, KILL_AFTER = 6, 3, 4
"""A checkpoint at an odd step is inside any window of an even number of steps."""
POLL_SECONDS = 0.02


def verify_resume(recipe: Recipe, plugins: Plugins, directory: Path) -> None:
    """Say whether a run that is killed and goes on ends like one that is not; exit 1 if not.

    The two runs are in `directory`.verify-resume, which stays if they differ.
    """
    if recipe.launch.name != "local":
        raise UsageError(f"--verify-resume runs here, launch.name is {recipe.launch.name!r}")
    folder = directory.with_name(f"{directory.name}.verify-resume")
    shutil.rmtree(folder, ignore_errors=True)
    short = folder / "recipe.yaml"
    write_atomic(short, source.dump(_short(recipe, plugins).model_dump(mode="json")))
    whole, cut = folder / "whole", folder / "cut"

    ui.say(f"1 of 3: {STEPS} steps without a stop")
    _end(_start(recipe, short, whole), whole)
    ui.say(f"2 of 3: the same, killed after step {KILL_AFTER}")
    _kill(_start(recipe, short, cut), cut)
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


def _short(recipe: Recipe, plugins: Plugins) -> Recipe:
    """The recipe for a few steps, of which nothing is measured or pushed."""
    short = getattr(check(recipe, plugins).trainer, "short", None)
    if short is None:
        raise UsageError(f"trainer {recipe.trainer.name!r} cannot be cut short: it has no `short`")
    args = {**recipe.trainer.args, **short(STEPS, SAVE_AT)}
    trainer = recipe.trainer.model_copy(update={"args": args})
    off: dict[str, Any] = {"benchmarks": [], "callbacks": [], "hub": None}
    return recipe.model_copy(update={"trainer": trainer, **off})


def _start(recipe: Recipe, short: Path, run: Path) -> subprocess.Popen[bytes]:
    command: Sequence[str] = ("train", str(recipe.trainer.name), "--recipe", str(short))
    with Path(f"{run}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "r1cli", *command, "--run", str(run)],
            stdout=log,
            stderr=log,
        )


def _end(process: subprocess.Popen[bytes], run: Path) -> None:
    if process.wait():
        lines = Path(f"{run}.log").read_text("utf-8", "replace").strip().splitlines()
        raise R1Error(f"{run} failed: {lines[-1] if lines else 'it said nothing'} ({run}.log)")


def _kill(process: subprocess.Popen[bytes], run: Path) -> None:
    """SIGKILL, which nothing can prepare for; launched ranks go with their launcher."""
    while process.poll() is None:
        if any(row.get("step", 0) >= KILL_AFTER for row in read_rows(run / "metrics.jsonl")):
            process.kill()
            process.wait()
            return
        time.sleep(POLL_SECONDS)
    _end(process, run)
    raise R1Error(f"{run} ended before it could be killed; its steps are too short to tell")
