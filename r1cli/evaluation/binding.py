"""From a benchmark's name and what a recipe or command line says of it to a Benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1cli import signature
from r1cli.errors import PluginError, UsageError
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun, Recipe
from r1cli.types import Benchmark

DEFAULT_ENGINE: str = BenchmarkRun.model_fields["engine"].default.name


def bind_benchmark(run: BenchmarkRun, plugins: Plugins, where: str) -> Benchmark:
    """The benchmark that a run names, with what the run says applied.

    Arguments that are fields of `Sampling` change how answers are sampled, those of the benchmark's
    `prepare` how problems are made; the others go to its dataset. All are checked against their
    signatures. Raises UsageError for what is unknown or out of range.
    """
    benchmark = _named(run.name, plugins, where)
    if run.data is not None:
        if not Path(run.data).is_file():
            raise UsageError(f"no file {run.data} with data of {run.name!r}, named at {where}")
        benchmark = replace(benchmark, dataset="file", args={"path": run.data})
    elif benchmark.dataset == "file" and "path" not in {**benchmark.args, **run.args}:
        raise UsageError(f"benchmark {run.name!r} at {where} needs its problems: --data FILE")
    _check_place(run, plugins, where)
    load = plugins["datasets"].get(benchmark.dataset, where).load()
    sampling, preparing, loading = _sorted_out(run, benchmark, load, where)
    try:
        drawn = replace(benchmark.sampling, **sampling)
    except ValueError as error:
        raise UsageError(f"benchmark {run.name!r}, at {where}: {error}") from error
    if run.prompt is not None:
        benchmark = replace(benchmark, prompt=run.prompt)
    if run.system_prompt is not None:
        benchmark = replace(benchmark, system_prompt=run.system_prompt or None)
    if run.prefill is not None:
        benchmark = replace(benchmark, prefill=run.prefill)
    if run.scorer is not None:
        scorer = run.scorer
        benchmark = replace(benchmark, scorer=scorer.name, scorer_args=scorer.args)
    named = {wanted: (present,) for wanted, present in run.columns.items()}
    return replace(
        benchmark,
        args={**benchmark.args, **loading},
        prepare_args={**benchmark.prepare_args, **preparing},
        columns={**benchmark.columns, **named},
        sampling=drawn,
    )


def benchmarks_named(
    names: Sequence[str],
    plugins: Plugins,
    recipe: Recipe | None = None,
    *,
    args: Mapping[str, Any],
    engine: str = "",
    engine_args: Mapping[str, Any],
    **options: Any,
) -> list[tuple[BenchmarkRun, Benchmark]]:
    """Benchmarks by name for the command line, or a recipe's, all with the same options.

    What is given here stands above what the recipe says of a benchmark, and that above its system
    prompt. Arguments of the engine are laid over the recipe's own, unless `engine` is another.
    """
    said: list[dict[str, Any]] = [{"name": name} for name in names]
    if recipe and not names:
        said = [run.model_dump(exclude_unset=True) for run in recipe.benchmarks]
    runs = []
    for run in said:
        own = run.pop("engine", {})
        kept = own.get("args", {}) if engine in ("", own.get("name")) else {}
        named = engine or own.get("name", DEFAULT_ENGINE)
        run["engine"] = {"name": named, "args": {**kept, **engine_args}}
        run["args"] = {**run.get("args", {}), **args}
        below = {"system_prompt": recipe.system_prompt if recipe else None}
        runs.append(BenchmarkRun(**{**below, **run, **options}))
    return [(run, bind_benchmark(run, plugins, "the command line")) for run in runs]


def _named(name: str, plugins: Plugins, where: str) -> Benchmark:
    """The registered benchmark; of a name like `reasoning_gym:chain_sum`, the part after a colon
    goes to a function that makes it."""
    family, _, part = name.partition(":")
    found = plugins["benchmarks"].get(family, where).load()
    if callable(found):
        found = found(part)
    elif part:
        raise UsageError(f"benchmark {family!r} has no parts; leave out {':' + part!r} at {where}")
    if not isinstance(found, Benchmark):
        raise PluginError(f"benchmark {name!r} is {found!r} and no r1cli.Benchmark")
    return found


def _check_place(run: BenchmarkRun, plugins: Plugins, where: str) -> None:
    """Raise UsageError for an engine or a launcher that is none, or takes other arguments."""
    engine, launch = run.engine, run.launch
    function = plugins["engines"].get(engine.name, where).load()
    what = f"engine {engine.name!r}"
    signature.bind(function, engine.args, what=what, where=where, expected=("model",))
    if launch:
        function = plugins["launchers"].get(launch.name, where).load()
        what = f"launcher {launch.name!r}"
        function(**signature.bind(function, launch.args, what=what, where=where))


def _sorted_out(
    run: BenchmarkRun, benchmark: Benchmark, load: Callable[..., Any], where: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The run's arguments for sampling, for preparing and for loading, checked."""
    prepare = benchmark.prepare or _prepare
    preparing = signature.parameters(prepare)
    sampling = signature.parameters(_sampling)
    known = [*sampling, *preparing, *signature.parameters(load)]
    chosen: list[dict[str, Any]] = [{}, {}, {}]
    for key, value in run.args.items():
        chosen[0 if key in sampling else 1 if key in preparing else 2][key] = value
    for target, args in zip((_sampling, prepare, load), chosen, strict=True):
        others = [name for name in signature.parameters(target) if name not in args]
        what = f"benchmark {run.name!r}"
        if args:
            args |= signature.bind(
                target, args, what=what, where=where, expected=others, also=known
            )
    return chosen[0], chosen[1], chosen[2]


def _prepare(rows: Any) -> Any:
    """What a benchmark whose rows are problems already does not do."""


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
