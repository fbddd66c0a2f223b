"""The scripts of slurm/ by hand, on a real cluster, with a stand-in for `r1` or with itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "slurm"

TRAINS = """#!/bin/bash
# Trains until SIGTERM, then saves and leaves with 130, as `r1 train` does; goes on at once.
echo "r1 $* on $SLURMD_NODENAME node $SLURM_NODEID of $SLURM_STEP_NUM_NODES at $R1_SERVER_URL"
if [ -f checkpoint ]; then echo resumed; exit 0; fi
trap 'touch checkpoint; exit 130' TERM
echo training
for i in $(seq 600); do sleep 0.1; done
"""


@pytest.fixture
def sbatch(slurm_env, tmp_path):
    """`sbatch(stand_in, "train.slurm", ...)`: the job's id; `r1` is that shell script in it."""

    def sbatch(stand_in: str, script: str, *arguments: str, **exports: str) -> str:
        (tmp_path / "r1").write_text(stand_in)
        (tmp_path / "r1").chmod(0o755)
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **exports}
        flags = [a for a in arguments if a.startswith("--sbatch")]
        rest = [a for a in arguments if a not in flags]
        given = [flag.removeprefix("--sbatch") for flag in flags]
        command = ("sbatch", "--parsable", *given, "--output=log-%a", str(SCRIPTS / script), *rest)
        return slurm_env.run(*command, **path).strip()

    yield sbatch
    print(log())  # pytest shows it where the test fails


def log(task: str = "4294967294") -> str:
    """What the job (or that task of an array) has printed."""
    path = Path(f"log-{task}")
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(("script", "nodes"), [("train.slurm", 1), ("train-nodes.slurm", 2)])
def test_the_signal_before_the_limit_saves_and_queues_again(slurm_env, sbatch, script, nodes):
    job = sbatch(TRAINS, script, "grpo")
    slurm_env.wait(lambda: log().count("training\n") == nodes, "no start")
    slurm_env.run("scancel", "--signal=USR1", "--batch", job)
    slurm_env.wait(lambda: "resumed" in log(), f"not resumed: {log()}")
    slurm_env.wait_for(job, "COMPLETED")
    assert "stopped before its time was up; job" in log()


def test_an_evaluation_at_its_limit_queues_again(slurm_env, sbatch):
    asks = "#!/bin/bash\nif [ -f asked ]; then echo the rest; exit; fi; touch asked; sleep 60\n"
    job = sbatch(asks, "eval.slurm", "math500")
    slurm_env.wait(Path("asked").exists, "no start")
    slurm_env.run("scancel", "--signal=USR1", "--batch", job)
    slurm_env.wait(lambda: "the rest" in log(), f"not started again: {log()}")
    slurm_env.wait_for(job, "COMPLETED")


def test_cancelled_by_its_user_a_job_stays_away(slurm_env, sbatch):
    job = sbatch(TRAINS, "train.slurm", "grpo")
    slurm_env.wait(lambda: "training" in log(), "no start")
    slurm_env.run("scancel", job)
    slurm_env.wait_for(job, "CANCELLED")
    assert Path("checkpoint").exists(), "it had the time to save"
    assert "queues again" not in log()


@pytest.mark.parametrize("script", ["train.slurm", "train-nodes.slurm"])
def test_a_run_that_fails_is_a_job_that_fails(slurm_env, sbatch, script):
    job = sbatch("#!/bin/sh\necho it is broken >&2; exit 7\n", script, "grpo")
    slurm_env.wait_for(job, "FAILED")
    assert "it is broken" in log()
    assert "ExitCode=7:0" in slurm_env.run("scontrol", "show", "job", job)


def test_every_node_starts_r1_once_and_knows_its_number(slurm_env, sbatch):
    Path("checkpoint").touch()
    slurm_env.wait_for(sbatch(TRAINS, "train-nodes.slurm", "grpo", "--recipe", "R"), "COMPLETED")
    assert "0: r1 train grpo --recipe R on n1 node 0 of 2" in log()
    assert "1: r1 train grpo --recipe R on n2 node 1 of 2" in log()


@pytest.mark.parametrize(
    ("script", "command"), [("pass-rate", "data pass-rate"), ("generate", "generate")]
)
def test_an_array_shares_the_work(slurm_env, sbatch, script, command):
    says = "#!/bin/sh\necho r1 $*\n"
    job = sbatch(says, f"{script}.slurm", "--sbatch--array=0-3", "D", "--n", "8")
    slurm_env.wait_for(job, "COMPLETED")
    assert [log(str(i)) for i in range(4)] == [
        f"r1 {command} D --n 8 --shard {i}/4\n" for i in range(4)
    ]


