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
from typing import Any

from r1cli import dataset as datasets
from r1cli import recipe_file as recipes
from r1cli import signature, source
from r1cli.check import Parts, check, resolve_model
from r1cli.data import curriculum
from r1cli.data.rows import fingerprint
from r1cli.errors import Interrupted, ProviderError, UsageError
from r1cli.evaluation.measuring import ensure_loadable, listening, measure_final
from r1cli.files import LogFile, write_atomic
from r1cli.models import ensure_model
from r1cli.plugins import Plugins, builtin_plugins
from r1cli.publishing.pending import push_finished
from r1cli.publishing.pieces import Wanted
from r1cli.recipe import Pipeline, Recipe
from r1cli.run import Run, move_aside, open_run
from r1cli.scoring import check_gold

log = logging.getLogger(__name__)


def train(recipe: Recipe, plugins: Plugins, directory: Path, *, fresh: bool = False) -> Run:
    """Train a policy as the recipe says and measure it; go on where an earlier try stopped."""
    _bound_threads(recipe)
    parts = check(recipe, plugins)
    frozen = None if fresh else directory / curriculum.FROZEN
    if recipe.dataset.curriculum and frozen and not is_main_process():
        curriculum.wait_for(frozen)
    rows, held_out = datasets.load_split(recipe, plugins, frozen)
    for reward in parts.rewards:
        reward.check_columns(rows.column_names)

    policy = resolve_model(recipe, plugins)
    ensure_model(policy.model.name, policy.model.revision, recipe.where("model", "name"))
    if is_main_process():
        ensure_loadable(recipe, parts.benchmarks, plugins)
    if fresh:
        move_aside(directory)
    run = open_run(directory, recipe, resume=is_main_process())
    if recipe.dataset.curriculum and is_main_process():
        curriculum.freeze(rows, directory)
    run.emit = listening(run, parts.benchmarks, plugins) if is_main_process() else plugins.emit
    with _recorded(run, plugins):
        if run.finished:
            log.info("%s is finished already", directory)
        if not run.state.get("checkpoint"):
            if is_main_process():
                check_gold(rows, parts.rewards, limits=recipe.scoring, seed=recipe.seed)
            _train(policy, run, rows, held_out, parts)
        if is_main_process():
            scores = measure_final(run, parts.benchmarks, plugins)
            run.record(scores=scores, status="finished")
    if recipe.hub and is_main_process():
        push_finished(run, Wanted(**recipe.hub.model_dump()))
    return run


def _train(recipe: Recipe, run: Run, rows: Any, held_out: Any, parts: Parts) -> None:
    if is_main_process():
        _record_rows(run, rows)
    evaluates = "held_out" in signature.parameters(parts.trainer)
    with _timed(run):
        checkpoint = parts.trainer(
            recipe,
            run,
            dataset=rows,
            rewards=parts.rewards,
            callbacks=[callback(run) for callback in parts.callbacks],
            **({"held_out": held_out} if evaluates else {}),
        )
    if is_main_process():
        run.record(checkpoint=str(checkpoint))


@contextmanager
def _timed(run: Run) -> Iterator[None]:
    """Add the time in here to that of earlier starts, however it ends but by a kill."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if is_main_process():
            seconds = run.state.get("train_seconds", 0.0) + time.perf_counter() - started
            with suppress(ProviderError):  # a full disk, which the next thing written says
                run.record(train_seconds=round(seconds, 2))


def _record_rows(run: Run, rows: Any) -> None:
    """Note the rows a run learns from; refuse others where it has learned from some."""
    found = {"rows": len(rows), "fingerprint": fingerprint(rows)}
    before = run.state.get("dataset", found)
    if before != found and run.whole_checkpoints():
        raise UsageError(
            f"the rows of {run.directory} have changed since it began: {before['rows']} then, "
            f"{found['rows']} now ({before['fingerprint']}, {found['fingerprint']}); "
            "bring them back, or add --fresh"
        )
    run.record(dataset=found)


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
        recipe = recipes.load(str(file), values=overrides)
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
