"""Benchmarks as jobs of their own: real processes, submitted by the real local launcher."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time

import pytest

pytest.importorskip("datasets", reason="problems are datasets.Dataset objects")

from r1cli.evaluation.during import During
from r1cli.evaluation.launched import Launched
from r1cli.evaluation.results import read_results
from r1cli.files import read_rows
from r1cli.plugins import builtin_plugins
from r1cli.recipe import BenchmarkRun
from r1cli.recipe_file import load
from r1cli.run import open_run

RECIPE = """\
model: {name: r1_tiny_blank}
dataset: {name: chain_sums}
trainer: {name: sft}
system_prompt: Only while it trains.
"""
READS_WEIGHTS = """\
from pathlib import Path
from r1cli import Completion, hookimpl


class Answers:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def generate(self, prompts, sampling):
        return [[Completion("<answer>0</answer>", tokens=1)] * sampling.n for _ in prompts]


def answers(*, model):
    assert Path(model, "model.safetensors").read_bytes() == b"weights"
    return Answers()


@hookimpl
def register_engines(register):
    register("answers", answers)
"""


def kill(job):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgid(job["pid"]), signal.SIGKILL)


@pytest.fixture
def run(tmp_path, monkeypatch, fake_distribution):
    """A run directory, and in every new process an engine that needs no torch."""
    site = fake_distribution("r1-plugin-answers", READS_WEIGHTS)
    monkeypatch.setenv("PYTHONPATH", str(site))
    (tmp_path / "r.yaml").write_text(RECIPE)
    run = open_run(tmp_path / "runs" / "mine", load(str(tmp_path / "r.yaml")))
    yield run
    for job in run.state.get("benchmark_jobs", []):
        kill(job)
    run.release()


@pytest.fixture
def listener(run):
    def build(**said):
        engine = {"name": "answers"}
        asked = {"name": "chain_sums", "args": {"n": 1, "size": 2}, "engine": engine, "every": 1}
        benchmark = BenchmarkRun(**{**asked, "launch": {"name": "local"}, **said})
        jobs = Launched(run, builtin_plugins())
        return During(run, [(benchmark, None)], lambda *given, **values: None, None, jobs)

    return build


def save(listener, step):
    path = listener.run.checkpoints / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "optimizer.pt").write_bytes(b"much more")
    listener("checkpoint_saved", run=listener.run, path=path, step=step)
    return path


def wait_for_ends(run):
    deadline = time.monotonic() + 240
    jobs = run.state["benchmark_jobs"]
    while not all((run.directory / job["folder"] / "ended").is_file() for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_measures_a_checkpoint_that_is_gone_and_its_score_comes_later(
    run, listener, monkeypatch
):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    training = listener()
    shutil.rmtree(save(training, 10))  # as save_total_limit does
    [job] = run.state["benchmark_jobs"]
    folder = run.directory / job["folder"]
    assert sorted(path.name for path in (folder / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert run.measured == {} and "scores" not in run.state
    wait_for_ends(run)
    save(training, 20)
    [score] = run.state["checkpoint_scores"]
    assert (score["step"], score["benchmark"], score["samples"]) == (10, "chain_sums", 1)
    assert run.measured == {
        "benchmark/chain_sums": score["mean"],
        "benchmark/chain_sums/step": 10,
    }
    assert run.metrics() == [{"step": 10, "benchmark/chain_sums": score["mean"]}]
    assert not (folder / "model").exists()
    [result] = read_results(run.directory / "eval" / "step-10")
    assert result.samples[0]["prompt"][0]["role"] == "user"  # as the run itself would ask
    assert [job["step"] for job in run.state["benchmark_jobs"]] == [20]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"launch": {"name": "slurm"}}, "exit code 5: squeue is not on PATH"),
        pytest.param({"args": {"n": 1, "size": 0}}, "exit code 2: ", marks=pytest.mark.slow),
    ],
)
def test_a_job_that_fails_stops_nothing_and_is_not_silent(
    run, listener, monkeypatch, caplog, tmp_path, said, error
):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    training = listener(**said)
    save(training, 10)
    wait_for_ends(run)
    save(training, 20)
    [failure] = run.state["benchmark_failures"]
    assert (failure["benchmark"], failure["step"]) == ("chain_sums", 10)
    assert error in failure["error"] and failure["error"] in caplog.text
    assert not run.state["checkpoint_scores"]


def test_a_checkpoint_that_holds_no_model_is_a_failure(run, listener):
    training = listener()
    path = run.checkpoints / "checkpoint-1"
    path.mkdir(parents=True)
    training("checkpoint_saved", run=run, path=path, step=1)
    [failure] = run.state["benchmark_failures"]
    assert "holds no model" in failure["error"]


def test_a_job_that_was_killed_is_a_failure(run, listener):
    training = listener()
    save(training, 10)
    [job] = run.state["benchmark_jobs"]
    kill(job)
    deadline = time.monotonic() + 60
    while not run.state["benchmark_failures"]:
        assert training.jobs.collect() == [] and time.monotonic() < deadline
    [failure] = run.state["benchmark_failures"]
    assert "its process was killed" in failure["error"]


@pytest.mark.slow
def test_after_a_resume_jobs_of_later_checkpoints_are_forgotten(run, listener):
    training = listener()
    for step in (10, 20):
        shutil.rmtree(save(training, step))
    wait_for_ends(run)
    save(training, 20)  # resumed from 10
    jobs = {job["step"]: job["folder"] for job in run.state["benchmark_jobs"]}
    assert jobs == {20: "eval/jobs/chain_sums-step-20.2"}
    assert [score["step"] for score in run.state["checkpoint_scores"]] == [10]
    assert not (run.directory / "eval/jobs/chain_sums-step-20/model").exists()


def test_r1_runs_show_takes_in_what_has_come_unless_the_run_goes_on(run, listener, r1):
    training = listener()
    run.model.mkdir()
    (run.model / "model.safetensors").write_bytes(b"weights")
    (run.model / "config.json").write_text("{}")
    for _ in range(2):  # the second is the same as the first, which is under way
        training.jobs.submit(training.benchmarks[0][0], run.model, None)
    assert len(run.state["benchmark_jobs"]) == 1
    wait_for_ends(run)
    said = r1("runs", "show", run.directory)
    assert "under way: benchmark chain_sums on the final policy" in said.stderr
    run.release()
    [shown] = json.loads(r1("runs", "show", run.directory, "--json").stdout)
    [score] = shown["scores"]
    assert score["benchmark"] == "chain_sums" and shown["benchmark_jobs"] == []
    assert "chain_sums" in (run.directory / "report.html").read_text()
    [path] = (run.directory / "eval").glob("*.jsonl")
    assert len(read_rows(path)) == 2
