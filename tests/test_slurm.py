"""The batch scripts are plain bash around `r1`: what they start is what a user would type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = {p.stem: p for p in (Path(__file__).resolve().parents[1] / "slurm").glob("*.slurm")}
GIVEN = ["--recipe", "a b", "--set", "x=1"]
RUN = {
    "train": ["train", *GIVEN],
    "train-nodes": ["train", *GIVEN],
    "eval": ["eval", *GIVEN],
    "generate": ["generate", *GIVEN, "--shard", "3/8"],
    "pass-rate": ["data", "pass-rate", *GIVEN, "--shard", "3/8"],
    "router": ["serve", "router", *GIVEN],
    "serve": ["serve", *GIVEN],
    "piston-worker": GIVEN,
}

# srun: its own options first, then what it starts.
STANDINS = {
    "r1": 'printf "%s\\n" "$@"',
    "srun": 'while [[ $1 == -* ]]; do shift; done; exec "$@"',
    "scontrol": "echo n1; echo n2",
}
JOB = {
    "SLURM_JOB_ID": "12",
    "SLURM_JOB_NAME": "piston-worker-2000",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_ARRAY_JOB_ID": "12",
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_ARRAY_TASK_COUNT": "8",
    "SLURM_ARRAY_TASK_MAX": "7",
}


@pytest.fixture
def started(tmp_path):
    """`started(script, *arguments)`: what bash prints, with stand-ins for r1 and for SLURM."""
    for name, body in STANDINS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, **JOB, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def started(script, *arguments, check=True, **said):
        command = ["bash", str(script), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=check, env={**env, **said}
        )
        return done.stdout if check else done

    return started


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_r1_with_the_given_arguments(name, started):
    program = ["r1"] if name == "piston-worker" else []
    assert started(SCRIPTS[name], *program, *GIVEN).splitlines() == RUN[name]


@pytest.mark.parametrize("name", ["generate", "pass-rate"])
def test_single_tasks_of_an_array_are_shards_of_the_whole_or_refused(name, started):
    some = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MAX": "7"}  # --array=3,7
    assert started(SCRIPTS[name], **some, R1_SHARDS="16").split()[-2:] == ["--shard", "3/16"]
    refused = started(SCRIPTS[name], **some, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: an --array that is whole is 0-1; for some of the tasks of a larger one "
        "say how many it had: R1_SHARDS=16 sbatch --array=3,7 ...\n"
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_plain_bash(name):
    text = SCRIPTS[name].read_text()
    assert not {"yaml", "grep", "awk", "sed"} & set(text.split()), "YAML is r1's to read"
    assert subprocess.run(["bash", "-n", str(SCRIPTS[name])], check=False).returncode == 0


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_names_no_cluster_and_no_machine(name):
    flags = [line for line in SCRIPTS[name].read_text().splitlines() if line.startswith("#SBATCH")]
    named = ("--partition", "--account", "--qos", "--gres", "--gpus", "--constraint", "--mem")
    assert not [flag for flag in flags if flag.split()[1].startswith(named)]
    assert not any(
        word.startswith("/") for flag in flags for word in flag.replace("=", " ").split()
    )


def test_the_real_program_accepts_them(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(SCRIPTS["eval"]), "no_such", "--model", "m"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no benchmark 'no_such'")
