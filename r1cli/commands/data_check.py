"""`r1 data check` and `preview`: a recipe's rows, a file's or a hub dataset's, looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import arguments, completer, installed_plugins
from r1cli.commands.data_options import ARG, JSON, PROMPT_COLUMN

if TYPE_CHECKING:
    from datasets import Dataset

    from r1cli.data.rendering import Rendering
    from r1cli.plugins import Plugins
    from r1cli.recipe import Recipe
    from r1cli.scoring import BoundReward

WHAT = typer.Argument(
    metavar="RECIPE|DATASET", help="A recipe, a file, a folder, a hub id or a registered dataset."
)
MODEL = typer.Option("", help="The model whose chat template and tokens count; else the recipe's.")
SET = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a key of the recipe.")
SYSTEM_PROMPT = typer.Option("", help="Put before every prompt; else the recipe's.")


def check(
    what: str = WHAT,
    reward: list[str] = typer.Option(
        [], help="A reward the rows are for.", autocompletion=completer("rewards")
    ),
    model: str = MODEL,
    context: int | None = typer.Option(None, min=1, help="Tokens; else the model's context."),
    system_prompt: str = SYSTEM_PROMPT,
    prompt_column: str = PROMPT_COLUMN,
    arg: list[str] = ARG,
    set_: list[str] = SET,
    json: bool = JSON,
) -> None:
    """Columns, lengths, duplicates, golds that no reward reads; exits 1 where it cannot work."""
    from r1cli import ui
    from r1cli.data import profile
    from r1cli.data.rendering import column_of, room_for_prompts
    from r1cli.data.text import text_column
    from r1cli.errors import UsageError
    from r1cli.lab.distribution import bars
    from r1cli.scoring import bind_reward, check_gold

    plugins = installed_plugins()
    ui.narrate()
    recipe, rows, rewards = _open(what, arg, set_, plugins)
    rewards += [bind_reward(name, {}, plugins, where="--reward") for name in reward]
    recipe, shown = _rendering(recipe, model, system_prompt, prompt_column, plugins)
    asked = (
        text_column(rows.column_names, prompt_column)
        if prompt_column
        else column_of(rows.column_names)
    )
    lengths: list[int] = []
    with ui.progress("render") as progress:
        for texts in shown.texts(rows):
            lengths += shown.lengths(texts)
            progress(len(lengths), len(rows))
    found = [profile.empty(rows, asked), profile.duplicates(rows, asked)]
    lacking = profile.lacking(rows, rewards)
    room = room_for_prompts(recipe, context) if recipe else context
    if room is not None and shown.tokenizer is not None:
        found.append(profile.over(lengths, room))
    if rewards and not lacking:
        try:
            bad = check_gold(rows, rewards)
            found.append(profile.gold(bad, rewards))
        except UsageError as error:
            found.append(profile.Finding(str(error), len(rows), [], True))
    found = [*lacking, *(one for one in found if one.count)]
    columns = profile.columns(rows)
    histogram = bars(lengths)
    if json:
        ui.show_json(
            {
                "rows": len(rows),
                "columns": columns,
                "findings": [vars(one) for one in found],
                "unit": shown.unit,
                "lengths": profile.quantiles(lengths),
                "histogram": [{k: v for k, v in bar.items() if k} for bar in histogram],
            }
        )
    else:
        title = f"{len(rows)} rows"
        ui.table(columns, ["column", "type", "missing", "first"], title=title)
        ui.table(histogram, ["value", "count", ""], title=f"{asked} in {shown.unit}")
        for one in found:
            first = f"; the first: {', '.join(map(str, one.rows))}" if one.rows else ""
            ui.show(f"{'error' if one.fatal else 'warning'}: {one.count} rows {one.what}{first}")
        if not found:
            ui.show("ok")
    if any(one.fatal for one in found):
        raise typer.Exit(1)


def preview(
    what: str = WHAT,
    n: int = typer.Option(3, "-n", "--rows", min=1, help="How many rows."),
    model: str = MODEL,
    system_prompt: str = SYSTEM_PROMPT,
    prompt_column: str = PROMPT_COLUMN,
    arg: list[str] = ARG,
    set_: list[str] = SET,
    json: bool = JSON,
) -> None:
    """The first prompts as the model will see them: chat template applied, special tokens shown."""
    from r1cli import ui

    plugins = installed_plugins()
    recipe, rows, _ = _open(what, arg, set_, plugins)
    _, shown = _rendering(recipe, model, system_prompt, prompt_column, plugins)
    first = rows.select(range(min(n, len(rows))))
    texts = [text for batch in shown.texts(first) for text in batch]
    lengths = shown.lengths(texts)
    if json:
        ui.show_json(
            [
                {"row": i, "text": text, shown.unit: length}
                for i, (text, length) in enumerate(zip(texts, lengths, strict=True), 1)
            ]
        )
        return
    for number, (text, length) in enumerate(zip(texts, lengths, strict=True), 1):
        ui.say(f"--- row {number}: {length} {shown.unit}")
        ui.show(text)
    if shown.tokenizer is None:
        ui.say("no model named, so no chat template is applied; name one with --model")


def _open(
    what: str, arg: list[str], set_: list[str], plugins: Plugins
) -> tuple[Recipe | None, Dataset, list[BoundReward]]:
    """The recipe if it is one, its rows, its rewards."""
    from r1cli import dataset, recipe_file
    from r1cli.data.source import load
    from r1cli.errors import UsageError
    from r1cli.scoring import bind_rewards

    if Path(what).suffix in (".yaml", ".yml") or what in recipe_file.shipped():
        recipe = recipe_file.load(what, set_)
        if arg:
            raise UsageError("--arg is for datasets; change a recipe with --set dataset.args.KEY=")
        return recipe, dataset.load(recipe, plugins), bind_rewards(recipe, plugins)
    if set_:
        raise UsageError(f"--set changes a recipe, and {what!r} is none; use --arg")
    return None, load(what, arguments(arg), plugins), []


def _rendering(
    recipe: Recipe | None, model: str, system_prompt: str, column: str, plugins: Plugins
) -> tuple[Recipe | None, Rendering]:
    """How rows are shown, and the recipe with its model where it is."""
    from r1cli.check import resolve_model
    from r1cli.data.rendering import Rendering, rendering
    from r1cli.recipe import Recipe

    if recipe is None and not model:
        return None, Rendering(column=column)
    changes: dict[str, Any] = {"system_prompt": system_prompt} if system_prompt else {}
    if recipe is None:
        given = {"model": {"name": model}, "dataset": {"name": "file"}, "trainer": {}}
        recipe = Recipe.model_validate(given)
    elif model:
        named = recipe.model.model_copy(update={"name": model, "args": {}, "revision": None})
        changes["model"] = named
    recipe = resolve_model(recipe.model_copy(update=changes), plugins)
    return recipe, rendering(recipe, column)
