"""The benchmarks of a run that are jobs of their own, and what has come of them.

`benchmark_jobs` of run.json has those that are under way. When a score is in, the samples move from
the job's folder below RUN/eval/jobs to where the run's own are, and the links to the model go.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from r1cli import source
from r1cli.errors import R1Error, UsageError
from r1cli.evaluation import job as jobs
from r1cli.evaluation.during import told_failure
from r1cli.evaluation.job import Row
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun
from r1cli.run import Run

log = logging.getLogger(__name__)


class Launched:
    """The jobs of one run. Only the process that holds the run's directory may use it."""

    def __init__(self, run: Run, plugins: Plugins) -> None:
        self.run, self.plugins = run, plugins

    @property
    def pending(self) -> list[Row]:
        return list(self.run.state.get("benchmark_jobs", []))

    def submit(self, benchmark: BenchmarkRun, model: Path, step: int | None) -> None:
        """Hand a benchmark on `model` to its launcher, unless the same is under way.

        `step` says which checkpoint that is, and that it may be gone before the job reads it.
        """
        assert benchmark.launch
        recipe = self._recipe(benchmark)
        if step is None and any(self._asks(job, recipe) for job in self.pending):
            return
        folder = jobs.new_folder(self.run.directory / "eval" / "jobs", benchmark.name, step)
        if step is not None:
            model = jobs.linked(model, folder / "model")
        records = self.run.directory.parent / "records"
        job = {
            "benchmark": benchmark.name,
            "step": step,
            "on": benchmark.launch.name,
            "folder": str(folder.relative_to(self.run.directory)),
            "host": socket.gethostname(),
            "pid": jobs.start(folder, recipe, model, records, benchmark.launch),
        }
        self.run.record(benchmark_jobs=[*self.pending, job])
        log.info("benchmark %s is a job of its own, in %s", benchmark.name, folder)

    def collect(self) -> list[Row]:
        """Take in what has come: scores, each with its `step`, and failures, into run.json."""
        left, scores, failures, ended = [], [], [], []
        for job in self.pending:
            folder = self.run.directory / job["folder"]
            problem = jobs.problem(job, folder, self.plugins)  # first: a score may come meanwhile
            if found := jobs.scores(folder):
                scores += [{"step": job["step"], **score} for score in found]
            elif problem:
                failures.append(told_failure(job["benchmark"], problem, job["step"]))
            else:
                left.append(job)
                continue
            ended.append(job)
        if ended:
            self._record(scores, failures, left)
        for job in ended:
            self._keep(self.run.directory / job["folder"], job["step"])
        return scores

    def forget(self, step: int) -> None:
        """Cancel the jobs of checkpoints from `step` on, which an earlier try has left.

        One that no queue holds, as of `local`, goes on to its end; its score is not taken in.
        """
        past = [job for job in self.pending if job["step"] is not None and job["step"] >= step]
        for job in past:
            folder = self.run.directory / job["folder"]
            try:
                jobs.cancel(job, folder, self.plugins)
            except R1Error as error:
                log.warning("benchmark %s at step %d: %s", job["benchmark"], job["step"], error)
            shutil.rmtree(folder / "model", ignore_errors=True)
        if past:
            self.run.record(benchmark_jobs=[job for job in self.pending if job not in past])

    def _recipe(self, benchmark: BenchmarkRun) -> str:
        """The run's recipe with this benchmark alone, measured as the run itself would do it.

        `r1 eval` asks after a recipe's system prompt; a run's benchmarks have their own.
        """
        update = {"benchmarks": [benchmark], "system_prompt": None}
        return source.dump(self.run.recipe.model_copy(update=update).model_dump(mode="json"))

    def _asks(self, job: Row, recipe: str) -> bool:
        path = self.run.directory / job["folder"] / "recipe.yaml"
        return job["step"] is None and path.is_file() and path.read_text("utf-8") == recipe

    def _keep(self, folder: Path, step: int | None) -> None:
        """Move a job's samples to those of the run."""
        place = self.run.directory / "eval" / ("" if step is None else f"step-{step}")
        place.mkdir(parents=True, exist_ok=True)
        for path in (folder / "eval").glob("*.json*"):
            path.replace(place / path.name)
        shutil.rmtree(folder / "model", ignore_errors=True)

    def _record(self, scores: list[Row], failures: list[Row], left: list[Row]) -> None:
        state = self.run.state
        ours = [score for score in scores if score["step"] is not None]
        final = [
            {k: v for k, v in score.items() if k != "step"}
            for score in scores
            if score["step"] is None
        ]
        measured = [*state.get("checkpoint_scores", []), *ours]
        self.run.record(
            checkpoint_scores=sorted(measured, key=lambda score: int(score["step"])),
            scores=with_new(state.get("scores", []), final),
            benchmark_failures=[*state.get("benchmark_failures", []), *failures],
            benchmark_jobs=left,
        )
        for score in ours:
            name = f"benchmark/{score['benchmark']}"
            self.run.log_metrics({"step": score["step"], name: score["mean"]})


def collect_late(runs: Sequence[Run], plugins: Plugins) -> None:
    """Take in what has come for runs that no process works on; the others do it themselves."""
    for run in runs:
        launched = Launched(run, plugins)
        if not launched.pending:
            continue
        with contextlib.suppress(UsageError):  # the directory is in use
            run.hold()
            try:
                before = launched.pending
                launched.collect()
                if launched.pending != before:
                    plugins.emit("scores_came", run=run)
            finally:
                run.release()


def with_new(scores: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Final scores, of each spec the newest."""
    latest = {(score["benchmark"], score["spec"]): score for score in [*scores, *new]}
    return list(latest.values())
