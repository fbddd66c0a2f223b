"""Two real ranks that stop together when a benchmark that one of them measures gets no better."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from r1cli.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.train]

RECIPE = """\
model: {name: r1_tiny_blank}
dataset: {name: chain_sums, args: {size: 64, demos: {full: 1.0}}}
trainer: {name: sft, args: {max_steps: 40, save_steps: 1, max_length: 128}}
launch: {processes: 2, accelerator: ddp}
callbacks: []
benchmarks:
  - {name: chain_sums, args: {n: 1, size: 2, max_tokens: 4}, every: 1, patience: 2}
"""


def test_both_ranks_stop_at_the_step_that_patience_ends_at(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "r1cli", "train", "sft", "--recipe", "r.yaml", "--run", "run"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    state = Run(tmp_path / "run", None).state
    assert state["stopped_early"] == (
        "chain_sums has not got better than 0.0 % for 2 measured checkpoints"
    )
    # Four tokens hold no answer, so none is better than the first. Known after the third checkpoint
    # was saved, it ends the training with the next step.
    assert state["checkpoint_steps"] == [1, 2, 3, 4]
    assert (state["status"], len(state["scores"])) == ("finished", 1)
    last = Run(tmp_path / "run", None).last_checkpoint()
    # Each rank wrote its own state of the checkpoint that both ended with.
    assert {f"r1_state_{rank}.pt" for rank in (0, 1)} <= {path.name for path in last.iterdir()}
    logged = [row["step"] for row in Run(tmp_path / "run", None).metrics() if "loss" in row]
    assert set(logged) <= {1, 2, 3, 4}
    assert done.stderr.count("stopping early") == 1