@pytest.mark.parametrize("script", [pytest.param("pass-rate", marks=pytest.mark.slow), "generate"])
def test_a_task_at_its_limit_queues_again_alone(slurm_env, sbatch, script):
    """The last task has the array's own number, by which `scontrol` would mean all of them."""
    asks = "#!/bin/bash\necho asked\n[[ $SLURM_JOB_ID != $SLURM_ARRAY_JOB_ID ]] || "
    asks += "[ -f asked ] || { touch asked; sleep 60; }\n"
    job = sbatch(asks, f"{script}.slurm", "--sbatch--array=0-1", "D")
    slurm_env.wait(lambda: log("0") and Path("asked").exists(), "no start")
    slurm_env.run("scancel", "--signal=USR1", "--batch", f"{job}_1")
    slurm_env.wait(lambda: log("1").count("asked") == 2, f"not started again: {log('1')}")
    slurm_env.wait_for(job, "COMPLETED")
    assert log("0") == "asked\n"


@pytest.mark.slow
def test_pass_rates_of_an_array_are_those_of_one_process(slurm_env, sbatch, r1):
    """The tiny model itself; all tasks begin the store at once."""
    pytest.importorskip("torch")
    from r1_tiny.model import r1_tiny_blank

    assert r1("data", "make", "chain_sums", "--size", 6, "--out", "rows.jsonl").exit_code == 0
    given = ["rows.jsonl", "--model", str(r1_tiny_blank()), "--reward", "accuracy", "--n", "2"]
    given += ["--max-tokens", "4", "--min", "0", "--json"]
    files = ["--out", "kept.jsonl", "--rates", "rates.jsonl"]
    real = f'#!/bin/sh\nexec {sys.executable} -m r1cli "$@"\n'
    job = sbatch(real, "pass-rate.slurm", "--sbatch--array=0-2", *given, *files)
    slurm_env.wait(lambda: not slurm_env.run("squeue", "-h", "-j", job).strip(), "goes on", 600)
    for task in "012":
        assert "sampled into runs/records; without --shard the files are written" in log(task)
    written = []
    for store, sampled in (("runs/records", 0), ("apart", 12)):
        done = r1("data", "pass-rate", *given, *files, "--records", store)
        assert json.loads(done.stdout)["sampled"] == sampled, done.stderr
        written.append([Path(name).read_bytes() for name in ("kept.jsonl", "rates.jsonl")])
    assert written[0] == written[1]


SERVER = "mkdir -p www; touch www/health; exec python3 -m http.server $R1_SERVE_PORT -d www"


def test_training_starts_when_the_server_beside_it_is_ready(slurm_env, sbatch):
    from slurm_cluster import _free_ports

    Path("checkpoint").touch()
    port = str(_free_ports(1)[0])
    served = {"R1_SERVE_NODES": "1", "R1_SERVE": f"sleep 1; {SERVER}", "R1_SERVE_PORT": port}
    job = sbatch(TRAINS, "train-nodes.slurm", "grpo", **served)
    slurm_env.wait_for(job, "COMPLETED")
    assert "r1: the server on n1 is ready after" in log()
    assert f"r1 train grpo on n2 node 0 of 1 at http://127.0.0.1:{port}" in log()


def test_a_server_that_does_not_start_shows_its_log(slurm_env, sbatch):
    serve = "echo no such model >&2; exit 3"
    served = {"R1_SERVE_NODES": "1", "R1_SERVE": serve, "R1_SERVE_PORT": "9"}
    job = sbatch(TRAINS, "train-nodes.slurm", "grpo", **served)
    slurm_env.wait_for(job, "FAILED")
    assert "r1: the server on n1 ended before it was ready; the end of ./server-" in log()
    assert "no such model" in log()
    assert "training" not in log()


def test_a_server_that_is_never_ready_ends_the_job(slurm_env, sbatch):
    served = {"R1_SERVE_NODES": "1", "R1_SERVE": "echo loading; sleep 60", "R1_SERVE_PORT": "9"}
    job = sbatch(TRAINS, "train-nodes.slurm", "grpo", **served, R1_SERVE_SECONDS="5")
    slurm_env.wait_for(job, "FAILED")
    assert "r1: the server on n1 was not ready in 5 s; the end of ./server-" in log()
    assert "\nloading" in log()


def test_a_server_that_dies_stops_the_training_with_a_checkpoint(slurm_env, sbatch):
    from slurm_cluster import _free_ports

    port = str(_free_ports(1)[0])
    serve = SERVER.replace("exec ", "")
    serve += " & until grep -qs training log-*; do sleep 0.1; done; kill $!"
    served = {"R1_SERVE_NODES": "1", "R1_SERVE": serve, "R1_SERVE_PORT": port}
    job = sbatch(TRAINS, "train-nodes.slurm", "grpo", **served)
    slurm_env.wait_for(job, "FAILED")
    assert "r1: the server on n1 ended while training went on; the end of" in log()
    assert Path("checkpoint").exists()


def test_a_piston_worker_listens_where_its_name_says(slurm_env, sbatch):
    name = "--sbatch--job-name=piston-worker-2345"
    command = ("bash", "-c", "echo at $PISTON_BIND_ADDRESS")
    slurm_env.wait_for(sbatch("", "piston-worker.slurm", name, *command), "COMPLETED")
    assert log() == "at 0.0.0.0:2345\n"
