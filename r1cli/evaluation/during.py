"""Benchmarks on checkpoints while a run goes on, and the end of a run that no longer gets better.

The first rank measures while the others wait for it at their next step: a benchmark that takes
longer than the ranks' collective time-out (NCCL: 10 minutes) ends such a run. Measure less, or a
copy by `r1 eval --on slurm`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

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


class During:
    """Passes a run's events on; before it tells of a checkpoint, it measures it.

    Scores go to `checkpoint_scores` of run.json, to the metrics as `benchmark/<name>`, and to
    `run.measured` for the trainer's trackers. What fails is logged, kept in `benchmark_failures`,
    and stops nothing.
    """

    def __init__(
        self, run: Run, benchmarks: Sequence[Bound], emit: Callable[..., None], measure: Measure
    ) -> None:
        self.run, self.benchmarks, self.emit, self.measure = run, benchmarks, emit, measure
        run.enough = self._enough()

    def __call__(self, event: str, **values: Any) -> None:
        if event == "checkpoint_saved":
            self._checkpoint(values["path"], values["step"])
        self.emit(event, **values)

    def _checkpoint(self, path: Path, step: int) -> None:
        """Count it, measure what is due, forget what an earlier try found past it."""
        state = self.run.state
        steps = [s for s in state.get("checkpoint_steps", []) if s < step] + [step]
        due = [pair for pair in self.benchmarks if len(steps) % (pair[0].every or 1) == 0]
        failures: list[dict[str, Any]] = []

        def failed(benchmark: str, error: Exception) -> None:
            failures.append(told_failure(benchmark, error, step))

        folder = self.run.directory / "eval" / f"step-{step}"
        try:
            scores = self.measure(path, due, folder, failed) if due else []
        except Exception as error:  # a checkpoint that no engine can load, say
            scores = []
            failed("all", error)
        earlier = [s for s in state.get("checkpoint_scores", []) if s["step"] < step]
        self.run.record(
            checkpoint_steps=steps,
            checkpoint_scores=earlier + [{"step": step, **score.to_dict()} for score in scores],
            benchmark_failures=state.get("benchmark_failures", []) + failures,
        )
        self.run.measured = {f"benchmark/{score.benchmark}": score.mean for score in scores}
        if scores:
            self.run.log_metrics({"step": step, **self.run.measured})
            log.info("step %d: %s", step, ", ".join(map(_line, scores)))
        self.run.enough = self._enough()
        if self.run.enough:
            self.run.record(stopped_early=self.run.enough)

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


def told_failure(benchmark: str, error: Exception, step: int | None = None) -> dict[str, Any]:
    """A failure as run.json keeps it; the log is told, too."""
    at = "" if step is None else f" at step {step}, and training goes on"
    line = " ".join(f"{type(error).__name__}: {error}".split())
    log.error("benchmark %s failed%s: %s", benchmark, at, line)
    return {"benchmark": benchmark, "step": step, "error": line}


def _line(score: Score) -> str:
    return (
        f"{score.benchmark} {100 * score.mean:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
    )
