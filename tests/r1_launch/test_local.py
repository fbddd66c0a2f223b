"""The local launcher: what it would run, and two real processes that train together."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from r1_launch import local as module
from r1_launch.local import ACCELERATORS, config, cpu_environment, local
from r1cli import Job, MissingExtra, ProviderError, UsageError, diagnosis
from r1cli.planning import hardware


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
    with pytest.raises(UsageError, match="'zero9' is not known to launcher 'local'; did you mean"):
        local().command(job(1, "zero9"))


@pytest.mark.parametrize("accelerator", ACCELERATORS[1:])
def test_every_strategy_has_a_configuration_that_leaves_hardware_and_precision_open(accelerator):
    said = yaml.safe_load(config(accelerator).read_text())
    assert not {"num_processes", "mixed_precision", "gpu_ids"} & said.keys()
    assert said["use_cpu"] is False
    assert said["num_machines"] == 1


def test_the_shared_strategies_write_what_plain_transformers_reads():
    assert yaml.safe_load(config("zero3").read_text())["deepspeed_config"]["zero3_save_16bit_model"]
    fsdp = yaml.safe_load(config("fsdp").read_text())["fsdp_config"]
    assert (fsdp["fsdp_version"], fsdp["fsdp_state_dict_type"]) == (2, "FULL_STATE_DICT")


def test_a_strategy_is_its_configuration_file(monkeypatch):
    monkeypatch.setattr(module, "count_gpus", lambda: 8)
    command = local().command(job(8, "fsdp"))
    assert f"--config_file={config('fsdp')}" in command
    assert "--fsdp_cpu_ram_efficient_loading=false" not in command
    monkeypatch.setattr(module, "count_gpus", lambda: 0)
    assert "--fsdp_cpu_ram_efficient_loading=false" in local().command(job(2, "fsdp"))


def test_deepspeed_is_asked_for_by_name_where_it_is_missing(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "deepspeed" else find(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'r1cli\[deepspeed\]'"):
        local().command(job(2, "zero3"))
    assert local().command(job(2, "fsdp"))


def test_more_ranks_than_gpus_are_refused_with_the_number_that_works(monkeypatch):
    monkeypatch.setattr(module, "count_gpus", lambda: 2)
    with pytest.raises(UsageError, match="this machine has 2 GPUs; set launch.processes to 2, or"):
        local().submit(job(4, "ddp"))


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("", 0), ("-1", 0), ("NoDevFiles", 0), ("1, 0", 2), ("0,-1,2", 1), ("GPU-ab,GPU-cd", 2)],
)
def test_gpus_that_are_hidden_are_not_counted(monkeypatch, visible, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(hardware, "_all_gpus", lambda: [80.0] * 4)
    assert module.count_gpus() == len(hardware.visible_gpus()) == gpus


@pytest.mark.parametrize(
    ("said", "gpus"),
    [("printf '0\\n1\\n'", 2), ("echo NVIDIA-SMI has failed; exit 9", 0), ("echo No devices", 0)],
)
def test_what_nvidia_smi_says_instead_of_gpus_is_not_counted(monkeypatch, tmp_path, said, gpus):
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\n{said}\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert module.count_gpus() == gpus


def test_a_driver_that_hangs_is_told_of(monkeypatch):
    def hang(command, **options):
        if command[0] == "nvidia-smi":
            raise subprocess.TimeoutExpired(command, options["timeout"])
        return run(command, **options)

    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(ProviderError, match="a GPU or its driver hangs"):
        module.count_gpus()
    assert [f.state for f in diagnosis._hardware() if f.check == "gpu"] == ["broken"]


def test_a_shared_run_has_a_rank_for_every_gpu_unless_it_says(r1, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for said, processes in (((), 2), (("--processes", "1"), 1)):
        done = r1(
            "train", "grpo", "--recipe", "tiny/grpo", "--accelerator", "ddp", *said, "--dry-run"
        )
        assert done.exit_code == 0, done.stderr
        assert f"{processes} process(es)" in done.stderr
    alone = r1("train", "grpo", "--recipe", "tiny/grpo", "--dry-run")
    assert "1 process(es)" in alone.stderr


def test_cpu_ranks_use_gloo_and_keep_deepspeed():
    assert cpu_environment("ddp")["ACCELERATE_USE_CPU"] == "true"
    assert cpu_environment("fsdp")["ACCELERATE_USE_CPU"] == "true"
    assert "ACCELERATE_USE_CPU" not in cpu_environment("zero3")


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
