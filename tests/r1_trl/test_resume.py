"""Runs that are cut off: by Ctrl-C, by kill -9, by a full disk. What was done is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1cli.files import read_rows
from r1cli.run import Run

pytestmark = pytest.mark.train

SETTINGS = (
    "batch.prompts_per_step=4",
    "batch.group_size=4",
    "batch.micro_batch=8",
    "trainer.args.max_completion_length=24",
    "trainer.args.max_steps=30",
    "trainer.args.save_steps=2",
    "dataset.args.size=64",
    "benchmarks=[]",
    "callbacks=[]",
)


def command(model: Path, directory: Path, *more: str) -> list[str]:
    sets = [part for s in (*SETTINGS, f"model.name={model}", *more) for part in ("--set", s)]
    program = [sys.executable, "-m", "r1cli", "train", "grpo", "--recipe", "tiny/grpo"]
    return [*program, "--run", str(directory), *sets]


def wait_for_step(directory: Path, step: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if any(row["step"] >= step for row in read_rows(directory / "metrics.jsonl")):
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError(f"step {step} was not reached")


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


def test_kill_9_then_the_same_command_goes_on_from_the_last_checkpoint(cold_start, tmp_path):
    directory = tmp_path / "run"
    arguments = command(cold_start.model, directory)
    process = start(arguments)
    wait_for_step(directory, 5, process)
    process.send_signal(signal.SIGKILL)
    process.wait()

    again = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr and "from step" in again.stderr
    steps = [row["step"] for row in read_rows(directory / "metrics.jsonl") if "reward" in row]
    assert steps == list(range(1, 31))
    files = sorted(path.name for path in (directory / "rollouts").iterdir())
    assert files == [f"step_{step:06d}.parquet" for step in range(1, 31)]
    assert not list(directory.rglob(".*.partial"))

    third = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert third.returncode == 0, "a finished run is not trained again"
    assert read_rows(directory / "metrics.jsonl")[-1]["step"] == 30


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(cold_start, tmp_path):
    directory = tmp_path / "run"
    process = start(command(cold_start.model, directory, "trainer.args.max_steps=300"))
    wait_for_step(directory, 3, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "the same command goes on from it" in stderr
    assert "Traceback" not in stderr
    assert list((directory / "checkpoints").glob("checkpoint-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_a_full_disk_is_one_line_and_loses_no_checkpoint(cold_start, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "none", str(disk)])
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        arguments = command(cold_start.model, disk / "run", "trainer.args.save_total_limit=null")
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 5, done.stderr
        assert "no space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert Run(disk / "run", None).last_checkpoint() is not None
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        again = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        assert "resuming" in again.stderr
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_signal_that_comes_twice_at_once_is_one(monkeypatch):
    from r1_trl import callback

    now = [100.0]
    monkeypatch.setattr(callback.time, "monotonic", lambda: now[0])
    stop = callback.Stop()
    stop(signal.SIGTERM, None)
    now[0] += 0.03
    stop(signal.SIGTERM, None)
    assert stop.asked == "SIGTERM"
    now[0] += 5
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGTERM, None)
