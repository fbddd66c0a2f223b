"""The local launcher: what it would run, and two real processes that train together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from r1_launch.local import local
from r1cli import Job, UsageError


def job(processes: int = 1, accelerator: str = "single") -> Job:
    return Job(("train", "grpo", "--recipe", "tiny/grpo"), processes, accelerator, Path("runs/x"))


def test_one_process_is_the_program_itself():
    assert local().command(job())[1:] == ["-m", "r1cli", *job().argv]


def test_several_processes_go_through_accelerate():
    command = local().command(job(2, "ddp"))
    assert "--num_processes=2" in command
    assert command[-4:] == list(job().argv)


def test_an_accelerator_that_cannot_work_is_refused_with_what_would():
    with pytest.raises(UsageError, match="set launch.accelerator to ddp"):
        local().command(job(2, "single"))
    with pytest.raises(UsageError, match="'zero9' is not known to launcher 'local'; known: single"):
        local().command(job(1, "zero9"))


@pytest.mark.train
def test_two_processes_train_one_policy(tmp_path):
    from pyarrow import parquet

    directory = tmp_path / "run"
    sets = (
        "model={name: r1_tiny_blank}",
        "launch={processes: 2, accelerator: ddp}",
        "batch={prompts_per_step: 4, group_size: 4}",
        "dataset.args.size=32",
        "trainer.args.max_steps=2",
        "trainer.args.max_completion_length=16",
        "benchmarks=[]",
    )
    program = [sys.executable, "-m", "r1cli", "train", "grpo", "--recipe", "tiny/grpo"]
    arguments = [part for assignment in sets for part in ("--set", assignment)]
    done = subprocess.run(
        [*program, "--run", str(directory), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    files = sorted(path.name for path in (directory / "rollouts").iterdir())
    assert files[:2] == ["step_000001.parquet", "step_000001.rank1.parquet"]
    rows = [parquet.read_table(directory / "rollouts" / name).num_rows for name in files[:2]]
    assert rows == [8, 8], "the 16 completions of a step are shared by two processes"
    assert (directory / "model" / "config.json").exists()
