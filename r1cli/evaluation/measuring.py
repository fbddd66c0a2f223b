"""Benchmarks on a model: named by a command line, or by the run that trains it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from r1cli.errors import Interrupted
from r1cli.evaluation.during import Bound, During, Failed, told_failure
from r1cli.evaluation.evaluation import Evaluation, Progress
from r1cli.evaluation.sampled import HeldSampler, sampled
from r1cli.evaluation.score import Score
from r1cli.plugins import Plugins
from r1cli.recipe import Component, Recipe
from r1cli.records import DEFAULT, Store
from r1cli.run import Run

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 15


def measure(
    model: Path,
    benchmarks: Sequence[Bound],
    plugins: Plugins,
    folder: Path,
    *,
    engine: str = "transformers",
    engine_args: dict[str, Any] | None = None,
    code: Component | None = None,
    ks: Sequence[int] = (),
    records: Path = DEFAULT,
    failed: Failed | None = None,
    progress: Progress | None = None,
) -> list[Score]:
    """Run benchmarks on one model, loaded once, and only where a sample of it is missing.

    Samples and scores go to `folder`, attempts to the store `records`. `code` names the provider
    for scorers that run programs, `ks` are those of pass@k. With `failed`, a benchmark that fails
    is told there and left out. Without `progress`, the log tells of it.
    """
    scores: list[Score] = []
    if not benchmarks:
        return scores
    with (
        Store(records) as store,
        HeldSampler(engine, str(model), engine_args or {}, plugins) as sampler,
    ):
        for run, benchmark in benchmarks:
            try:
                evaluation = Evaluation(run, benchmark, plugins, code=code)
                score = evaluation.run(
                    sampled(evaluation, sampler, store),
                    folder,
                    model_key=sampler.key,
                    ks=ks,
                    progress=progress or _logged(run.name),
                )
            except Exception as error:
                if failed is None or isinstance(error, Interrupted):
                    raise
                failed(run.name, error)
            else:
                scores.append(score)
    return scores


def ensure_loadable(recipe: Recipe, benchmarks: Sequence[Bound], plugins: Plugins) -> None:
    """Raise for a benchmark whose problems cannot be had: known before hours of training."""
    for said, benchmark in benchmarks:
        Evaluation(said, benchmark, plugins, code=recipe.code)


def listening(run: Run, benchmarks: Sequence[Bound], plugins: Plugins) -> Callable[..., None]:
    """What a trainer's events go to: the plugins, and before them benchmarks on checkpoints."""
    often = [(said, benchmark) for said, benchmark in benchmarks if said.every]
    if not often:
        return plugins.emit

    def on_checkpoint(
        model: Path, benchmarks: Sequence[Bound], folder: Path, failed: Failed
    ) -> list[Score]:
        return _of_run(run, model, benchmarks, plugins, folder, failed)

    return During(run, often, plugins.emit, on_checkpoint)


def measure_final(run: Run, benchmarks: Sequence[Bound], plugins: Plugins) -> list[Score]:
    """The scores of a run's final policy. A benchmark that fails is recorded, and ends nothing."""
    before = run.state.get("benchmark_failures", [])
    failures = [failure for failure in before if failure["step"] is not None]

    def failed(benchmark: str, error: Exception) -> None:
        failures.append(told_failure(benchmark, error))

    scores = _of_run(run, run.model, benchmarks, plugins, run.directory / "eval", failed)
    if failures != before:
        run.record(benchmark_failures=failures)
    return scores


def _of_run(
    run: Run,
    model: Path,
    benchmarks: Sequence[Bound],
    plugins: Plugins,
    folder: Path,
    failed: Failed,
) -> list[Score]:
    """With the run's own code provider; attempts are kept beside the run, for it may be moved."""
    records = run.directory.parent / "records"
    return measure(
        *(model, benchmarks, plugins, folder),
        code=run.recipe.code,
        records=records,
        failed=failed,
    )


def _logged(name: str) -> Progress:
    """Progress as a log line now and then: often enough to see that it goes on."""
    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            log.info("benchmark %s: %d of %d samples", name, done, total)

    return progress
