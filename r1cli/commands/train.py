"""`r1 train`: one training run of a recipe, locally or through its launcher."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r1cli.commands import complete_recipe, completer, installed_plugins

if TYPE_CHECKING:
    from r1cli.plugins import Plugins
    from r1cli.recipe import Recipe
    from r1cli.types import Job


def train(
    trainer: str = typer.Argument(
        help="The trainer: sft, grpo, or one of a plugin's (see: r1 plugins list).",
        autocompletion=completer("trainers"),
    ),
    recipe: str = typer.Option(
        ..., help="A recipe file or a shipped name.", autocompletion=complete_recipe
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable."
    ),
    on: str = typer.Option(
        "", help="The launcher, launch.name.", autocompletion=completer("launchers")
    ),
    nodes: int | None = typer.Option(None, min=1, help="Nodes, launch.args.nodes."),
    accelerator: str = typer.Option("", help="How ranks share the work, launch.accelerator."),
    processes: int | None = typer.Option(None, min=1, help="Ranks, launch.processes."),
    run: Path | None = typer.Option(None, help="The run directory; default runs/<recipe name>."),
    fresh: bool = typer.Option(False, help="Move an existing run aside and start anew."),
    dry_run: bool = typer.Option(False, help="Check everything, print the plan, train nothing."),
    verify_resume: bool = typer.Option(
        False, help="Train a few steps, kill and resume the same, compare bit for bit."
    ),
) -> None:
    """Train a policy from a recipe; the same command again goes on where it stopped."""
    from r1cli import recipe_file as recipes
    from r1cli import ui
    from r1cli.check import check, resolve_model
    from r1cli.errors import UsageError
    from r1cli.pipeline import is_main_process
    from r1cli.pipeline import train as train_recipe
    from r1cli.run import move_aside
    from r1cli.types import Job

    if verify_resume and (fresh or dry_run):
        raise UsageError(
            "--verify-resume trains two short runs of its own and touches no other; leave out "
            + ("--dry-run" if dry_run else "--fresh")
        )
    plugins = installed_plugins()
    plugins["trainers"].get(trainer)
    shorthands = {
        "launch.name": on,
        "launch.args.nodes": nodes,
        "launch.accelerator": accelerator,
        "launch.processes": processes,
    }
    set_ = [*set_, *(f"{key}={value}" for key, value in shorthands.items() if value)]
    loaded = recipes.load(recipe, set_)
    if loaded.trainer.name not in (None, trainer):
        raise UsageError(
            f"{recipe} is a recipe for {loaded.trainer.name!r}, not {trainer!r}; "
            f"run: r1 train {loaded.trainer.name} --recipe {recipe}"
        )
    named = loaded.trainer.model_copy(update={"name": trainer})
    loaded = _fitted(loaded.model_copy(update={"trainer": named}), plugins)
    directory = run or Path("runs") / str(loaded.name)
    sets = [part for assignment in set_ for part in ("--set", assignment)]
    job = Job(
        argv=("train", trainer, "--recipe", recipe, *sets, "--run", str(directory)),
        processes=loaded.launch.processes,
        accelerator=loaded.launch.accelerator,
        directory=directory,
    )
    if dry_run:
        _show_plan(loaded, plugins, job)
        return
    if verify_resume:
        from r1cli.commands.verify_resume import verify_resume as verify

        verify(loaded, plugins, directory)
        return
    if _starts_elsewhere(loaded):
        launcher = check(loaded, plugins).launcher
        if not getattr(launcher, "on_node", False):  # else this is the job that was submitted
            if hasattr(launcher, "check"):
                launcher.check(_on_resolved(job, loaded))
            if fresh:
                move_aside(directory)
            resolve_model(loaded, plugins)  # built here, once, not by every process
            job = _prepared(job, loaded)
        raise typer.Exit(launcher.submit(job))
    if is_main_process():
        ui.narrate()
    done = train_recipe(loaded, plugins, directory, fresh=fresh)
    if is_main_process():
        from r1cli.commands.runs import show_scores

        show_scores([done])
        ui.show(f"policy: {done.model}")


def _starts_elsewhere(recipe: Recipe) -> bool:
    """Several processes, or a launcher other than local, unless this is such a process already."""
    launched = "R1_LAUNCHED" in os.environ
    return not launched and (recipe.launch.processes > 1 or recipe.launch.name != "local")


def _fitted(recipe: Recipe, plugins: Plugins) -> Recipe:
    """The recipe with a rank for every GPU of its launcher, if it is shared and says no number."""
    from r1cli.check import check
    from r1cli.planning.layout import spare_gpus

    said = recipe.launch.model_fields_set
    alone = recipe.launch.name == "local" and recipe.launch.accelerator == "single"
    if alone or "processes" in said:
        return recipe
    ranks = getattr(check(recipe, plugins).launcher, "processes", 1)
    ranks = max(1, ranks - spare_gpus(recipe))
    update: dict[str, Any] = {"processes": ranks}
    if ranks > 1 and "accelerator" not in said:
        update["accelerator"] = "ddp"
    return recipe.model_copy(update={"launch": recipe.launch.model_copy(update=update)})


def _on_resolved(job: Job, recipe: Recipe) -> Job:
    """The job on the recipe in its run directory, where it may have to wait for its turn."""
    from dataclasses import replace

    from r1cli.run import RESOLVED

    if recipe.launch.name == "local":
        return job
    resolved = str(job.directory / RESOLVED)
    command, trainer = job.argv[:2]
    argv = (command, trainer, "--recipe", resolved, "--run", str(job.directory))
    return replace(job, argv=argv)


def _prepared(job: Job, recipe: Recipe) -> Job:
    """Write that recipe, after which the job depends on nothing that may change."""
    from r1cli import ui
    from r1cli.run import open_run

    if recipe.launch.name != "local":
        run = open_run(job.directory, recipe)
        finished = run.finished
        if not finished:
            run.record(status="queued")
        run.release()
        if finished:
            ui.say(f"{job.directory} is finished already")
            raise typer.Exit(0)
    return _on_resolved(job, recipe)


def _show_plan(recipe: Recipe, plugins: Plugins, job: Job) -> None:
    from r1cli import source, ui
    from r1cli.check import check
    from r1cli.commands.elsewhere import show
    from r1cli.planning.placement import placement

    parts = check(recipe, plugins)
    ui.show_yaml(source.dump(recipe.model_dump(mode="json")))
    plan = getattr(parts.trainer, "plan", None)
    if plan:
        ui.say(f"batch: {plan(recipe)}")
    for line in placement(recipe, plugins):
        ui.say(line)
    show(parts.launcher, _on_resolved(job, recipe))
    ui.say("dry run: nothing was trained")
