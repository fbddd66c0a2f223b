"""Two real ranks that are stopped or killed from outside, one of them or all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1cli import read_rows
from r1cli.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.train]

SETS = (
    "model={name: r1_tiny_blank}",
    "dataset.args.size=64",
    "batch={prompts_per_step: 4, group_size: 4}",
    "trainer.args.max_completion_length=16",
    "trainer.args.max_steps=200",
    "launch={processes: 2, accelerator: ddp}",
    "benchmarks=[]",
    "callbacks=[]",
)


@pytest.fixture
def started(tmp_path):
    """A training of two ranks after its second step: its process and the ranks' by number."""
    directory = tmp_path / "run"
    environment = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "MARK": str(tmp_path)}
    sets = [part for one in SETS for part in ("--set", one)]
    program = [sys.executable, "-m", "r1cli", "train", "grpo", "--recipe", "tiny/grpo"]
    process = subprocess.Popen(
        [*program, *sets, "--run", str(directory)],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(read_rows(directory / "metrics.jsonl")) >= 2 or process.poll())
    assert process.poll() is None, process.stderr.read()
    yield directory, process, ranks(tmp_path)
    process.kill()
    process.communicate()


def ranks(mark):
    """Processes of this test by their rank, found by their environment."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            said = dict(v.split("=", 1) for v in path.read_text().split("\0") if "=" in v)
        except (OSError, UnicodeDecodeError):
            continue
        command = (path.parent / "cmdline").read_bytes().split(b"\0")
        if said.get("MARK") == str(mark) and "RANK" in said and b"train" in command:
            found[int(said["RANK"])] = int(path.parent.name)
    return found


def wait_until(true, seconds=240):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_rank_that_is_told_to_stop_stops_all_at_one_step(started):
    directory, process, pids = started
    os.kill(pids[1], signal.SIGTERM)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 130, said
    assert "stopped by SIGTERM at step" in said
    run = Run(directory, None)
    last = run.last_checkpoint()
    assert last.name == f"checkpoint-{run.metrics()[-1]['step']}"
    assert {f"r1_state_{rank}.pt" for rank in (0, 1)} <= {path.name for path in last.iterdir()}
    assert not run.unfinished.exists()


def test_no_rank_outlives_a_killed_r1(started):
    _, process, pids = started
    assert sorted(pids) == [0, 1]
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(runs, pids.values())), seconds=60)


def runs(pid):
    """Whether it is there, and is no zombie that nobody has taken in yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
