"""What a reward that fails means for GRPO: by hand in plain torch, and in whole runs."""

from __future__ import annotations

import json
import zlib
from importlib.metadata import EntryPoint, entry_points

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
trl = pytest.importorskip("trl")

from datasets import Dataset  # noqa: E402

from r1_tiny.model import tiny_config  # noqa: E402
from r1_tiny.tokenizer import build_tokenizer  # noqa: E402
from r1_trl.grpo_trainer import grpo_trainer  # noqa: E402
from r1_trl.rewards import Reader, RewardName  # noqa: E402
from r1cli import BoundReward, PluginError, ProviderError, Scorer, UsageError  # noqa: E402
from r1cli import recipe_file as recipes  # noqa: E402
from r1cli.pipeline import train  # noqa: E402
from r1cli.plugins import Plugins  # noqa: E402
from r1cli.recipe import Scoring  # noqa: E402

pytestmark = pytest.mark.train

TOKENIZER = build_tokenizer()
PROMPTS = [[{"role": "user", "content": f"Compute {n}+{n}."}] for n in range(2, 10)]


def checksum(text: str) -> int:
    return zlib.crc32(text.encode())


def down_for(every: int | None):
    """A reward from the text alone, whose provider is down for every n-th checksum."""

    def reward(completions):
        if every and any(checksum(text) % every == 0 for text in completions):
            raise ProviderError("the judge is down")
        return [checksum(text) % 7 / 7 for text in completions]

    return BoundReward("judged", reward, {})


HALF = BoundReward("half", lambda completions: [float(len(t) % 2) for t in completions], {})


@pytest.fixture
def trainer(tmp_path):
    """`trainer(every, loss_type)`: a GRPO trainer on a small random model."""
    opened = []

    def make(every: int | None, loss_type: str):
        torch.manual_seed(0)
        config = tiny_config(TOKENIZER)
        config.num_hidden_layers, config.layer_types = 1, config.layer_types[:1]
        model = transformers.Qwen3ForCausalLM(config)
        with torch.no_grad():  # an end of turn after a few tokens, and a policy that is not flat
            model.model.embed_tokens.weight.mul_(4)
        rewards = [down_for(every), HALF]
        trainer = grpo_trainer()(
            model=model,
            reward_funcs=[RewardName(reward) for reward in rewards],
            args=trl.GRPOConfig(
                output_dir=str(tmp_path),
                per_device_train_batch_size=8,
                gradient_accumulation_steps=4,
                num_generations=4,
                max_completion_length=12,
                temperature=3.0,  # the model is random; let its groups differ
                reward_weights=[1.0, 0.5],
                loss_type=loss_type,
                bf16=False,
                gradient_checkpointing=False,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
                seed=1,
            ),
            train_dataset=Dataset.from_dict({"prompt": PROMPTS}),
            processing_class=TOKENIZER,
        )
        trainer.reader = Reader(lambda prompt: "", [TOKENIZER.eos_token_id])
        trainer.max_failures = 1000
        trainer.scorer = Scorer(rewards, limits=Scoring(retries=0))
        opened.append(trainer.scorer.__enter__())
        return trainer

    yield make
    for scorer in opened:
        scorer.__exit__()


def step(trainer):
    """One generation batch as TRL's own, and loss and gradients of the step on it."""
    kept = {}
    original = trainer._generate_and_score_completions

    def remember(inputs):
        output = original(inputs)
        kept.update(output)
        return output

    trainer._generate_and_score_completions = remember
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 4
    batch = next(iter(trainer.get_train_dataloader()))
    losses = []
    for number in range(4):
        trainer._step = number
        inputs = trainer._prepare_inputs(batch)
        losses.append(trainer.compute_loss(trainer.model, inputs))
    for loss in losses:
        loss.backward()
    gradients = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
    return kept, float(sum(loss.detach() for loss in losses)), gradients


