"""Several ranks seen as one program: their logs, the first error, a stop. No model, no training."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from r1_launch.silence import standing
from r1_launch.watch import Logs, verdict

FAULTY = """
import os, signal, sys, time
from pathlib import Path
import typer
from r1cli import UsageError

app = typer.Typer()
rank = os.environ["RANK"]

@app.command()
def faulty(how: str, run: str = "") -> None:
    print(f"narration of rank {rank}", file=sys.stderr, flush=True)
    for log in (Path(os.environ["R1_RANK_LOGS"], f"rank-{n}.log") for n in (0, 1)):
        while not (log.exists() and "narration" in log.read_text()):
            time.sleep(0.05)  # as ranks do that meet in a process group
    if how == "usage":
        raise UsageError("both know that this is wrong")
    if how == "wait":
        time.sleep(300)
    if rank == "1":
        if how == "raise":
            raise ValueError("rank one fell over\\nand over")
        if how == "refuse":
            raise UsageError("rank one says no")
        if how == "die":
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(300 if how == "die" else 10)
    raise RuntimeError("connection closed by peer")
"""
LAUNCH = """
import sys
from pathlib import Path
from r1_launch.local import local
from r1cli import Job
how, directory = sys.argv[1:]
sys.exit(local().submit(Job(("faulty", how), 2, "ddp", Path(directory))))
"""


@pytest.fixture
def start(tmp_path):
    """Start two ranks of `r1 faulty HOW` for a run directory that is there already."""
    info = tmp_path / "plugin" / "faulty-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\nSummary: x\n")
    (info / "entry_points.txt").write_text("[r1cli.commands]\nfaulty = faulty:app\n")
    (info.parent / "faulty.py").write_text(FAULTY)
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "run.json").write_text("{}")
    environment = {
        **os.environ,
        "PYTHONPATH": str(info.parent),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("RANK", None)

    def started(how, **variables):
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, how, str(directory)],
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    started.directory = directory
    return started


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("usage", 2, "error: both know that this is wrong"),
        ("refuse", 2, "error: rank one says no"),
        (
            "raise",
            1,
            "error: rank 1: ValueError: rank one fell over (traceback: {logs}/rank-1.log)",
        ),
        ("die", 1, "error: rank 1 was killed by SIGKILL; was the memory used up? (its log: {logs}"),
    ],
)
def test_the_first_error_is_one_line_and_the_exit_code_is_kept(start, how, code, said):
    process = start(how)
    out, err = process.communicate(timeout=120)
    logs = start.directory / "logs"
    assert process.returncode == code, err
    lines = err.strip().splitlines()
    assert lines[0] == "narration of rank 0", "rank 0 is seen live, rank 1 is not"
    assert lines[-1].startswith(said.format(logs=logs))
    assert len(lines) == 2, err
    assert out == ""
    assert "narration of rank 1" in (logs / "rank-1.log").read_text()
    assert "narration of rank 0" in (logs / "rank-0.log").read_text()
    if how == "raise":
        assert "Traceback" in (logs / "rank-1.log").read_text()


def test_one_interrupt_reaches_every_rank_once(start):
    process = start("wait")
    assert process.stderr.readline() == "narration of rank 0\n"
    log = start.directory / "logs" / "rank-1.log"
    deadline = time.monotonic() + 120
    while "narration" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == ["interrupted; the same command goes on from what was kept"]


def test_a_hung_rank_is_found_by_where_it_stands(start):
    process = start("wait", R1_QUIET_MINUTES="0.05")
    for line in process.stderr:
        if "faulty.py" in line and "ranks 0, 1" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert line.startswith("warning: no word from the ranks for 0.05 minutes; ranks 0, 1 at ")
    assert re.search(r" at faulty.py:\d+ in faulty \(all stacks: ", line)
    log = (start.directory / "logs" / "rank-1.log").read_text()
    assert "Current thread" in log
    assert "faulty.py" in log


def test_the_rank_that_stands_alone_is_named_first():
    dump = 'Current thread 0x1 [python] (most recent call first):\n  File "/a/{}", line 7 in f\n'
    dumps = {f"rank-{n}": dump.format("reduce.py") for n in (0, 1, 3)}
    dumps["rank-2"] = dump.format("reward.py")
    assert standing(dumps) == "rank 2 at reward.py:7 in f; ranks 0, 1, 3 at reduce.py:7 in f"


def test_logs_wait_beside_a_run_directory_that_is_not_there_yet(tmp_path):
    directory = tmp_path / "run"
    logs = Logs(directory)
    open_file = (logs.path / "rank-0.log").open("w")
    logs.settle()
    assert not directory.exists()
    directory.mkdir()
    (directory / "run.json").write_text("{}")
    logs.settle()
    with open_file:
        open_file.write("later")
    assert (directory / "logs" / "rank-0.log").read_text() == "later"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_logs_of_a_run_that_was_refused_leave_nothing(tmp_path):
    logs = Logs(tmp_path / "run")
    logs.discard_unborn()
    assert not list(tmp_path.iterdir())


def test_the_verdict_is_the_first_failure_in_time(tmp_path):
    logs = Logs(tmp_path / "run")
    for rank, code, when in ((0, 1, 20.0), (1, 2, 10.0), (2, 0, 5.0)):
        end = {"rank": rank, "code": code, "error": f"of {rank}", "time": when}
        (tmp_path / f"rank-{rank}.json").write_text(json.dumps(end))
    assert verdict(tmp_path, 1, logs) == (2, "of 1")
