"""Benchmarks on a model: named by a command line, or by the run that trains it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from r1cli.collecting import wanted
from r1cli.errors import Interrupted, UsageError
from r1cli.evaluation.during import Bound, During, Failed, told_failure
from r1cli.evaluation.evaluation import Evaluation, Progress
from r1cli.evaluation.judged import judged
from r1cli.evaluation.launched import Launched, with_new
from r1cli.evaluation.sampled import HeldSampler, sampled
from r1cli.evaluation.score import Score
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun, Component, Recipe
from r1cli.records import DEFAULT, Store
from r1cli.run import Run
from r1cli.sampling import sampler_key
from r1cli.types import Benchmark

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 15


def measure(
    model: Path,
    benchmarks: Sequence[Bound],
    plugins: Plugins,
    folder: Path,
    *,
    code: Component | None = None,
    ks: Sequence[int] = (),
    records: Path = DEFAULT,
    failed: Failed | None = None,
    progress: Progress | None = None,
) -> list[Score]:
    """Run benchmarks on one model, loaded once by each engine, and only where samples are missing.

    Samples and scores go to `folder`, attempts and judgements to the store `records`. `code` names
    the provider for scorers that run programs, `ks` are those of pass@k. With `failed`, a benchmark
    that fails is told there and left out. Without `progress`, the log tells of it.

    Raises UsageError, before anything is sampled, for a k above a benchmark's number of samples.
    """
    scores: list[Score] = []
    if not benchmarks:
        return scores
    for run, benchmark in benchmarks:
        if ks and max(ks) > (n := wanted(benchmark.sampling)):
            why = "greedy ones are all alike" if benchmark.sampling.temperature == 0 else "raise n"
            raise UsageError(
                f"pass@{max(ks)} of {run.name!r} needs as many samples, not {n}: {why}"
            )
    with Store(records) as store:
        for engine, alike in groupby(benchmarks, key=lambda pair: pair[0].engine):
            with HeldSampler(engine.name, str(model), engine.args, plugins) as sampler:
                for run, benchmark in alike:
                    try:
                        evaluation = Evaluation(run, benchmark, plugins, code=code)
                        score = evaluation.run(
                            sampled(evaluation, sampler, store),
                            folder,
                            model_key=sampler.key,
                            ks=ks,
                            progress=progress or _logged(run.name),
                            judged=judged(evaluation, sampler, store),
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

    return During(run, often, plugins.emit, on_checkpoint, Launched(run, plugins))


def measure_final(run: Run, benchmarks: Sequence[Bound], plugins: Plugins) -> list[dict[str, Any]]:
    """The scores of a run's final policy, as run.json keeps them.

    A benchmark that fails is recorded, and ends nothing. Those that are launched are submitted, and
    are here once their samples are.
    """
    jobs = Launched(run, plugins)
    came = [score for score in jobs.collect() if score["step"] is None]
    before = run.state.get("benchmark_failures", [])
    failures = [failure for failure in before if failure["step"] is not None]

    def failed(benchmark: str, error: Exception) -> None:
        failures.append(told_failure(benchmark, error))

    folder, here = run.directory / "eval", []
    for said, benchmark in benchmarks:
        if said.launch is None or _is_sampled(run, said, benchmark, plugins, folder):
            here.append((said, benchmark))
            continue
        try:
            jobs.submit(said, run.model, None)
        except Exception as error:
            failed(said.name, error)
    scores = _of_run(run, run.model, here, plugins, folder, failed)
    if failures != before:
        run.record(benchmark_failures=failures)
    if jobs.pending:
        log.info(
            "benchmarks under way as jobs: %d; for their scores: r1 runs show %s",
            *(len(jobs.pending), run.directory),
        )
    return with_new(came, [score.to_dict() for score in scores])


def _is_sampled(
    run: Run, said: BenchmarkRun, benchmark: Benchmark, plugins: Plugins, folder: Path
) -> bool:
    """Whether a job has left every sample of the final policy here."""
    try:
        evaluation = Evaluation(said, benchmark, plugins, code=run.recipe.code)
        key = sampler_key(said.engine.name, str(run.model), said.engine.args, plugins)
        return evaluation.is_sampled(folder, key)
    except Exception:  # told by whoever measures it
        return False


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