def by_hand(trainer, kept, drawn, loss_type):
    """The same from the formulas, with what failed simply not there."""
    failed = [end.startswith("failed") for end in drawn["outcome"]]
    parts = zip(drawn["reward/judged"], drawn["reward/half"], strict=True)
    rewards = [None if f else a + 0.5 * b for f, (a, b) in zip(failed, parts, strict=True)]
    rows = []
    for start in range(0, len(rewards), 4):
        group = [i for i in range(start, start + 4) if rewards[i] is not None]
        values = torch.tensor([rewards[i] for i in group])
        if len(group) > 1:
            advantages = (values - values.mean()) / (values.std() + 1e-4)
            rows += zip(group, advantages.tolist(), strict=True)
        else:
            rows += [(i, 0.0) for i in group]
    terms = []
    for row, advantage in rows:
        prompt = kept["prompt_ids"][row][kept["prompt_mask"][row].bool()]
        answer = kept["completion_ids"][row][: drawn["tokens"][row]]
        logits = trainer.model(torch.cat([prompt, answer])[None]).logits[0, len(prompt) - 1 : -1]
        logps = (logits / trainer.temperature).log_softmax(-1).gather(1, answer[:, None])[:, 0]
        terms.append(-advantage * (logps - logps.detach()).exp())
    if loss_type == "dapo":  # DAPO (arXiv 2503.14476, eq. 8): every token counts the same
        loss = torch.cat(terms).mean()
    elif loss_type == "dr_grpo":  # arXiv 2503.20783: a constant instead of the length
        loss = torch.cat(terms).sum() / (len(terms) * trainer.max_completion_length)
    else:  # DeepSeekMath (arXiv 2402.03300, eq. 3): every completion counts the same
        loss = torch.stack([term.mean() for term in terms]).mean()
    trainer.model.zero_grad()
    loss.backward()
    advantages = dict(rows)
    return (
        [advantages.get(i, 0.0) for i in range(len(rewards))],
        float(loss.detach()),
        {name: p.grad.clone() for name, p in trainer.model.named_parameters()},
    )


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize("every", [None, 5, 2])
def test_what_failed_leaves_statistics_and_loss(trainer, every, loss_type):
    made = trainer(every, loss_type)
    kept, loss, gradients = step(made)
    failed = [end.startswith("failed") for end in made._drawn["outcome"]]
    assert any(failed) == (every is not None) and not all(failed)
    assert torch.equal(kept["completion_mask"].any(1), ~torch.tensor(failed))
    advantages, expected_loss, expected = by_hand(made, kept, made._drawn, loss_type)
    torch.testing.assert_close(kept["advantages"].tolist(), advantages, rtol=1e-4, atol=1e-4)
    assert loss == pytest.approx(expected_loss, rel=1e-3, abs=1e-5)
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-4
    for name, gradient in gradients.items():
        scale = max(float(expected[name].abs().max()), 1e-3)
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4 * scale)


# -- whole runs ------------------------------------------------------------------------------------

REWARDS = """
import os
from r1cli import ProviderError, hookimpl

def dies(completions):
    if any(sum(text.encode()) % 4 == 0 for text in completions):
        os._exit(9)
    return [float(sum(text.encode()) % 3) for text in completions]

def down(completions):
    raise ProviderError("the judge is down")

def picky(completions, solution):
    pairs = zip(completions, solution)
    return [None if gold == "?" else float(text == gold) for text, gold in pairs]

def marked(completions, mark):
    return [float(m) for m in mark]

def broken(completions, solution):
    return [1 / (text == "" and 1) for text in completions]

@hookimpl
def register_rewards(register):
    for reward in (dies, down, picky, marked, broken):
        register(reward.__name__, reward)
"""


@pytest.fixture
def run_with(cold_start, tmp_path, monkeypatch):
    """Train one step with rewards of a plugin that is not ours."""
    (tmp_path / "r1_outcome_rewards.py").write_text(REWARDS)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("outcomes", "r1_outcome_rewards", "r1cli.plugins")
    plugins = Plugins([*entry_points(group="r1cli.plugins"), point])

    def run(*overrides, place="run"):
        recipe = recipes.load(
            "tiny/grpo",
            [
                f"model.name={cold_start.model}",
                "batch={prompts_per_step: 4, group_size: 4}",
                "trainer.args.max_steps=1",
                "trainer.args.max_completion_length=16",
                "dataset.args.size=16",
                "benchmarks=[]",
                "callbacks=[]",
                *overrides,
            ],
        )
        return train(recipe, plugins, tmp_path / place)

    return run


