"""Real training of a tiny model on a real cluster: two nodes; preempted and gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from r1cli.files import read_rows
from r1cli.run import Run

pytestmark = [pytest.mark.train, pytest.mark.slow]

SETTINGS = (
    "model={name: r1_tiny_blank}",
    "batch={prompts_per_step: 4, group_size: 4}",
    "dataset.args.size=64",
    "trainer.args.max_completion_length=16",
    "benchmarks=[]",
)


def submit(*arguments: str, settings: tuple[str, ...] = ()) -> tuple[str, str]:
    """Train on the cluster; the job's id and what was said."""
    sets = [part for s in (*SETTINGS, *settings) for part in ("--set", s)]
    command = [sys.executable, "-m", "r1cli", "train", "grpo", "--recipe", "tiny/grpo", *sets]
    command += ["--on", "slurm", "--run", "run", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(Path("run/job.json").read_text())["id"], done.stderr


def log(job: str) -> str:
    path = Path("run") / f"slurm-{job}.log"
    return path.read_text() if path.exists() else ""


def test_two_nodes_train_one_policy(slurm_env, r1):
    job, _ = submit("--nodes", "2", settings=("trainer.args.max_steps=2",))
    try:
        slurm_env.wait_for(job, "COMPLETED", seconds=400)
    finally:
        print(log(job))
    names = sorted(path.name for path in Path("run/rollouts").iterdir())
    assert names == [f"step_00000{i}{rank}.parquet" for i in (1, 2) for rank in ("", ".rank1")]
    assert Path("run/model/config.json").exists()
    assert json.loads(Path("run/run.json").read_text())["status"] == "finished"
    [row, *_] = json.loads(r1("jobs", "list", "--root", ".", "--json").stdout)
    assert (row["job"], row["state"], row["exit"], row["nodes"]) == (job, "COMPLETED", 0, 2)
    again, said = submit("--nodes", "2", settings=("trainer.args.max_steps=2",))
    assert again == job
    assert "run is finished already" in said


def test_preempted_a_run_goes_on_where_it_was_and_what_waits_for_it_comes_after(slurm_env, r1):
    job, _ = submit(
        "--set", "launch.args.partition=grace", settings=("trainer.args.max_steps=100",)
    )
    launch = ["--on", "slurm", "--launch", f"after={job}"]
    asked = ["chain_sums", "--model", "run", "--limit", "2", "--n", "1", "--max-tokens", "8"]
    assert r1("eval", *asked, *launch, "--out", "scores").exit_code == 0
    waits = json.loads(Path("scores/job.json").read_text())["id"]

    metrics = Path("run/metrics.jsonl")
    done = lambda step: any(row["step"] >= step for row in read_rows(metrics))  # noqa: E731
    try:
        slurm_env.wait(lambda: done(3), "no third step", 400)
        slurm_env.run("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--wrap=sleep 1")
        slurm_env.wait(lambda: "queues again" in log(job), "not stopped", 100)
        assert slurm_env.state(waits) == "PENDING"
        slurm_env.wait_for(job, "COMPLETED", seconds=400)
    finally:
        print(log(job))
    assert "stopped by SIGTERM at step" in log(job)
    assert "resuming run from step" in log(job)
    assert [row["step"] for row in read_rows(metrics) if "reward" in row] == list(range(1, 101))
    assert Run(Path("run"), None).finished

    slurm_env.wait_for(waits, "COMPLETED", seconds=200)
    assert "chain_sums" in r1("jobs", "logs", "scores").stdout
