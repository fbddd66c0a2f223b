"""Rows that are held out: evaluated while training goes on, which learns as if they were not."""

from __future__ import annotations

import pytest

from r1_trl import callback
from r1cli import UsageError
from r1cli import dataset as datasets
from r1cli import recipe_file as recipes
from r1cli.pipeline import train
from r1cli.run import Run
from r1cli.sameness import OF_THE_PROCESS, compare

pytestmark = pytest.mark.train

COMMON = (
    "model={name: r1_tiny_blank}",
    "benchmarks=[]",
    "callbacks=[]",
    "dataset.args.size=26",
    "dataset.test_split_size=6",
    "trainer.args.logging_steps=2",
    "trainer.args.max_steps=5",
    "trainer.args.save_steps=3",
)
SETS = {
    "sft": (
        *COMMON,
        "batch={prompts_per_step: 8, micro_batch: 4}",
        "trainer.args.neftune_noise_alpha=5",  # draws random numbers in every forward pass
    ),
    # A window of two steps: at step 3 there are completions not yet learned from.
    "grpo": (
        *COMMON,
        "batch={prompts_per_step: 4, group_size: 4, micro_batch: 2}",
        "rewards=[{name: length, args: {unit: characters}}]",  # compares within a group
        "trainer.args.max_completion_length=8",
        "trainer.args.steps_per_generation=16",
    ),
}


@pytest.fixture(autouse=True)
def no_smoke_generation(monkeypatch):
    monkeypatch.setattr("r1_trl.sft.stop_rate", lambda *_, **given: (0.0, 0))


def evaluated(run, key):
    """Step and value of every evaluation."""
    return [(row["step"], row[key]) for row in run.metrics() if key in row]


def learned(run):
    """The metrics of training alone, without what no two runs share."""
    return [
        {key: value for key, value in row.items() if not OF_THE_PROCESS.search(key)}
        for row in run.metrics()
        if not any(name.startswith("eval_") for name in row)
    ]


@pytest.mark.parametrize(
    ("trainer", "key"),
    [
        ("sft", "eval_mean_token_accuracy"),
        pytest.param("grpo", "eval_reward", marks=pytest.mark.slow),
    ],
)
def test_an_evaluation_leaves_no_trace_in_what_is_learned(trainer, key, plugins, tmp_path, caplog):
    with caplog.at_level("INFO"):
        run = train(recipes.load(f"tiny/{trainer}", SETS[trainer]), plugins, tmp_path / "with")
    assert [step for step, _ in evaluated(run, key)] == [3, 5], "with each checkpoint"
    assert f"step 3: held out, {'loss' if trainer == 'sft' else 'reward'} " in caplog.text
    without = recipes.load(f"tiny/{trainer}", [*SETS[trainer], "trainer.args.eval_strategy='no'"])
    other = train(without, plugins, tmp_path / "without")
    assert evaluated(other, key) == []
    assert learned(run) == learned(other)
    tensors, _, rollouts = compare(run.directory, other.directory)
    assert (tensors.differing, rollouts.differing) == (0, 0)
    assert tensors.count


