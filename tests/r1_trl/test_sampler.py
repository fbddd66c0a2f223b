"""The lean sampler against `model.generate`: same tokens, same distribution, whatever it saves."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from r1_trl.fast import unfit  # noqa: E402
from r1_trl.sampler import Draw, chooser  # noqa: E402
from r1_trl.sampler import sample as sample_with_entropy  # noqa: E402

PAD, EOS, VOCAB = 0, 1, 24
PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [4], [20, 21, 3]]
GROUP = [prompt for prompt in PROMPTS for _ in range(4)]


def sample(*arguments, **settings):
    return sample_with_entropy(*arguments, **settings)[0]


@pytest.fixture(scope="module")
def build():
    """A function from config changes to a small random model whose scores are far from flat."""

    def build(family: str = "Qwen3", **changes):
        torch.manual_seed(0)
        sizes = {
            "vocab_size": VOCAB,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 48,
            "initializer_range": 0.4,
            "pad_token_id": PAD,
            "eos_token_id": EOS,
            "bos_token_id": None,
        }
        config = getattr(transformers, f"{family}Config")(**(sizes | changes))
        return getattr(transformers, f"{family}ForCausalLM")(config).eval()

    return build


@pytest.fixture(scope="module")
def model(build):
    return build(head_dim=8)


def generated(model, prompts, draw, **changes):
    """What TRL takes from `model.generate` for left-padded `prompts`."""
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    settings = {
        "max_new_tokens": draw.max_new_tokens,
        "do_sample": draw.temperature > 0,
        "eos_token_id": list(draw.eos_token_ids),
        "pad_token_id": PAD,
    }
    config = transformers.GenerationConfig(**(settings | changes), disable_compile=True)
    with torch.no_grad():
        written = model.generate(ids, attention_mask=mask, generation_config=config)[:, width:]
    rows = []
    for row in written.tolist():
        ends = [i for i, token in enumerate(row) if token in draw.eos_token_ids]
        rows.append(row[: ends[0] + 1] if ends else row)
    return rows


@pytest.mark.parametrize("room", [4, 70])  # inside the cache's first room, and beyond it twice
@pytest.mark.parametrize("prompts", [GROUP, [GROUP[0]] * 5, PROMPTS[::-1] * 2])
def test_greedy_tokens_equal_those_of_generate(model, prompts, room):
    draw = Draw(room, (EOS, 7), temperature=0)
    assert sample(model, prompts, draw, pad_token_id=PAD) == generated(model, prompts, draw)


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Gemma", "Mistral"])
def test_greedy_tokens_equal_those_of_generate_in_other_families(build, family):
    extra = {"sliding_window": None} if family == "Mistral" else {}
    model = build(family, **extra)
    assert unfit(model) is None
    draw = Draw(20, (EOS,), temperature=0)
    assert sample(model, GROUP, draw, pad_token_id=PAD) == generated(model, GROUP, draw)


def test_completions_end_with_their_first_eos_or_are_full_length(model):
    torch.manual_seed(0)
    draw = Draw(12, (EOS, 7))
    rows = sample(model, GROUP * 4, draw, pad_token_id=PAD)
    assert len(rows) == len(GROUP) * 4
    ended = [row for row in rows if row[-1] in (EOS, 7)]
    assert not any({EOS, 7} & set(row[:-1]) for row in rows)
    assert all(len(row) == 12 for row in rows if row not in ended)
    assert len(ended) < len(rows) and len({len(row) for row in ended}) > 2


@pytest.mark.parametrize("prompts", [GROUP * 4, [GROUP[0]] * 64])
def test_shrinking_the_batch_changes_no_token(model, prompts, monkeypatch):
    drawn = []
    for share in (1e-9, 1 / 8, 2.0):  # after every ended completion, the default, never
        monkeypatch.setattr("r1_trl.sampler.COMPACT", share)
        torch.manual_seed(3)
        drawn.append(sample(model, prompts, Draw(40, (EOS, 7)), pad_token_id=PAD))
    assert drawn[0] == drawn[1] == drawn[2]


def test_a_seed_fixes_the_tokens_and_another_changes_them(model):
    def drawn(seed):
        torch.manual_seed(seed)
        return sample(model, GROUP, Draw(12, (EOS,)), pad_token_id=PAD)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


MIXED = {"temperature": 1.3, "top_k": 9, "top_p": 0.7}


def fits(seen, expected):
    """Whether chi-square lies within four standard deviations of what chance gives."""
    common = expected >= 5
    square = ((seen - expected)[common].square() / expected[common]).sum()
    freedom = int(common.sum()) - 1
    return freedom >= 2 and square < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0.6}, {"top_k": 5}, {"top_p": 0.8}, MIXED]
)
def test_tokens_have_the_distribution_that_generate_draws_from(model, settings):
    """Chi-square against the probabilities that transformers' own processors give."""
    prompt, count = PROMPTS[1], 20_000
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    config = transformers.GenerationConfig(
        do_sample=True, max_new_tokens=1, pad_token_id=PAD, eos_token_id=EOS, **(off | settings)
    )
    with torch.no_grad():
        step = model.generate(
            torch.tensor([prompt]),
            generation_config=config,
            output_scores=True,
            return_dict_in_generate=True,
        )
    expected = step.scores[0][0].softmax(-1) * count

    torch.manual_seed(11)
    rows = sample(model, [prompt] * count, Draw(1, (EOS,), **settings), pad_token_id=PAD)
    seen = torch.tensor([row[0] for row in rows]).bincount(minlength=VOCAB)

    assert (seen[expected == 0] == 0).all()
    assert fits(seen, expected)


