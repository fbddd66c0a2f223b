"""`r1 pipeline`: the stages of a pipeline recipe, one after the other."""

from __future__ import annotations

from pathlib import Path

import typer

from r1cli.commands import complete_recipe, installed_plugins


def pipeline(
    recipe: str = typer.Option(
        ..., help="A pipeline file or a shipped name.", autocompletion=complete_recipe
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a key of the pipeline; repeatable."
    ),
    run: Path | None = typer.Option(None, help="The run directory; default runs/<recipe name>."),
    fresh: bool = typer.Option(False, help="Move an existing run aside and start anew."),
) -> None:
    """Run several recipes in a row; finished stages are kept, an unfinished one goes on."""
    from r1cli import recipe_file as recipes
    from r1cli import ui
    from r1cli.commands.runs import show_scores
    from r1cli.errors import UsageError
    from r1cli.pipeline import run_pipeline

    path = recipes.find(recipe)
    if not recipes.is_pipeline(path):
        raise UsageError(f"{recipe} has no stages; run it with: r1 train <trainer> --recipe ...")
    loaded = recipes.load_pipeline(str(path), set_)
    directory = run or Path("runs") / str(loaded.name)
    ui.narrate()
    show_scores(run_pipeline(loaded, path, installed_plugins(), directory, fresh=fresh))
