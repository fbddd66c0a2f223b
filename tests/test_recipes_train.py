"""The recipes for real models and data of the hub take a step here: a tiny model, rows made here.

What is small is the model, the rows and the batch; columns, rewards, chat templates and the
trainer's arguments are those of the recipe.
"""

import json

import pytest

from r1cli import recipe_file as recipes
from r1cli.pipeline import train
from r1cli.plugins import builtin_plugins

pytestmark = pytest.mark.train

FAMILIES = ("open-r1/", "gsm8k/", "math/", "r1-7b/")
NAMES = [n for n in recipes.shipped() if n.startswith(FAMILIES) and n != "r1-7b/r1"]

CASES = [{"input": "1", "output": "1", "type": "stdin_stdout"}]
QUESTION, ANSWER = "What is 1+2?", "<think>\n1+2\n</think>\n<answer>\n3\n</answer>"
ROW = {
    **dict.fromkeys(("prompt", "problem", "question", "problem_statement"), QUESTION),
    **dict.fromkeys(("solution", "answer"), "#### 3"),
    "verification_info": json.dumps({"language": "python", "test_cases": CASES}),
    "messages": [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
    ],
}

SMALL = (
    "model.name=r1_tiny_blank",
    "model.dtype=float32",
    "launch={threads: 1}",
    "callbacks=[]",
    "benchmarks=[]",
    "trainer.args.bf16=false",
    "trainer.args.gradient_checkpointing=false",
    "trainer.args.max_steps=1",
    "trainer.args.logging_steps=1",
)
GRPO = (
    "batch={prompts_per_step: 2, group_size: 2}",
    "trainer.args.max_completion_length=8",
    "trainer.args.use_vllm=false",
)
SFT = (
    "batch={prompts_per_step: 2}",
    "trainer.args.max_length=64",
    "trainer.args.optim=adamw_torch",  # bitsandbytes wants a GPU
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(ROW) + "\n" for _ in range(8)))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_recipe_takes_a_step(name, rows, tmp_path):
    recipe = recipes.load(name)
    parts = range(len(recipe.dataset.mixture))
    places = [f"dataset.mixture.{part}" for part in parts] or ["dataset"]
    local = [f"{p}.{k}" for p in places for k in ("name=file", f"args={{path: {rows}}}")]
    sized = GRPO if recipe.trainer.name == "grpo" else SFT
    if "steps_per_generation" in recipe.trainer.args:
        sized = (*sized, "trainer.args.steps_per_generation=2")
    run = train(recipes.load(name, [*SMALL, *sized, *local]), builtin_plugins(), tmp_path / "run")
    assert run.finished and [row["step"] for row in run.metrics() if "loss" in row] == [1]
