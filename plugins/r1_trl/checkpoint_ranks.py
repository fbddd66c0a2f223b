"""Which ranks wrote a checkpoint, and whether others can go on from it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from r1cli import Run, UsageError

log = logging.getLogger("r1cli.resume")

ABOUT = "r1.json"
WHOLE = ("single", "ddp")
"""Every rank has all of the weights: one checkpoint for any number of them."""


def note(checkpoint: Path, launch: Any) -> None:
    """Write into a checkpoint which ranks made it: those of the recipe's `launch`."""
    about = {"processes": launch.processes, "accelerator": launch.accelerator}
    (checkpoint / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")


def about(checkpoint: Path) -> dict[str, Any]:
    """What `note` wrote: the `processes` and the `accelerator` it was made by."""
    path = checkpoint / ABOUT
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def check(checkpoint: Path, run: Run) -> None:
    """Raise where these ranks cannot go on from a checkpoint; say so where not bit for bit."""
    then, launch = about(checkpoint), run.recipe.launch
    if run.recipe.trainer.args.get("save_only_model"):
        raise UsageError(
            f"{checkpoint} holds the model alone (trainer.args.save_only_model), so the run cannot "
            f"go on; add --fresh, and with model.name={checkpoint} it starts from there"
        )
    if not then:
        log.warning("%s was written by an earlier r1: it goes on, not bit for bit", checkpoint)
        return
    before, now = then["accelerator"], launch.accelerator
    if before != now and not {before, now} <= set(WHOLE):
        raise UsageError(
            f"{checkpoint} was written with launch.accelerator {before!r}, {now!r} cannot read it; "
            f"go on with {before!r}, or add --fresh"
        )
    ranks = then["processes"]
    if ranks == launch.processes:
        return
    if before.startswith("zero"):
        raise UsageError(
            f"{checkpoint} is in {ranks} parts, and DeepSpeed cannot share them out among "
            f"{launch.processes}; set launch.processes to {ranks}, or add --fresh"
        )
    if run.recipe.batch.prompts_per_step is None:
        raise UsageError(
            f"{checkpoint} is of {ranks} processes, launch.processes is {launch.processes}; "
            f"without batch.prompts_per_step a step would be another; use {ranks}, or add --fresh"
        )
    log.warning(
        "%s is of %d processes, going on with %d: the same weights and prompts, other random "
        "draws, so not bit for bit the same run",
        *(checkpoint, ranks, launch.processes),
    )
