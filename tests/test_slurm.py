"""The batch scripts are plain bash around `r1`: what they start is what a user would type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "slurm").glob("*.slurm"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_runs_r1_with_the_given_arguments(script, tmp_path):
    (tmp_path / "r1").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "r1").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    arguments = ["grpo", "--recipe", "a b", "--set", "x=1"]
    done = subprocess.run(
        ["bash", str(script), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )
    assert done.stdout.splitlines() == ["train", *arguments]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_plain_bash(script):
    text = script.read_text()
    assert not {"yaml", "grep", "awk", "sed"} & set(text.split()), "YAML is r1's to read"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_the_real_program_accepts_them(tmp_path):
    script = next(path for path in SCRIPTS if path.name == "train.slurm")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    arguments = ["sft", "--recipe", "tiny/sft", "--set", "nme=1", "--dry-run"]
    done = subprocess.run(
        ["bash", str(script), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 2
    assert done.stderr == "error: unknown key 'nme' at --set; did you mean 'name'?\n"
