"""A curriculum's order, as TRL's trainers really meet the rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from r1_trl import grpo, policy, sft
from r1cli import UsageError, problem_hash
from r1cli import recipe_file as recipes
from r1cli.check import resolve_model
from r1cli.dataset import load
from r1cli.records import Attempt, Judgement, Store, reward_spec
from r1cli.types import Outcome

pytestmark = pytest.mark.train

ROWS = [{"prompt": f"Compute {n}+1.", "completion": str(n + 1)} for n in (3, 0, 5, 1, 4, 2, 7, 6)]
WANTED = [f"Compute {n}+1." for n in range(8)]


@pytest.fixture
def sets(tmp_path):
    """Overrides of a recipe: the rows of a file, in whose store `Compute n` is solved n in 7."""
    file, records = tmp_path / "rows.jsonl", tmp_path / "records"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    with Store(records) as store:
        store.append(_attempt(n, score) for n in range(8) for score in (0.0, n / 3.5))
    asked = {"reward": "accuracy", "model": "m", "order": "hard_first", "records": str(records)}
    rows = {"name": "file", "args": {"path": str(file)}, "curriculum": asked}
    given = [f"dataset={json.dumps(rows)}", "callbacks=[]", "benchmarks=[]", "batch.micro_batch=4"]
    return [*given, "model.name=r1_tiny_blank"]


def _attempt(number, score):
    prompt = f"Compute {number}+1."
    at = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_tokens": 9, "seed": 0}
    asked = {"problem": problem_hash(prompt), "prompt": problem_hash(prompt), "messages": prompt}
    by = {"model": "m", "model_name": "m", "revision": "", "engine": "here", "sampler": "s"}
    index = int(score > 0)
    new = Attempt(**asked, **by, sampling=at, index=index, text="")
    columns = {"solution": str(number + 1)}
    judged = Judgement.of(new, "accuracy", reward_spec({}, columns), Outcome("score", score))
    return replace(new, rewards=(judged,))


def test_sft_learns_rows_in_the_order_of_a_curriculum(sets, plugins, tmp_path):
    recipe = recipes.load("tiny/sft", [*sets, "batch.prompts_per_step=4"])
    recipe = resolve_model(recipe, plugins)
    tokenizer = policy.tokenizer_of(recipe)
    trainer = sft._trainer_class()(
        model=policy.model_of(recipe),
        args=sft._config(recipe, tmp_path),
        train_dataset=sft._rows(load(recipe, plugins), recipe, tokenizer),
        processing_class=tokenizer,
    )
    for _ in range(2):  # epochs
        batches = [batch["input_ids"] for batch in trainer.get_train_dataloader()]
        texts = [text for ids in batches for text in tokenizer.batch_decode(ids)]
        assert len(texts) == 8
        assert all(asked in text for asked, text in zip(WANTED, texts, strict=True))


def test_grpo_samples_rows_in_the_order_of_a_curriculum(sets, train_tiny, tmp_path):
    from pyarrow import parquet

    sets += ["dataset.columns={solution: completion}", "trainer.args.max_completion_length=4"]
    run = train_tiny("grpo", tmp_path / "run", *sets, "trainer.args.max_steps=2")
    asked = parquet.read_table(run.directory / "rollouts").to_pydict()["prompt"]
    texts = [json.loads(prompt)[-1]["content"] for prompt in asked]
    assert list(dict.fromkeys(texts)) == WANTED
    frozen = json.loads((run.directory / "curriculum.json").read_text())["pass_rates"]
    assert sorted(frozen.values()) == pytest.approx([n / 7 for n in range(8)])


@pytest.mark.parametrize(
    ("trainer", "name", "change", "said"),
    [
        (grpo, "grpo", "shuffle_dataset=true", "= True puts rows in another order than dataset"),
        (sft, "sft", "train_sampling_strategy=group_by_length", "another order .* = 'hard_first'"),
        (sft, "sft", "packing=true", "leave out one of them, or say packing_strategy: wrapped"),
    ],
)
def test_arguments_that_break_the_order_are_refused(sets, trainer, name, change, said):
    recipe = recipes.load(f"tiny/{name}", [*sets, f"trainer.args.{change}"])
    with pytest.raises(UsageError, match=said):
        getattr(trainer, name).check(recipe)


def test_without_an_order_trl_shuffles_as_ever(sets, tmp_path):
    sets.append("dataset.curriculum={min: 0.1, reward: accuracy}")
    assert grpo._config(recipes.load("tiny/grpo", sets), tmp_path).shuffle_dataset is True
    config = sft._config(recipes.load("tiny/sft", sets), tmp_path)
    assert config.train_sampling_strategy == "random"
