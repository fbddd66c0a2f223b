"""What the names in a recipe mean: looked up, their arguments checked, nothing loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from r1cli import signature
from r1cli.dataset import bind_dataset
from r1cli.errors import UsageError, suggest
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun, Recipe
from r1cli.registry import label
from r1cli.scoring import BoundReward, bind_rewards
from r1cli.types import Benchmark, Launcher, Sampling


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


def bind_benchmark(run: BenchmarkRun, plugins: Plugins, where: str) -> Benchmark:
    """The benchmark a run names, with the run's arguments applied.

    Arguments that are fields of `Sampling` change how answers are sampled; the others go to the
    benchmark's dataset, and are checked against its signature.
    """
    benchmark: Benchmark = plugins["benchmarks"].get(run.name, where).load()
    names = {field.name for field in fields(Sampling)}
    sampling = signature.bind(
        _sampling,
        {k: v for k, v in run.args.items() if k in names},
        what=f"benchmark {run.name!r}",
        where=where,
    )
    rest = {k: v for k, v in run.args.items() if k not in names}
    if rest:
        function = plugins["datasets"].get(benchmark.dataset, where).load()
        signature.bind(
            function,
            rest,
            what=f"benchmark {run.name!r}",
            where=where,
            expected=[n for n in signature.parameters(function) if n not in rest],
            also=[*names, *signature.parameters(function)],
        )
    args = {**benchmark.args, **rest}
    try:
        chosen = replace(benchmark.sampling, **sampling)
    except ValueError as error:
        raise UsageError(f"benchmark {run.name!r}, at {where}: {error}") from error
    if run.data is not None:
        if not Path(run.data).is_file():
            raise UsageError(f"no file {run.data} with data of {run.name!r}, named at {where}")
        benchmark = replace(benchmark, dataset="file")
        args = {"path": run.data}
    return replace(benchmark, args=args, sampling=chosen)


def _sampling(
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    max_tokens: int = 512,
    n: int = 1,
    seed: int = 0,
) -> None:
    """The signature of `Sampling`, for checking."""


def _component(kind: str, item: Any, plugins: Plugins, where: str) -> Bound:
    function = plugins[kind].get(item.name, where).load()
    args = signature.bind(function, item.args, what=f"{label(kind)} {item.name!r}", where=where)
    return Bound(function, args)
