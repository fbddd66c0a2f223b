"""Who serves and who trains, as `r1 train --dry-run` says it, on GPUs that only nvidia-smi has."""

from __future__ import annotations

import json
import os

import pytest

SEVEN_B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
}
RECIPE = """
model: {name: seven}
dataset: {name: countdown, args: {size: 100, numbers: [3, 4]}}
rewards: [{name: countdown}]
trainer: {name: grpo, args: {max_completion_length: 4096, use_vllm: true}}
launch: {accelerator: fsdp}
batch: {prompts_per_step: 7, group_size: 8}
"""
SERVER = ("--set", "trainer.args.vllm_mode=server")


@pytest.fixture
def dry_run(r1, tmp_path, monkeypatch):
    """`dry_run(8, "--set", ...)`: what a machine with 8 GPUs of 80 GB says."""
    (tmp_path / "seven").mkdir()
    (tmp_path / "seven" / "config.json").write_text(json.dumps(SEVEN_B))
    (tmp_path / "grpo.yaml").write_text(RECIPE)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def call(gpus: int, *args: str):
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        smi = tools / "nvidia-smi"
        smi.write_text(f"#!/bin/sh\nfor i in $(seq {gpus}); do echo 81559; done\n")
        smi.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        return r1("train", "grpo", "--recipe", "grpo.yaml", "--dry-run", *args)

    return call


def vllm_lines(answer) -> list[str]:
    assert answer.exit_code == 0, answer.stderr
    lines = answer.stderr.splitlines()
    return [line for line in lines if line.startswith(("vLLM:", "  CUDA_VISIBLE_DEVICES"))]


def test_a_server_gets_the_last_gpus_and_the_ranks_the_first(dry_run):
    assert vllm_lines(dry_run(8, *SERVER)) == [
        "vLLM: GPU 7 serves, 7 rank(s) train on the first ones; start it by",
        "  CUDA_VISIBLE_DEVICES=7 r1 serve seven --tp 1",
    ]


def test_colocated_it_has_a_share_of_every_gpu(dry_run):
    args = (
        "--set",
        "batch.prompts_per_step=8",
        "--set",
        "trainer.args.vllm_tensor_parallel_size=4",
    )
    assert vllm_lines(dry_run(8, *args)) == [
        "vLLM: in each of the 8 training processes, tensor parallel 4, 30% of each GPU"
    ]


def test_a_server_elsewhere_leaves_all_gpus_to_the_ranks(dry_run):
    there = ("--set", "trainer.args.vllm_server_base_url=http://10.0.0.9:8000")
    answer = dry_run(8, *SERVER, *there, "--set", "batch.prompts_per_step=8")
    assert vllm_lines(answer) == ["vLLM: a server elsewhere, at trainer.args.vllm_server_base_url"]
    assert "8 process(es)" in answer.stderr


def test_on_a_cpu_it_says_so(dry_run):
    assert vllm_lines(dry_run(0)) == ["vLLM: in each of the 1 training processes, here on the CPU"]


def test_a_hub_that_is_away_is_no_error(dry_run, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    args = ("--set", "model.name=some/model", "--set", "batch.prompts_per_step=8")
    [line] = vllm_lines(dry_run(8, *args))
    assert line.startswith("vLLM: the placement is not known: ")


@pytest.mark.parametrize(
    ("gpus", "args", "said"),
    [
        (8, ("--set", "launch.processes=8", *SERVER), "= 8 ranks and 1 for the vLLM server"),
        (
            8,
            ("--set", "trainer.args.vllm_tensor_parallel_size=3", "--set", "launch.processes=6"),
            "= 3 does not divide the model's 28 heads and the 6 ranks; 1, 2 would work",
        ),
    ],
)
def test_what_cannot_be_is_one_line(dry_run, gpus, args, said):
    answer = dry_run(gpus, *args, "--set", "batch.prompts_per_step=24")
    assert answer.exit_code == 2
    assert said in answer.stderr.splitlines()[-1]
