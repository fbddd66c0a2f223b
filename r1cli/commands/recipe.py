"""`r1 recipe`: the shipped recipes, and any recipe checked without training it."""

from __future__ import annotations

from pathlib import Path

import typer

from r1cli.commands import complete_recipe, installed_plugins

app = typer.Typer(help="List, show, check and copy recipes.", no_args_is_help=True)

NAME = typer.Argument(help="A recipe file or a shipped name.", autocompletion=complete_recipe)


@app.command("list")
def list_(json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """The shipped recipes."""
    from r1cli import ui
    from r1cli.recipe_file import is_pipeline, load, load_pipeline, shipped

    rows: list[dict[str, str | None]] = []
    for name, path in shipped().items():
        about = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        if is_pipeline(path):
            stages = ", ".join(stage.recipe for stage in load_pipeline(str(path)).stages)
            rows.append({"recipe": name, "kind": "pipeline", "model": stages, "about": about})
        else:
            recipe = load(str(path))
            rows.append(
                {
                    "recipe": name,
                    "kind": recipe.trainer.name,
                    "model": recipe.model.name,
                    "about": about,
                }
            )
    ui.table(rows, ["recipe", "kind", "model", "about"], as_json=json)


@app.command()
def show(
    name: str = NAME,
    resolved: bool = typer.Option(False, help="With every default, as a run keeps it."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a key."),
) -> None:
    """Print a recipe."""
    from r1cli import recipe_file as recipes
    from r1cli import source, ui

    path = recipes.find(name)
    if not resolved and not set_:
        ui.show_yaml(path.read_text(encoding="utf-8"))
        return
    read = recipes.load_pipeline if recipes.is_pipeline(path) else recipes.load
    ui.show_yaml(source.dump(read(str(path), set_).model_dump(mode="json")))


@app.command()
def check(
    names: list[str] = typer.Argument(None, help="Recipes to check; none means all shipped ones."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a key."),
    data: bool = typer.Option(False, help="Load the dataset too, and check its columns."),
) -> None:
    """Check recipes without loading a model: keys, names, arguments, the trainer's own config."""
    from r1cli import check as checks
    from r1cli import dataset, ui
    from r1cli import recipe_file as recipes
    from r1cli.pipeline import stage_recipes

    plugins = installed_plugins()
    for name in names or list(recipes.shipped()):
        path = recipes.find(name)
        if recipes.is_pipeline(path):
            stages = stage_recipes(recipes.load_pipeline(str(path), set_), path, Path("runs"))
            loaded = [recipe for recipe, _ in stages]
        else:
            loaded = [recipes.load(str(path), set_)]
        for recipe in loaded:
            parts = checks.check(recipe, plugins)
            if data:
                columns = dataset.load(recipe, plugins).column_names
                for reward in parts.rewards:
                    reward.check_columns(columns)
        ui.show(f"ok: {name}")


@app.command()
def get(
    name: str = NAME,
    to: Path = typer.Argument(Path(), help="Where to: a folder or a file."),
) -> None:
    """Copy a recipe, to change it; a pipeline with the recipes beside it that it names."""
    import shutil

    from r1cli import recipe_file as recipes
    from r1cli import ui
    from r1cli.errors import UsageError
    from r1cli.files import disk_errors

    path = recipes.find(name)
    targets = {path: to / path.name if to.is_dir() else to}
    if recipes.is_pipeline(path):
        for stage in recipes.load_pipeline(str(path)).stages:
            beside = recipes.find(stage.recipe, beside=path)
            if beside.parent == path.parent:
                targets[beside] = targets[path].with_name(beside.name)
    for target in targets.values():
        if target.exists():
            raise UsageError(f"{target} exists; choose another name: r1 recipe get {name} FILE")
    for file, target in targets.items():
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        ui.say(f"copied to {target}")


@app.command()
def migrate(
    old: Path = typer.Argument(help="A flat YAML file of open-r1 or TRL.", metavar="OLD.yaml"),
    out: Path | None = typer.Option(None, help="Where to write the recipe; default: print it."),
    processes: int | None = typer.Option(
        None, min=1, help="Ranks it ran on, which accelerate's file said; default 8."
    ),
    trainer: str = typer.Option("", help="sft or grpo, where the keys do not tell."),
    json: bool = typer.Option(False, "--json", help="Print recipe and report as JSON."),
) -> None:
    """Turn a recipe of open-r1 or TRL into one of r1, and say what became of every key."""
    from r1cli import source, ui
    from r1cli.errors import UsageError
    from r1cli.files import write_atomic
    from r1cli.migration.migrate import migrate

    if trainer not in ("", "sft", "grpo"):
        raise UsageError(f"--trainer {trainer!r} is not one of open-r1's: sft, grpo")
    if out and out.exists():
        raise UsageError(f"{out} exists; choose another name with --out")
    done = migrate(source.read(old), installed_plugins(), processes=processes, trainer=trainer)
    text = f"# Migrated from {old.name}.\n{source.dump(done.recipe)}"
    if out:
        write_atomic(out, text)
    if json:
        notes = [vars(note) for note in done.notes]
        ui.show_json({"recipe": done.recipe, "report": notes})
        return
    for note in done.notes:
        if note.kind != "kept":
            ui.say(str(note))
    kept = sum(note.kind == "kept" for note in done.notes)
    ui.say(f"kept: {kept} keys under their names")
    if out:
        ui.show(f"written to {out}; next: r1 recipe check {out}")
    else:
        ui.show_yaml(text)
