"""The short cuts of the GRPO step against stock TRL: the same gradients, to rounding."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
trl = pytest.importorskip("trl")
peft = pytest.importorskip("peft")

from datasets import Dataset  # noqa: E402

from r1_tiny.model import tiny_config  # noqa: E402
from r1_tiny.tokenizer import build_tokenizer  # noqa: E402
from r1_trl import microbatch  # noqa: E402
from r1_trl.fast import fast_trainer, stock_sampling  # noqa: E402

TOKENIZER = build_tokenizer()
ROWS = {"prompt": [f"Compute {'+'.join('1' * n)}." for n in (2, 3, 5, 4, 7, 2, 6, 3)] * 2}
# TRL's tiled head rounds differently from the model's own, by a few units in the last place.
CLOSE = {"rtol": 2e-5, "atol": 2e-7}


def some_are_long(completions, **columns):
    """A reward that gives some groups different scores and some the same."""
    return [float(len(text) % 3 == 0 and len(text) > 4) for text in completions]


@pytest.fixture
def make(tmp_path):
    """A function from a trainer class and settings to a trainer on a fresh copy of one model."""
    torch.manual_seed(0)
    config = tiny_config(TOKENIZER)
    config.num_hidden_layers, config.layer_types = 1, config.layer_types[:1]
    model = transformers.Qwen3ForCausalLM(config)
    with torch.no_grad():  # an end of turn after a few tokens, and a policy that is not flat
        model.model.embed_tokens.weight.mul_(4)
    folder = tmp_path / "model"
    model.save_pretrained(folder)

    def make(trainer_class=trl.GRPOTrainer, *, peft_config=None, **settings):
        base = {
            "output_dir": str(tmp_path),
            "per_device_train_batch_size": 8,
            "gradient_accumulation_steps": 4,
            "num_generations": 4,
            "max_completion_length": 16,
            "learning_rate": 1e-2,
            "lr_scheduler_type": "constant",
            "bf16": False,
            "gradient_checkpointing": False,
            "use_cpu": True,
            "report_to": [],
            "save_strategy": "no",
            "disable_tqdm": True,
            "seed": 1,
        }
        return trainer_class(
            model=transformers.AutoModelForCausalLM.from_pretrained(folder),
            reward_funcs=some_are_long,
            args=trl.GRPOConfig(**(base | settings)),
            train_dataset=Dataset.from_dict(ROWS),
            processing_class=TOKENIZER,
            peft_config=peft_config,
        )

    return make


def generation(rows=32, *, tools=False, old=False, reference=False, seed=0):
    """A padded generation batch like TRL's: uneven lengths, some advantages zero, one truncated."""
    torch.manual_seed(seed)
    prompt_lengths = torch.randint(2, 9, (rows,))
    lengths = torch.randint(1, 14, (rows,))
    prompt_mask = (torch.arange(10) >= 10 - prompt_lengths[:, None]).long()
    mask = (torch.arange(16) < lengths[:, None]).long()
    mask[3] = 0  # as mask_truncated_completions leaves it
    advantages = torch.randn(rows)
    advantages[torch.rand(rows) < 0.4] = 0.0
    batch = {
        "prompt_ids": torch.randint(5, 300, (rows, 10)) * prompt_mask,
        "prompt_mask": prompt_mask,
        "completion_ids": torch.randint(5, 300, (rows, 16)) * mask,
        "completion_mask": mask,
        "advantages": advantages,
    }
    if tools:
        batch["tool_mask"] = (torch.rand(rows, 16) < 0.8).long()
    if old:
        batch["old_per_token_logps"] = 0.2 * torch.randn(rows, 16)
    if reference:
        batch["ref_per_token_logps"] = 0.2 * torch.randn(rows, 16)
    batch["num_items_in_batch"] = microbatch.loss_mask(batch).sum()
    return batch


def gradients(trainer, batches):
    trainer.current_gradient_accumulation_steps = len(batches)
    trainer.model.train()
    trainer.model.zero_grad()
    losses = [trainer.compute_loss(trainer.model, batch) for batch in batches]
    for loss in losses:
        loss.backward()
    trained = ((n, p) for n, p in trainer.model.named_parameters() if p.requires_grad)
    grads = {name: p.grad.clone() for name, p in trained}
    return float(sum(loss.detach() for loss in losses)), grads


