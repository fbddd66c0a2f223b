"""The countdown recipes, for real models, take their steps here with a small random one."""

from __future__ import annotations

import pytest

from r1cli import recipe_file as recipes
from r1cli.pipeline import train

pytestmark = pytest.mark.train

SMALL = (
    "model={name: r1_tiny_blank}",
    "dataset.args.size=32",
    "batch={prompts_per_step: 2}",
    "trainer.args.bf16=false",
    "trainer.args.gradient_checkpointing=false",
    "trainer.args.max_steps=2",
    "trainer.args.logging_steps=1",
    "callbacks=[]",
    "benchmarks=[]",
)
NAMES = [name for name in recipes.shipped() if name.startswith("countdown/")]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "countdown/r1"])
def test_recipe_trains(name, plugins, tmp_path):
    of_grpo = ("batch.group_size=2", "trainer.args.max_completion_length=16")
    kind = recipes.load(name).trainer.name
    recipe = recipes.load(name, [*SMALL, *(of_grpo if kind == "grpo" else ())])
    run = train(recipe, plugins, tmp_path / "run")
    steps = [row["step"] for row in run.metrics() if "loss" in row]
    assert run.finished and steps == [1, 2]
