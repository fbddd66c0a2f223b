"""Run directories as a training would have left them, and a training loop without a model."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from r1cli.recipe import Recipe
from r1cli.run import Run, open_run

SCORE = {
    "benchmark": "chain_sums",
    "label": "avg@8",
    "spec": "0123456789",
    "problems": 200,
    "samples": 8,
    "mean": 0.612,
    "low": 0.56,
    "high": 0.661,
    "tokens": 34.2,
    "truncated": 0.01,
    "not_applicable": 0,
    "measures": {"format": 0.97},
    "seconds": 3.5,
}


def grpo_row(step: int, steps: int = 50) -> dict:
    done = step / steps
    return {
        "step": step,
        "loss": 0.01 * math.sin(step),
        "grad_norm": 0.4,
        "learning_rate": 5e-4,
        "num_tokens": 9000.0 * step,
        "completions/mean_length": 20 + 15 * done,
        "completions/clipped_ratio": 0.02,
        "rewards/accuracy/mean": 0.2 + 0.5 * done,
        "rewards/accuracy/std": 0.3,
        "rewards/format/mean": 0.4 + 0.5 * done,
        "reward": 0.24 + 0.55 * done + 0.03 * math.sin(step),
        "reward_std": 0.3,
        "frac_reward_zero_std": 0.25,
        "entropy": 0.8 - 0.4 * done,
        "step_time": 1.0,
    }


def sft_row(step: int, steps: int = 50) -> dict:
    return {
        "step": step,
        "loss": 3 * math.exp(-3 * step / steps),
        "grad_norm": 1.0,
        "learning_rate": 3e-3,
        "entropy": 1.0,
        "num_tokens": 4000.0 * step,
        "mean_token_accuracy": 0.5 + 0.4 * step / steps,
        "epoch": step / steps,
    }


def recipe(trainer: str = "grpo") -> Recipe:
    rewards = [{"name": "accuracy"}, {"name": "format", "weight": 0.1}] if trainer == "grpo" else []
    return Recipe.model_validate(
        {
            "model": {"name": "r1_tiny"},
            "dataset": {"name": "chain_sums"},
            "rewards": rewards,
            "trainer": {"name": trainer},
        }
    )


def write_rollouts(run: Run, step: int, completion: str = "<think>1+1=2</think>\n2") -> None:
    pytest.importorskip("pyarrow")
    from r1_trl import rollouts

    prompt = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "What is 1+1?"},
    ]
    columns = {
        "prompt": [prompt] * 8,
        "completion": [f"{completion} sample {number}" for number in range(8)],
        "prefill": ["<think>\n"] * 8,
        "tokens": [11] * 8,
        "truncated": [False] * 7 + [True],
        "reward/accuracy": [1.0, 0.0, None, 1.0, 0.0, 0.0, 1.0, 0.0],
        "reward/format": [1.0] * 8,
        "advantage": [1.2, -0.7, 0.0, 1.1, -0.8, -0.6, 1.3, -0.9],
    }
    rollouts.write(run.directory / "rollouts", step, 0, columns)


@pytest.fixture
def make_run(tmp_path):
    """A function that leaves a run directory: `make_run("grpo", steps=50, status="finished")`."""

    def make(trainer: str, *, steps: int = 50, status: str = "finished", name: str = "") -> Run:
        run = open_run(tmp_path / (name or trainer), recipe(trainer))
        row = grpo_row if trainer == "grpo" else sft_row
        for step in range(1, steps + 1):
            run.log_metrics(row(step, steps))
        if steps:
            run.log_metrics({"step": steps, "train_runtime": 52.0, "train_loss": 0.1})
        scores = [SCORE] if status == "finished" else []
        run.record(status=status, train_seconds=52.3, scores=scores)
        run.release()
        return run

    return make


@pytest.fixture
def drive():
    """A function that runs a callback through a training: what a trainer calls, in its order."""
    pytest.importorskip("transformers")
    from transformers import TrainerControl, TrainerState

    def drive(
        callback, rows, *, max_steps=None, main=True, on_step=lambda step: None, end=True
    ) -> None:
        args, control = SimpleNamespace(logging_steps=1), TrainerControl()
        state = TrainerState(max_steps=max_steps or rows[-1]["step"], is_world_process_zero=main)
        callback.on_train_begin(args, state, control)
        for row in rows:
            state.global_step = row["step"]
            callback.on_step_end(args, state, control)
            callback.on_log(args, state, control, logs=json.loads(json.dumps(row)))
            on_step(row["step"])
        if end:
            callback.on_log(args, state, control, logs={"train_runtime": 5.0, "train_loss": 0.1})
            callback.on_train_end(args, state, control)

    return drive