def test_failures_are_counted_and_kept_with_their_reason(run_with):
    from pyarrow import parquet

    run = run_with("rewards=[{name: dies}]")
    (file,) = (run.directory / "rollouts").glob("*.parquet")
    table = parquet.read_table(file).to_pydict()
    failed = [sum(text.encode()) % 4 == 0 for text in table["completion"]]
    assert any(failed) and not all(failed)
    said = "failed (crash: the worker ended with exit code 9)"
    assert table["outcome"] == [said if f else "score" for f in failed]
    for number, (text, value, advantage) in enumerate(
        zip(table["completion"], table["reward/dies"], table["advantage"], strict=True)
    ):
        assert value == (None if failed[number] else sum(text.encode()) % 3)
        assert not failed[number] or advantage == 0.0
    row = next(row for row in run.metrics() if "reward" in row)
    assert row["scoring/dies/failed"] == pytest.approx(sum(failed) / len(failed))
    assert {"scoring/dies/seconds_p95", "scoring/dies/samples_per_second"} <= row.keys()


def test_too_many_failures_stop_the_run_with_the_reason(run_with):
    said = r"^16 samples could not be scored, over max_failures = 15; the last: reward 'down', "
    with pytest.raises(ProviderError, match=said + "provider: the judge is down$"):
        run_with("rewards=[{name: down}]", "max_failures=15")


def test_rows_without_a_readable_gold_are_told_before_training(run_with, tmp_path, caplog):
    data = tmp_path / "rows.jsonl"
    rows = [
        {"prompt": f"Compute {n}+1.", "solution": "?" if n in (3, 7) else "5"} for n in range(9)
    ]
    data.write_text("\n".join(map(json.dumps, rows)))
    dataset = f"dataset={{name: file, args: {{path: {data}}}}}"
    run_with("rewards=[{name: picky}]", dataset)
    said = "2 of 9 rows have a gold answer that 'picky' cannot read, so they teach nothing: "
    assert said + "rows 3 (solution '?'), 7 (solution '?')" in caplog.text
    data.write_text("\n".join(json.dumps(row | {"solution": "?"}) for row in rows))
    with pytest.raises(UsageError, match="9 of 9 rows .* which is all"):
        run_with("rewards=[{name: picky}]", dataset, place="other")


def test_a_mixture_says_which_rewards_apply_to_which_part(run_with, tmp_path):
    from pyarrow import parquet

    sums, marks = tmp_path / "sums.jsonl", tmp_path / "marks.jsonl"
    sums.write_text("\n".join(json.dumps({"prompt": f"{n}+1", "solution": "5"}) for n in range(4)))
    marks.write_text("\n".join(json.dumps({"prompt": f"Mark {n}", "mark": n}) for n in range(4)))
    run = run_with(
        "rewards=[{name: picky}, {name: marked}, {name: format}]",
        f"dataset={{mixture: [{{name: file, args: {{path: {sums}}}, rewards: [picky, format]}}, "
        f"{{name: file, args: {{path: {marks}}}, rewards: [marked]}}]}}",
        "batch={prompts_per_step: 8, group_size: 4}",
    )
    (file,) = (run.directory / "rollouts").glob("*.parquet")
    table = parquet.read_table(file).to_pydict()
    for number, prompt in enumerate(table["prompt"]):
        marked = "Mark" in prompt
        assert (table["reward/marked"][number] is not None) == marked
        assert (table["reward/picky"][number] is None) == marked
        assert (table["reward/format"][number] is None) == marked
    assert set(table["outcome"]) == {"score"}


def test_a_mixture_names_rewards_that_the_recipe_has(run_with):
    with pytest.raises(UsageError, match=r"'pickys' at dataset\.mixture\.0\.rewards\.0 .*'picky'"):
        run_with(
            "rewards=[{name: picky}]",
            "dataset={mixture: [{name: chain_sums, rewards: [pickys]}]}",
        )


def test_the_sample_on_which_a_reward_raises_is_kept_for_replay(run_with, tmp_path):
    with pytest.raises(PluginError, match="division by zero on sample .* --replay .*broken-1.json"):
        run_with("rewards=[{name: broken}]")
    saved = json.loads((tmp_path / "run" / "failures" / "broken-1.json").read_text())
    assert saved["reward"] == "broken" and saved["args"] == {} and len(saved["completions"]) == 1
    assert "ZeroDivisionError" in saved["trace"] and saved["columns"].keys() == {"solution"}
