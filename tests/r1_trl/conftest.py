"""One tiny cold start, trained once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from r1cli import recipe_file as recipes
from r1cli.pipeline import train
from r1cli.plugins import builtin_plugins

GRPO = (
    "batch.prompts_per_step=4",
    "batch.group_size=4",
    "batch.micro_batch=8",
    "trainer.args.max_completion_length=24",
    "dataset.args.size=64",
    "benchmarks=[]",
    "callbacks=[]",
)
SFT = (
    "dataset.args.size=512",
    "trainer.args.warmup_steps=5",
    "benchmarks=[]",
    "callbacks=[]",
)


@pytest.fixture(scope="session")
def plugins():
    return builtin_plugins()


@pytest.fixture(scope="session")
def train_tiny(plugins):
    """Train a shipped tiny recipe with overrides: `train_tiny("grpo", directory, *overrides)`."""

    def run(name: str, directory: Path, *overrides: str):
        common = {"grpo": GRPO, "sft": SFT}[name]
        recipe = recipes.load(f"tiny/{name}", [*common, *overrides])
        return train(recipe, plugins, directory)

    return run


@pytest.fixture(scope="session")
def cold_start(train_tiny, tmp_path_factory):
    """The run of a short SFT: it writes the format, mostly."""
    return train_tiny("sft", tmp_path_factory.mktemp("sft") / "run", "trainer.args.max_steps=60")
