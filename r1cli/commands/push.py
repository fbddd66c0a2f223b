"""`r1 push`: a run to the hub, private unless said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from r1cli.run import Run


def push(
    run: Path = typer.Argument(help="A run directory, or a pipeline's: then its last stage."),
    repo: str = typer.Option(
        "", help="owner/name, or a name under your account; default where it was, else the run's."
    ),
    private: bool | None = typer.Option(
        None, "--private/--public", help="Who sees a repository made here; default private."
    ),
    revision: str = typer.Option("main", help="The branch for the model."),
    checkpoints: bool = typer.Option(False, help="Also each checkpoint, on a branch step-N."),
    rollouts: bool = typer.Option(False, help="Also the rollouts, as dataset REPO-rollouts."),
    eval: bool = typer.Option(False, help="Also every benchmark sample, under eval/."),
    dry_run: bool = typer.Option(False, help="Say what would be pushed, without a network."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Push the final model with its card; asked again, only what is missing is sent."""
    from r1cli import ui
    from r1cli.extras import require
    from r1cli.publishing.pending import Ledger
    from r1cli.publishing.pieces import Wanted, pieces
    from r1cli.publishing.push import push, row

    require("train", "huggingface_hub")
    ui.narrate()
    opened = _open(run)
    ledger = Ledger(opened.directory)
    if repo and "/" not in repo and ledger.repo.endswith(f"/{repo}"):
        repo = ledger.repo
    repo = repo or ledger.repo or opened.recipe.name or opened.directory.resolve().name
    if private is None:
        private = ledger.private if repo == ledger.repo else True
    wanted = Wanted(
        repo=repo,
        private=private,
        revision=revision,
        checkpoints=checkpoints,
        rollouts=rollouts,
        eval=eval,
    )
    if dry_run:
        offered = pieces(opened, wanted)
        left = ledger.left(offered)
        rows = [
            row(one, "to push" if one.name in left else "as before", ledger.commit(one))
            for one in offered
        ]
    else:
        rows = push(opened, wanted)
    ui.table(rows, ["what", "state", "place", "files", "bytes", "commit"], as_json=json)


def _open(directory: Path) -> Run:
    """The run at a directory, or the last stage of the pipeline there."""
    import json

    from r1cli import source
    from r1cli.errors import UsageError
    from r1cli.recipe import Recipe
    from r1cli.recipe_file import validate
    from r1cli.run import RESOLVED, Run

    stages = directory / "pipeline.json"
    if stages.is_file():
        directory = directory / json.loads(stages.read_text(encoding="utf-8"))["stages"][-1]
    if not (directory / "run.json").is_file():
        raise UsageError(f"{directory} is no run directory; see: r1 runs list")
    return Run(directory, validate(Recipe, source.read(directory / RESOLVED)))