def log_probs(trainer, batch):
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        return trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 16)[0]


def assert_same_gradient(make, batch, **settings):
    """One optimizer step of stock TRL and of the short cuts, on one batch; return what was kept."""
    from trl.trainer.utils import shuffle_sequence_dict, split_tensor_dict

    stock, fast = make(**settings), make(fast_trainer(), **settings)
    for key in {"old_per_token_logps", "ref_per_token_logps"} & set(batch):
        batch[key] += log_probs(stock, batch)  # noise around the policy's own
    batches = split_tensor_dict(shuffle_sequence_dict(batch), 4)
    lean = microbatch.rearrange(batches, fast.microbatch_rules)
    expected_loss, expected = gradients(stock, batches)
    loss, grads = gradients(fast, lean)
    assert len(lean) == len(batches)
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
    assert any(grad.abs().max() > 1e-4 for grad in expected.values())
    for name, grad in grads.items():
        scale = expected[name].abs().max().item()
        torch.testing.assert_close(grad, expected[name], rtol=2e-5, atol=2e-6 * max(scale, 1e-3))
    return lean


LOSSES = ["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("old", [False, True])
def test_gradients_are_those_of_trl(make, loss_type, old):
    lean = assert_same_gradient(make, generation(old=old, tools=old), loss_type=loss_type)
    tokens = sum(part["completion_mask"].numel() for part in lean)
    assert tokens < 0.75 * 32 * 16
    assert sum(len(part["advantages"]) for part in lean) < 32


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "bnpo"])
@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0.05},
        {"entropy_coef": 0.01},
        {"top_entropy_quantile": 0.5},
        {"importance_sampling_level": "sequence"},
        {"delta": 1.5, "temperature": 0.7},
        {"steps_per_generation": 8},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_gradients_are_those_of_trl_with_other_terms(make, loss_type, settings):
    batch = generation(old=True, reference="beta" in settings)
    lean = assert_same_gradient(make, batch, loss_type=loss_type, **settings)
    all_kept = sum(len(part["advantages"]) for part in lean) == 32
    assert all_kept == bool({"beta", "entropy_coef", "top_entropy_quantile"} & set(settings))


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize(
    "settings", [{}, {"beta": 0.05}, {"gradient_checkpointing": True}], ids=str
)
def test_gradients_of_an_adapter_are_those_of_trl(make, kind, settings):
    adapter = peft.LoraConfig(
        r=4,
        target_modules="all-linear",
        use_dora=kind == "dora",
        init_lora_weights=False,  # else B is zero, and so is the gradient of A
        task_type="CAUSAL_LM",
    )
    fast = make(fast_trainer(), peft_config=adapter)
    assert stock_sampling(fast) is None, "the lean sampler reads an adapter's model"
    batch = generation(old=True, reference="beta" in settings)
    assert_same_gradient(make, batch, peft_config=adapter, **settings)


def test_nothing_to_learn_gives_a_gradient_of_zero(make):
    batch = generation()
    batch["advantages"].zero_()
    fast = make(fast_trainer())
    lean = microbatch.rearrange([batch], fast.microbatch_rules)
    assert [len(part["advantages"]) for part in lean] == [1]
    assert all(not grad.any() for grad in gradients(fast, lean)[1].values())


def test_advantages_per_token_are_cut_like_the_tokens(make):
    batch = generation()
    batch["advantages"] = batch["advantages"][:, None].expand(32, 16).clone()
    assert_same_gradient(make, batch)


def test_advantages_that_are_rounding_errors_become_zero():
    equal = torch.full((8,), 0.1)
    noise = (equal - torch.nanmean(equal)) / 1e-4
    assert noise.abs().max() > 0  # else TRL's arithmetic has changed and this can go
    one_unscorable = noise.clone()
    one_unscorable[3] = 0.0
    real = torch.tensor([-0.35] * 7 + [2.47])
    tiny = torch.tensor([1e-7, -1e-7] + [0.0] * 6)
    cleared = microbatch.without_rounding(torch.cat([noise, one_unscorable, real, tiny]), 8)
    assert cleared.equal(torch.cat([torch.zeros(16), real, tiny]))