def test_second_tokens_have_the_distribution_of_the_model(model):
    """Through the copied and grown cache: the tokens after a given first token."""
    prompt, count = PROMPTS[0], 20_000
    torch.manual_seed(5)
    rows = sample(model, [prompt] * count, Draw(2, (EOS,)), pad_token_id=PAD)
    first = max({row[0] for row in rows if len(row) == 2}, key=[r[0] for r in rows].count)
    seconds = torch.tensor([row[1] for row in rows if row[0] == first])
    with torch.no_grad():
        chances = model(torch.tensor([[*prompt, first]])).logits[0, -1].softmax(-1)
    expected = chances * len(seconds)
    seen = seconds.bincount(minlength=VOCAB)
    assert fits(seen, expected)


def test_a_token_of_probability_zero_is_never_chosen():
    choose = chooser(Draw(1, (EOS,), top_k=2))
    scores = torch.tensor([[1.0, 5.0, 0.0, 4.0]] * 3)
    chance = torch.tensor([0.0, 0.5, 1.0 - 2**-53], dtype=torch.float64)
    assert set(choose(scores, chance)[0].tolist()) <= {1, 3}


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_k": 3}])
def test_the_entropy_is_the_policys_at_the_sampled_tokens(model, settings):
    draw = Draw(20, (EOS, 7), **settings)
    rows, entropy = sample_with_entropy(model, GROUP, draw, pad_token_id=PAD)
    parts = []
    for prompt, row in zip(GROUP, rows, strict=True):
        with torch.no_grad():
            scores = model(torch.tensor([prompt + row])).logits[0, len(prompt) - 1 : -1]
        logps = (scores / draw.temperature).log_softmax(-1)
        parts.append(-(logps.exp() * logps).sum(-1))
    assert entropy == pytest.approx(torch.cat(parts).mean().item(), rel=1e-5)


def test_models_with_other_caches_are_refused_with_the_reason(build):
    sliding = build("Mistral", sliding_window=4)
    assert "sliding-window" in unfit(sliding)
    mamba = transformers.MambaForCausalLM(
        transformers.MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, state_size=4)
    )
    assert unfit(mamba)
    t5 = transformers.T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    assert "encoder-decoder" in unfit(transformers.T5ForConditionalGeneration(t5))