def test_the_loss_is_that_of_the_rows_held_out(plugins, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sets = [*SETS["sft"], "trainer.args.per_device_eval_batch_size=1"]
    recipe = recipes.load("tiny/sft", sets)
    run = train(recipe, plugins, tmp_path / "run")
    model = AutoModelForCausalLM.from_pretrained(run.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(run.model)
    _, held_out = datasets.load_split(recipe, plugins)
    losses = []
    for row in held_out:
        turns = [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
        whole = tokenizer.apply_chat_template(turns, return_dict=False)
        opened = tokenizer.apply_chat_template(
            turns[:1], add_generation_prompt=True, return_dict=False
        )
        ids = torch.tensor([whole])
        labels = ids.clone()
        labels[:, : len(opened)] = -100
        with torch.no_grad():
            losses.append(model(ids, labels=labels).loss.item())
    assert evaluated(run, "eval_loss")[-1] == (5, pytest.approx(sum(losses) / 6, rel=1e-5))


def test_a_checkpoint_is_safe_before_what_is_held_out_is_evaluated(plugins, tmp_path, monkeypatch):
    """An evaluation may outlast the seconds that a cluster grants after SIGTERM."""
    from trl import SFTTrainer

    evaluate = SFTTrainer.evaluate

    def cut_off(trainer, *args, **given):
        if trainer.state.global_step == 3:
            raise RuntimeError("cut off")
        return evaluate(trainer, *args, **given)

    recipe = recipes.load("tiny/sft", SETS["sft"])
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut off"):
        patch.setattr(SFTTrainer, "evaluate", cut_off)
        train(recipe, plugins, tmp_path / "run")
    run = Run(tmp_path / "run", recipe)
    assert [path.name for path in run.whole_checkpoints()] == ["checkpoint-3"]
    again = train(recipe, plugins, tmp_path / "run")
    assert [step for step, _ in evaluated(again, "eval_loss")] == [5]


@pytest.mark.slow
def test_a_stop_inside_an_epoch_is_no_end_of_it(plugins, tmp_path, monkeypatch):
    """What is due at an epoch's end comes once, where the run that goes on gets there."""
    from r1cli import Interrupted

    sets = [
        *SETS["sft"],
        "trainer.args.max_steps=3",  # an epoch
        "trainer.args.eval_strategy=epoch",
        "trainer.args.logging_strategy=epoch",
        "trainer.args.eval_on_start=true",
    ]
    recipe = recipes.load("tiny/sft", sets)
    whole = train(recipe, plugins, tmp_path / "whole")

    def stopped(stop):
        stop.asked = "SIGTERM"
        return True

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(callback, "stopped", stopped)
        train(recipe, plugins, tmp_path / "cut")
    cut = train(recipe, plugins, tmp_path / "cut")
    assert [step for step, _ in evaluated(cut, "eval_loss")] == [0, 3]
    assert [what for what in compare(whole.directory, cut.directory) if what.differing] == []


def test_a_trainer_that_asks_for_none_is_handed_none(plugins, tmp_path, monkeypatch):
    def plain(recipe, run, *, dataset, rewards, callbacks):
        run.record(learned=len(dataset))
        return run.model

    monkeypatch.setattr("r1_trl.sft.sft", plain)
    run = train(recipes.load("tiny/sft", SETS["sft"]), plugins, tmp_path / "run")
    assert run.state["learned"] == 20


def config(trainer, *sets):
    from importlib import import_module

    recipe = recipes.load(f"tiny/{trainer}", sets)
    return import_module(f"r1_trl.{trainer}")._config(recipe, "out")


HELD = "dataset.test_split_size=6"


@pytest.mark.parametrize(
    ("sets", "when"),
    [
        ([], ("no", None)),
        ([HELD], ("steps", 500)),
        ([HELD, "trainer.args.save_strategy=epoch"], ("epoch", 500)),
        ([HELD, "trainer.args.save_strategy='no'"], ("epoch", 500)),
        ([HELD, "trainer.args.eval_steps=20"], ("steps", 20)),
        ([HELD, "trainer.args.eval_strategy='no'"], ("no", 500)),
    ],
)
def test_when_rows_are_evaluated(sets, when):
    built = config("sft", *sets)
    assert (built.eval_strategy, built.eval_steps) == when


@pytest.mark.parametrize(
    ("batch", "more", "size"),
    [
        ("{prompts_per_step: 8, group_size: 6, micro_batch: 4}", [], 6),
        ("{prompts_per_step: 8, group_size: 6, micro_batch: 16}", [], 18),
        (
            "{prompts_per_step: 8, group_size: 6, micro_batch: 4}",
            ["launch={processes: 2, accelerator: ddp}"],
            6,
        ),
        (
            "{prompts_per_step: 8, group_size: 6, micro_batch: 4}",
            ["trainer.args.num_generations_eval=1"],
            4,
        ),
    ],
)
def test_a_rank_evaluates_whole_groups(batch, more, size):
    assert config("grpo", HELD, f"batch={batch}", *more).per_device_eval_batch_size == size


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["trainer.args.eval_strategy=steps"], "no rows to evaluate; hold some out with dataset"),
        (["trainer.args.save_strategy=best"], "could not go on from its last step"),
        ([HELD, "trainer.args.load_best_model_at_end=true"], "policy is that of the last step"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(sets, says):
    with pytest.raises(UsageError, match=says):
        config("sft", *sets)