def test_columns_it_does_not_know_are_left_to_trl(make):
    batches = [generation() | {"pixel_values": torch.zeros(7, 3)}]
    assert microbatch.rearrange(batches, make(fast_trainer()).microbatch_rules) is batches


def test_prompts_keep_their_padding_where_positions_are_absolute():
    assert not microbatch._has_plain_rotary(transformers.GPT2Config())
    assert microbatch._has_plain_rotary(transformers.Qwen3Config())
    kept = microbatch.trim(generation(), prompts=False)
    assert kept["prompt_ids"].shape == (32, 10)
    assert kept["completion_ids"].size(1) < 16


def trained(trainer):
    torch.manual_seed(7)
    trainer.train()
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


@pytest.mark.parametrize(
    "settings",
    [{}, {"loss_type": "grpo", "num_iterations": 2, "beta": 0.02}, {"steps_per_generation": 8}],
    ids=["plain", "iterations and reference", "window over two steps"],
)
def test_whole_runs_end_in_the_same_weights(make, settings):
    """With TRL's own sampling in both, so that the completions are the same."""
    settings = {"max_steps": 3, "max_grad_norm": 0.0, "optim": "sgd", **settings}
    stock, fast = make(**settings), make(fast_trainer(), **settings)
    fast.stock_sampling = "this test compares the same completions"
    before = {name: p.detach().clone() for name, p in stock.model.named_parameters()}
    expected, weights = trained(stock), trained(fast)
    assert any((expected[name] - before[name]).abs().max() > 1e-5 for name in before)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], **CLOSE)


def test_a_run_with_the_lean_sampler_learns_and_repeats_by_seed(make):
    first, again = (trained(make(fast_trainer(), max_steps=2)) for _ in range(2))
    for name, weight in first.items():
        assert torch.equal(weight, again[name])


def test_trl_skips_the_old_log_probs_where_one_step_takes_the_generation(make):
    trainer = make(fast_trainer(), max_steps=1)
    trainer.train()
    assert all("old_per_token_logps" not in batch for batch in trainer._buffered_inputs)


def test_the_entropy_metric_covers_the_rows_left_out_too(make):
    trainer, stock = make(fast_trainer(), max_steps=1, logging_steps=1), make()
    seen = []
    score = trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda rows: seen.append(score(rows)) or seen[-1]
    trainer.train()
    batch = seen[0]
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    size = batch["completion_ids"].size(1)
    with torch.no_grad():
        entropies = stock._get_per_token_logps_and_entropies(
            stock.model, ids, mask, size, compute_entropy=True
        )[1]
    logged = trainer.state.log_history[0]
    assert logged["frac_rows_with_gradient"] < 1
    expected = (entropies.sum() / batch["completion_mask"].sum()).item()
    assert logged["entropy"] == pytest.approx(expected, rel=1e-4)


def test_without_a_signal_no_row_counts_as_having_a_gradient(make):
    sizes = {"per_device_train_batch_size": 1, "num_generations": 2, "max_completion_length": 2}
    trainer = make(fast_trainer(), max_steps=1, logging_steps=1, **sizes)
    trainer.reward_funcs = [lambda completions, **_: [1.0] * len(completions)]
    trainer.train()
    assert trainer.state.log_history[0]["frac_rows_with_gradient"] == 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, None),
        ({"repetition_penalty": 1.1}, "repetition_penalty"),
        ({"min_p": 0.1}, "min_p"),
        ({"generation_kwargs": {"no_repeat_ngram_size": 3}}, "generation_kwargs"),
        ({"cache_implementation": "static"}, "cache_implementation"),
    ],
)
def test_stock_sampling_says_why(make, settings, reason):
    found = stock_sampling(make(fast_trainer(), **settings))
    assert found is None if reason is None else reason in found


def test_settings_of_the_checkpoint_that_trl_leaves_in_force_are_seen(make):
    trainer = make(fast_trainer())
    trainer.model.generation_config.no_repeat_ngram_size = 3
    assert "no_repeat_ngram_size" in stock_sampling(trainer)
