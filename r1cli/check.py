"""What the names in a recipe mean: looked up, their arguments checked, nothing loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1cli import signature
from r1cli.data.rows import bind_dataset
from r1cli.errors import UsageError, suggest
from r1cli.evaluation.binding import bind_benchmark
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun, Recipe
from r1cli.registry import label
from r1cli.scoring import BoundReward, bind_rewards
from r1cli.types import Benchmark, Launcher


@dataclass(frozen=True)
class Bound:
    """A function and the checked arguments to call it with."""

    function: Callable[..., Any]
    args: Mapping[str, Any]

    def __call__(self, *given: Any, **extra: Any) -> Any:
        return self.function(*given, **self.args, **extra)


@dataclass(frozen=True)
class Parts:
    """The objects that a recipe's names stand for."""

    trainer: Callable[..., Any]
    rewards: list[BoundReward]
    callbacks: list[Bound]
    launcher: Launcher
    benchmarks: list[tuple[BenchmarkRun, Benchmark]]


def check(recipe: Recipe, plugins: Plugins) -> Parts:
    """Every name of a recipe resolved and every argument checked.

    A trainer may carry a function attribute `check(recipe)`: its own depth, TRL's config class for
    the built-in ones. Raises UsageError with the nearest valid name.
    """
    for number, item in enumerate(recipe.dataset.items):
        key = ("dataset", "mixture", number) if recipe.dataset.mixture else ("dataset",)
        bind_dataset(item.name, item.args, plugins, seed=recipe.seed, where=recipe.where(*key))
    if recipe.model.name in plugins["models"]:
        bind_model(recipe, plugins)
    else:
        _check_model(recipe, plugins)
    where = recipe.where("trainer", "name")
    if recipe.trainer.name is None:
        raise UsageError(f"the recipe names no trainer at {where}; say: r1 train <trainer>")
    trainer = plugins["trainers"].get(recipe.trainer.name, where).load()
    parts = Parts(
        trainer=trainer,
        rewards=bind_rewards(recipe, plugins),
        callbacks=[
            _component("callbacks", item, plugins, recipe.where("callbacks", number))
            for number, item in enumerate(recipe.callbacks)
        ],
        launcher=_component("launchers", recipe.launch, plugins, recipe.where("launch"))(),
        benchmarks=[
            (run, bind_benchmark(run, plugins, recipe.where("benchmarks", number)))
            for number, run in enumerate(recipe.benchmarks)
        ],
    )
    if hasattr(trainer, "check"):
        trainer.check(recipe)
    return parts


HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


def _check_model(recipe: Recipe, plugins: Plugins) -> None:
    """A model that no plugin makes: a directory or a hub id, which is not asked for here."""
    name, where = recipe.model.name, recipe.where("model", "name")
    if recipe.model.args:
        raise UsageError(
            f"model {name!r} is no registered source and takes no args, "
            f"given at {recipe.where('model', 'args')}"
        )
    path = Path(name)
    # An earlier stage of the same pipeline may be about to leave its `model` folder.
    if not path.is_dir() and path.name != "model" and not HUB_ID.fullmatch(name):
        raise UsageError(
            f"model {name!r} at {where} is no directory, no hub id (owner/name) and no source; "
            f"{suggest(name, plugins['models'].names())}"
        )


def bind_model(recipe: Recipe, plugins: Plugins) -> Bound:
    """The registered source that the recipe's model names."""
    where = recipe.where("model", "name")
    function = plugins["models"].get(recipe.model.name, where).load()
    args = signature.bind(
        function,
        recipe.model.args,
        what=f"model {recipe.model.name!r}",
        where=where,
        services={"seed": recipe.seed},
    )
    return Bound(function, args)


def resolve_model(recipe: Recipe, plugins: Plugins) -> Recipe:
    """The recipe with its model's name replaced by the directory a registered source gives."""
    if recipe.model.name not in plugins["models"]:
        return recipe
    path = Path(bind_model(recipe, plugins)())
    model = recipe.model.model_copy(update={"name": str(path), "args": {}})
    return recipe.model_copy(update={"model": model})


def _component(kind: str, item: Any, plugins: Plugins, where: str) -> Bound:
    function = plugins[kind].get(item.name, where).load()
    args = signature.bind(function, item.args, what=f"{label(kind)} {item.name!r}", where=where)
    return Bound(function, args)
