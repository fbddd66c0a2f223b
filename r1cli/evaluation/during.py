"""Benchmarks on checkpoints while a run goes on, and the end of a run that no longer gets better.

The first rank measures while the others wait for it at their next step: a benchmark that takes
longer than the ranks' collective time-out (NCCL: 10 minutes) ends such a run. Measure less, or
`launch` it as a job of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from r1cli.errors import UsageError
from r1cli.evaluation.score import Score
from r1cli.recipe import BenchmarkRun
from r1cli.run import Run

log = logging.getLogger(__name__)

Bound = tuple[BenchmarkRun, Any]
Failed = Callable[[str, Exception], None]


class Measure(Protocol):
    def __call__(
        self, model: Path, benchmarks: Sequence[Bound], folder: Path, failed: Failed
    ) -> list[Score]: ...


class Elsewhere(Protocol):
    """Benchmarks that jobs of their own measure; see launched.py."""

    def forget(self, step: int) -> None: ...

    def collect(self) -> list[dict[str, Any]]: ...

    def submit(self, benchmark: BenchmarkRun, model: Path, step: int | None) -> None: ...


class During:
    """Passes a run's events on; before it tells of a checkpoint, it measures it.

    Scores go to `checkpoint_scores` of run.json, to the metrics as `benchmark/<name>`, and to
    `run.measured` for the trainer's trackers. Those of `jobs` come at a later checkpoint, where
    trackers are told `benchmark/<name>/step`, too. What fails is logged, kept in
    `benchmark_failures`, and stops nothing. Raises UsageError for patience with one of two
    benchmarks of the same name.
    """

    def __init__(
        self,
        run: Run,
        benchmarks: Sequence[Bound],
        emit: Callable[..., None],
        measure: Measure,
        jobs: Elsewhere,
    ) -> None:
        self.run, self.benchmarks, self.emit = run, benchmarks, emit
        self.measure, self.jobs = measure, jobs
        names = [benchmark.name for benchmark, _ in benchmarks]
        for benchmark, _ in benchmarks:
            if benchmark.patience is not None and names.count(benchmark.name) > 1:
                raise UsageError(
                    f"benchmark {benchmark.name!r} is measured on checkpoints twice, so patience "
                    "cannot tell its scores apart; leave out `every` of one"
                )
        run.enough = self._enough()

    def __call__(self, event: str, **values: Any) -> None:
        if event == "checkpoint_saved":
            self._checkpoint(values["path"], values["step"])
        self.emit(event, **values)

    def _checkpoint(self, path: Path, step: int) -> None:
        """Count it, measure what is due, forget what an earlier try found past it."""
        came = self._came(step)
        state = self.run.state
        steps = [s for s in state.get("checkpoint_steps", []) if s < step] + [step]
        due = [pair for pair in self.benchmarks if len(steps) % (pair[0].every or 1) == 0]
        failures: list[dict[str, Any]] = []

        def failed(benchmark: str, error: Exception) -> None:
            failures.append(told_failure(benchmark, error, step))

        folder = self.run.directory / "eval" / f"step-{step}"
        here = [pair for pair in due if pair[0].launch is None]
        try:
            scores = self.measure(path, here, folder, failed) if here else []
        except Exception as error:  # a checkpoint that no engine can load, say
            scores = []
            failed("all", error)
        for benchmark in [benchmark for benchmark, _ in due if benchmark.launch]:
            try:
                self.jobs.submit(benchmark, path, step)
            except Exception as error:
                failed(benchmark.name, error)
        earlier = [s for s in state.get("checkpoint_scores", []) if s["step"] < step]
        self.run.record(
            checkpoint_steps=steps,
            checkpoint_scores=earlier + [{"step": step, **score.to_dict()} for score in scores],
            benchmark_failures=state.get("benchmark_failures", []) + failures,
        )
        measured = {f"benchmark/{score.benchmark}": score.mean for score in scores}
        self.run.measured = {**came, **measured}
        if scores:
            self.run.log_metrics({"step": step, **measured})
            log.info("step %d: %s", step, ", ".join(map(_line, scores)))
        self.run.enough = self._enough()
        if self.run.enough:
            self.run.record(stopped_early=self.run.enough)

    def _came(self, step: int) -> dict[str, float]:
        """What the jobs of checkpoints before this one have found, as trackers are told."""
        told: dict[str, float] = {}
        try:
            self.jobs.forget(step)
            for score in self.jobs.collect():
                name = f"benchmark/{score['benchmark']}"
                told |= {name: score["mean"], f"{name}/step": score["step"]}
        except Exception as error:
            log.error("jobs of benchmarks: %s: %s", type(error).__name__, error)
        return told

    def _enough(self) -> str:
        """Why training should stop: a benchmark has not got better for its patience; else ""."""
        found = self.run.state.get("checkpoint_scores", [])
        for benchmark, _ in self.benchmarks:
            means = [score["mean"] for score in found if score["benchmark"] == benchmark.name]
            patience = benchmark.patience
            if patience is None or len(means) <= patience:
                continue
            best = max(means[:-patience])
            if max(means[-patience:]) <= best:
                return (
                    f"{benchmark.name} has not got better than {100 * best:.1f} % for "
                    f"{patience} measured checkpoints"
                )
        return ""


def told_failure(benchmark: str, error: Exception | str, step: int | None = None) -> dict[str, Any]:
    """A failure as run.json keeps it; the log is told, too."""
    at = "" if step is None else f" at step {step}, and training goes on"
    said = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    line = " ".join(said.split())
    log.error("benchmark %s failed%s: %s", benchmark, at, line)
    return {"benchmark": benchmark, "step": step, "error": line}


def _line(score: Score) -> str:
    return (
        f"{score.benchmark} {100 * score.mean:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
    )
