"""The flow, wired: where names become objects and objects meet. Read this first.

    recipe -> dataset -> trainer <- rewards
                           |
                           +-> checkpoint -> benchmarks <- engine -> scores

R1's own description reads the same way: take a policy, show it worked reasoning (sft), reinforce
what a verifiable reward confirms (grpo), measure, and start the next stage from the result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1cli import dataset as datasets
from r1cli import recipe_file as recipes
from r1cli import source
from r1cli.check import Parts, bind_benchmark, check, resolve_model
from r1cli.errors import Interrupted, ProviderError
from r1cli.files import LogFile, write_atomic
from r1cli.models import ensure_model
from r1cli.plugins import Plugins, builtin_plugins
from r1cli.publishing.pending import push_finished
from r1cli.publishing.pieces import Wanted
from r1cli.recipe import BenchmarkRun, Pipeline, Recipe
from r1cli.run import Run, move_aside, open_run
from r1cli.sampling import open_engine, sampler_key
from r1cli.scoring import check_gold

if TYPE_CHECKING:
    from r1cli.evaluation import Progress, Score

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 15


def train(recipe: Recipe, plugins: Plugins, directory: Path, *, fresh: bool = False) -> Run:
    """Train a policy as the recipe says and measure it; go on where an earlier try stopped."""
    _bound_threads(recipe)
    parts = check(recipe, plugins)
    rows = datasets.load(recipe, plugins)
    for reward in parts.rewards:
        reward.check_columns(rows.column_names)

    policy = resolve_model(recipe, plugins)
    ensure_model(policy.model.name, policy.model.revision, recipe.where("model", "name"))
    if fresh:
        move_aside(directory)
    run = open_run(directory, recipe, resume=is_main_process())
    run.emit = plugins.emit
    with _recorded(run, plugins):
        if run.finished:
            log.info("%s is finished already", directory)
        if not run.state.get("checkpoint"):
            if is_main_process():
                check_gold(rows, parts.rewards, limits=recipe.scoring, seed=recipe.seed)
            _train(policy, run, rows, parts)
        if is_main_process():
            scores = measure(run.model, parts.benchmarks, plugins, run.directory)
            run.record(scores=[score.to_dict() for score in scores], status="finished")
    if recipe.hub and is_main_process():
        push_finished(run, Wanted(**recipe.hub.model_dump()))
    return run


def _train(recipe: Recipe, run: Run, rows: Any, parts: Parts) -> None:
    started = time.perf_counter()
    if is_main_process():
        run.record(dataset={"rows": len(rows), "fingerprint": datasets.fingerprint(rows)})
    checkpoint = parts.trainer(
        recipe,
        run,
        dataset=rows,
        rewards=parts.rewards,
        callbacks=[callback(run) for callback in parts.callbacks],
    )
    if is_main_process():
        before = run.state.get("train_seconds", 0.0)
        seconds = before + time.perf_counter() - started
        run.record(checkpoint=str(checkpoint), train_seconds=round(seconds, 2))


def measure(
    model: Path,
    benchmarks: Sequence[tuple[BenchmarkRun, Any]],
    plugins: Plugins,
    directory: Path,
    *,
    engine: str = "transformers",
    engine_args: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Score]:
    """Run benchmarks on one model, loaded once; without `progress`, the log tells of it."""
    from r1cli.evaluation import Evaluation

    if not benchmarks:
        return []
    evaluations = [Evaluation(run, benchmark, plugins) for run, benchmark in benchmarks]
    key = sampler_key(engine, str(model), engine_args or {}, plugins)
    with open_engine(engine, str(model), engine_args or {}, plugins) as opened:
        return [
            e.run(opened, directory / "eval", model_key=key, progress=progress or _logged(e.name))
            for e in evaluations
        ]


def _logged(name: str) -> Progress:
    """Progress as a log line now and then: often enough to see that it goes on."""
    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            log.info("benchmark %s: %d of %d problems", name, done, total)

    return progress


def run_pipeline(
    pipeline: Pipeline, path: Path, plugins: Plugins, directory: Path, *, fresh: bool = False
) -> list[Run]:
    """Train the stages one after the other, each from the policy that the one before left."""
    stages = stage_recipes(pipeline, path, directory)
    for recipe, _ in stages:
        _bound_threads(recipe)
        check(recipe, plugins)
    if fresh:
        move_aside(directory)
    runs = []
    for number, (recipe, place) in enumerate(stages, 1):
        log.info("stage %d of %d: %s", number, len(stages), recipe.name)
        runs.append(train(recipe, plugins, place))
    write_atomic(
        directory / "pipeline.json",
        json.dumps({"name": pipeline.name, "stages": [r.directory.name for r in runs]}) + "\n",
    )
    plugins.emit("pipeline_finished", runs=runs, directory=directory)
    return runs


def stage_recipes(pipeline: Pipeline, path: Path, directory: Path) -> list[tuple[Recipe, Path]]:
    """Each stage's recipe, with the pipeline's seed, model and benchmarks in it, and its place."""
    stages: list[tuple[Recipe, Path]] = []
    for number, stage in enumerate(pipeline.stages, 1):
        file = recipes.find(stage.recipe, beside=path)
        overrides = {"seed": pipeline.seed, **stage.set}
        if stages:
            overrides["model.args"] = {}
            overrides["model.name"] = str(stages[-1][1] / "model")
        sets = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
        recipe = recipes.load(str(file), sets)
        both = [*recipe.benchmarks, *pipeline.benchmarks]
        recipe = recipe.model_copy(update={"benchmarks": both})
        stages.append((recipe, directory / f"{number}-{file.stem}"))
    return stages


def build_policy(name: str, *, overrides: Sequence[str] = ()) -> Path:
    """Train a shipped recipe once and keep the policy; the next time, the kept one is returned.

    For model sources that are themselves the product of a recipe. The cache key is the whole
    resolved recipe, so a changed recipe is trained anew.
    """
    from r1cli.home import cache_folder

    recipe = recipes.load(name, overrides).model_copy(update={"benchmarks": []})
    resolved = source.dump(recipe.model_dump(mode="json"))
    key = hashlib.sha256(resolved.encode()).hexdigest()[:12]
    directory = cache_folder("models") / f"{recipe.name}-{key}"
    if not (directory / "model" / "config.json").exists() or not Run(directory, recipe).finished:
        log.warning("building %s from recipe %s, once, into %s", recipe.name, name, directory)
        train(recipe, builtin_plugins(), directory)
    return directory / "model"


def _bound_threads(recipe: Recipe) -> None:
    """Say the recipe's threads before torch is first imported, which reads them then.

    The user's own OMP_NUM_THREADS goes first, then the first stage of a pipeline.
    """
    if recipe.launch.threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(recipe.launch.threads))


def is_main_process() -> bool:
    """Whether this is the first rank of a launch, or no launch at all."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _recorded(run: Run, plugins: Plugins) -> Iterator[None]:
    """Keep the run's log, tell the listeners how it went, and let go of the directory."""
    if not is_main_process():
        yield
        return
    handler = LogFile(run.directory / "log.txt")
    logging.getLogger().addHandler(handler)
    plugins.emit("run_started", run=run)
    error: BaseException | None = None
    try:
        yield
    except BaseException as problem:
        error = problem
        stopped = isinstance(problem, (Interrupted, KeyboardInterrupt))
        status = "interrupted" if stopped else "failed"
        with suppress(ProviderError):  # a full disk, and then `problem` says so already
            run.record(status=status, error=f"{type(problem).__name__}: {problem}".splitlines()[0])
        raise
    finally:
        plugins.emit("run_finished", run=run, error=error)
        logging.getLogger().removeHandler(handler)
        handler.close()
        run.release()


def benchmarks_named(
    names: Sequence[str], plugins: Plugins, **options: Any
) -> list[tuple[BenchmarkRun, Any]]:
    """Benchmarks by name for the command line, all with the same options."""
    runs = [BenchmarkRun(name=name, **options) for name in names]
    return [(run, bind_benchmark(run, plugins, "the command line")) for run in runs]
