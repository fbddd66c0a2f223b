"""A real training whose benchmarks are jobs of a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow]

RECIPE = """\
model: {name: r1_tiny_blank}
dataset: {name: chain_sums, args: {size: 32, demos: {full: 1.0}}}
trainer: {name: sft, args: {max_steps: 4, save_steps: 2, save_total_limit: 1, max_length: 128}}
callbacks: []
benchmarks:
  - name: chain_sums
    args: {n: 1, size: 2, max_tokens: 4}
    every: 1
    launch: {name: slurm, args: {time: "10:00"}}
"""


def test_checkpoints_are_measured_by_jobs_while_training_goes_on(slurm_env, r1, tmp_path):
    from slurm_cluster import _free_ports

    (tmp_path / "r.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "r1cli", "train", "sft", "--recipe", "r.yaml", "--run", "run"]
    ranks = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    ranks |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_ports(1)[0])}
    done = subprocess.run(
        command, env={**os.environ, **ranks}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    left = (tmp_path / "run/checkpoints").glob("checkpoint-*")
    assert [path.name for path in left] == ["checkpoint-4"]
    slurm_env.wait(lambda: not slurm_env.run("squeue", "-h").strip(), "jobs go on", 600)
    [shown] = json.loads(r1("runs", "show", "run", "--json").stdout)
    assert [score["step"] for score in shown["checkpoint_scores"]] == [2, 4], shown
    assert [score["benchmark"] for score in shown["scores"]] == ["chain_sums"]
    assert not shown["benchmark_failures"] and not shown["benchmark_jobs"]
    jobs = json.loads(r1("jobs", "list", "--root", "run", "--json").stdout)
    assert [(job["state"], job["exit"]) for job in jobs] == [("COMPLETED", 0)] * 3


@pytest.fixture
def jobs(slurm_env, tmp_path):
    """The benchmark jobs of a run that is open here."""
    from r1cli.evaluation.launched import Launched
    from r1cli.plugins import builtin_plugins
    from r1cli.recipe_file import load
    from r1cli.run import open_run

    (tmp_path / "r.yaml").write_text(RECIPE)
    run = open_run(tmp_path / "run", load(str(tmp_path / "r.yaml")))
    yield Launched(run, builtin_plugins())
    run.release()


def submitted(jobs, slurm_env):
    """The number and the folder of the job submitted last."""
    folder = jobs.run.directory / jobs.pending[-1]["folder"]
    slurm_env.wait(lambda: (folder / "job.json").exists(), "not submitted")
    return json.loads((folder / "job.json").read_text())["id"], folder


def test_a_job_that_slurm_ends_is_a_failure(slurm_env, jobs):
    run = jobs.run
    jobs.submit(run.recipe.benchmarks[0], run.model, None)
    number, folder = submitted(jobs, slurm_env)
    slurm_env.run("scancel", number)
    slurm_env.wait_for(number, "CANCELLED")
    slurm_env.wait(lambda: (folder / "ended").exists(), "its process goes on")
    assert jobs.collect() == [] and jobs.pending == []
    [failure] = run.state["benchmark_failures"]
    assert f"job {number} is CANCELLED; see: r1 jobs logs" in failure["error"]


def test_a_resumed_run_cancels_the_jobs_of_checkpoints_past_its_own(slurm_env, jobs, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    numbers = {}
    for step in (2, 4):
        jobs.submit(jobs.run.recipe.benchmarks[0], tmp_path, step)
        numbers[step], _ = submitted(jobs, slurm_env)
    slurm_env.run("scancel", numbers[4])  # one that has ended already is no obstacle
    slurm_env.wait_for(numbers[4], "CANCELLED")
    jobs.forget(3)
    assert [job["step"] for job in jobs.pending] == [2]
    jobs.forget(2)
    slurm_env.wait_for(numbers[2], "CANCELLED")
    assert jobs.pending == []
