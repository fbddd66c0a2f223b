"""GRPO on TRL with r1's rewards: rollouts, prefill, dropped prompts, rewards that fail."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

from r1_trl import grpo
from r1cli import PluginError, UsageError
from r1cli import recipe_file as recipes

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def grpo_run(train_tiny, cold_start, tmp_path_factory):
    return train_tiny(
        "grpo",
        tmp_path_factory.mktemp("grpo") / "run",
        f"model.name={cold_start.model}",
        "trainer.args.max_steps=3",
        "trainer.args.save_steps=2",
    )


def test_every_completion_of_every_step_is_kept(grpo_run):
    from pyarrow import parquet

    files = sorted((grpo_run.directory / "rollouts").glob("*.parquet"))
    assert [file.name for file in files] == [f"step_{i:06d}.parquet" for i in (1, 2, 3)]
    table = parquet.read_table(files[0]).to_pydict()
    assert len(table["completion"]) == 16
    assert set(table) >= {"prompt", "advantage", "tokens", "truncated", "reward/accuracy"}
    assert json.loads(table["prompt"][0])[-1]["role"] == "user"


def test_rounds_of_one_step_the_reference_and_every_end_are_kept(train_tiny, tmp_path):
    from pyarrow import parquet

    from r1_tiny.model import r1_tiny_blank

    model = shutil.copytree(r1_tiny_blank(), tmp_path / "model")
    ends = json.loads((model / "generation_config.json").read_text())
    ends["eos_token_id"] = [ends["eos_token_id"], 300]  # as Qwen2.5-Instruct has two
    (model / "generation_config.json").write_text(json.dumps(ends))
    run = train_tiny(
        "grpo",
        tmp_path / "run",
        f"model={{name: {model}, edits: {{rope_theta: 100}}}}",
        "trainer.args.max_steps=1",
        "trainer.args.max_completion_length=4",
        "trainer.args.steps_per_generation=1",  # micro-batch 8 of the 16 completions of a step
        "trainer.args.beta=0.1",
    )
    (file,) = (run.directory / "rollouts").glob("*.parquet")
    assert parquet.read_table(file).num_rows == 16
    # The reference is the policy as it was loaded, its edits too: nothing is learned yet.
    assert run.metrics()[0]["kl"] == pytest.approx(0, abs=1e-6)
    saved = json.loads((run.model / "generation_config.json").read_text())
    assert saved["eos_token_id"] == ends["eos_token_id"], "it ends where it ended in training"


def test_rewards_that_compare_completions_see_whole_groups_on_every_rank():
    from r1cli import BoundReward

    def compares(completions, prompts):
        return [0.0] * len(completions)

    def alone(completions):
        return [0.0] * len(completions)

    def config(**changed):
        sizes = {"per_device_train_batch_size": 2, "steps_per_generation": 3, "world_size": 2}
        groups = {"num_generations": 4, "num_generations_eval": None}
        return SimpleNamespace(**{**sizes, **groups, "per_device_eval_batch_size": 2, **changed})

    def evaluated(reward, **changed):
        made = config(**changed)
        grpo._keep_groups_whole(made, [BoundReward("r", reward, {})], recipes.load("tiny/grpo"))
        return made.per_device_eval_batch_size

    with pytest.raises(UsageError, match=r"'r' compares the 4 .* would sample 6; .* multiple of 2"):
        evaluated(compares)
    assert evaluated(compares, steps_per_generation=4) == 4
    assert evaluated(compares, world_size=1) == evaluated(alone) == 2


def test_rollouts_are_scored_again_as_they_were(grpo_run, r1):
    folder = grpo_run.directory / "rollouts"
    out = grpo_run.directory / "again.jsonl"
    rewards = ["--reward", "accuracy", "--reward", "format", "--arg", "format.mode=soft"]
    result = r1("reward", "score", folder, *rewards, "--out", out)
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 48
    from pyarrow import parquet

    kept = parquet.read_table(folder).to_pydict()
    for name in ("accuracy", "format"):
        assert [row[f"reward/{name}"] for row in rows] == kept[f"reward/{name}"]


def test_columns_of_any_shape_are_kept(tmp_path):
    from pyarrow import parquet

    from r1_trl import rollouts

    odd = [{"a": 1}, "text", None]
    columns = {"completion": ["x"] * 3, "prompt": ["p"] * 3, "numbers": [[1, 2]] * 3, "odd": odd}
    table = parquet.read_table(rollouts.write(tmp_path, 1, 0, columns)).to_pydict()
    assert table["numbers"] == [[1, 2]] * 3
    assert [json.loads(value) for value in table["odd"]] == odd


def test_advantages_are_the_group_normalised_weighted_rewards(grpo_run):
    """By hand: (r - mean) / (std + 1e-4) within each group of 4 (TRL's scale_rewards=group)."""
    import numpy as np
    from pyarrow import parquet

    for file in sorted((grpo_run.directory / "rollouts").glob("*.parquet")):
        table = parquet.read_table(file).to_pydict()
        total = np.array(table["reward/accuracy"]) + 0.1 * np.array(table["reward/format"])
        groups = total.reshape(-1, 4)
        deviation = groups.std(axis=1, ddof=1, keepdims=True)
        expected = (groups - groups.mean(axis=1, keepdims=True)) / (deviation + 1e-4)
        np.testing.assert_allclose(table["advantage"], expected.ravel(), atol=2e-3)


def test_metrics_have_one_row_per_step(grpo_run):
    rows = [row for row in grpo_run.metrics() if "reward" in row]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert {"rewards/accuracy/mean", "completions/mean_length", "entropy"} <= rows[0].keys()


def test_the_same_seed_gives_the_same_numbers(train_tiny, cold_start, tmp_path):
    runs = [
        train_tiny(
            "grpo",
            tmp_path / name,
            f"model.name={cold_start.model}",
            "trainer.args.max_steps=2",
        )
        for name in ("a", "b")
    ]
    weights = [(run.model / "model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]


def test_prompts_over_the_context_are_counted_and_dropped(train_tiny, cold_start, tmp_path, caplog):
    rows = [{"prompt": f"Compute {i}+1.", "solution": str(i + 1)} for i in range(20)]
    rows += [{"prompt": "Compute " + "1+" * 600 + "1.", "solution": "601"}] * 3
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    train_tiny(
        "grpo",
        tmp_path / "run",
        f"model.name={cold_start.model}",
        f"dataset={{name: file, args: {{path: {data}}}}}",
        "trainer.args.max_steps=1",
    )
    assert "3 of 23 prompts are longer than" in caplog.text
    only_long = tmp_path / "long.jsonl"
    only_long.write_text(json.dumps(rows[-1]))
    with pytest.raises(UsageError, match="all 1 prompts are longer"):
        train_tiny(
            "grpo",
            tmp_path / "run2",
            f"model.name={cold_start.model}",
            f"dataset={{name: file, args: {{path: {only_long}}}}}",
        )


def test_format_reward_sees_a_prefilled_think(train_tiny, cold_start, tmp_path):
    """A template that opens <think> itself must not cost the format reward."""
    from pyarrow import parquet
    from transformers import AutoTokenizer

    template = AutoTokenizer.from_pretrained(cold_start.model).chat_template
    assert "<|im_start|>assistant\n" in template
    opened = template.replace("<|im_start|>assistant\n' }}", "<|im_start|>assistant\n<think>' }}")
    if opened == template:
        head, _, tail = template.rpartition("<|im_start|>assistant\n")
        opened = f"{head}<|im_start|>assistant\n<think>{tail}"
    file = tmp_path / "prefilled.jinja"
    file.write_text(opened)
    run = train_tiny(
        "grpo",
        tmp_path / "run",
        f"model.name={cold_start.model}",
        f"model.chat_template={file}",
        "trainer.args.max_steps=1",
    )
    (rollouts,) = (run.directory / "rollouts").glob("*.parquet")
    table = parquet.read_table(rollouts).to_pydict()
    assert set(table["prefill"]) == {"<think>"}


def test_a_reward_that_raises_stops_the_run_and_is_never_a_zero(
    plugins, cold_start, tmp_path, monkeypatch
):
    from importlib.metadata import EntryPoint

    from r1cli import recipe_file as recipes
    from r1cli.pipeline import train
    from r1cli.plugins import Plugins, builtin_plugins

    module = tmp_path / "r1_broken_reward.py"
    module.write_text(
        "from r1cli import hookimpl\n"
        "def broken(completions, **columns):\n    raise RuntimeError('the judge is out')\n"
        "@hookimpl\ndef register_rewards(register):\n    register('broken', broken)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("broken", "r1_broken_reward", "r1cli.plugins")
    from importlib.metadata import entry_points

    both = Plugins([*entry_points(group="r1cli.plugins"), point])
    recipe = recipes.load(
        "tiny/grpo",
        [
            f"model.name={cold_start.model}",
            "rewards=[{name: broken}]",
            "batch={prompts_per_step: 2, group_size: 2}",
            "trainer.args.max_steps=1",
            "dataset.args.size=16",
            "benchmarks=[]",
            "callbacks=[]",
        ],
    )
    with pytest.raises(PluginError, match="reward 'broken' raised RuntimeError: the judge is out"):
        train(recipe, both, tmp_path / "run")
    assert builtin_plugins()["rewards"].names()
