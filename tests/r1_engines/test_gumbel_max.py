"""The sampler of engine transformers: the right distribution, and every row by its own seed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from r1_engines.gumbel_max import GumbelMax, Sound, warpers  # noqa: E402
from r1cli import Sampling  # noqa: E402

pytestmark = pytest.mark.train

CPU = torch.device("cpu")
SCORES = torch.tensor([2.0, -1.0, 0.5, 1.9, -30.0, 0.0, 1.0, -2.0, 0.2, 1.1, -0.4, 0.7])
SETTINGS = [
    {},
    {"temperature": 0.6},
    {"top_k": 5},
    {"top_p": 0.8},
    {"temperature": 1.3, "top_k": 9, "top_p": 0.7},
]


def warped(scores, sampling):
    for warper in warpers(sampling):
        scores = warper(None, scores)
    return scores


def sampled(scores, seeds):
    """The tokens (B,) that rows with these seeds choose first, all by the same scores (V,)."""
    return GumbelMax(seeds, CPU)(None, scores.expand(len(seeds), -1)).argmax(-1)


def fits(seen, chances):
    """Whether chi-square lies within four standard deviations of what chance gives."""
    expected = chances * seen.sum()
    common = expected >= 5
    square = ((seen - expected)[common].square() / expected[common]).sum()
    freedom = int(common.sum()) - 1
    return freedom >= 2 and square < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_warpers_are_those_of_generate(settings):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "head_dim": 8, "vocab_size": 30}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(**sizes, **heads, initializer_range=0.8)).eval()
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    shown = {"output_scores": True, "output_logits": True, "return_dict_in_generate": True}
    step = model.generate(
        torch.tensor([[5, 6, 7]]),
        **{**off, **settings, **shown, "do_sample": True, "max_new_tokens": 1},
    )
    assert torch.equal(warped(step.logits[0], Sampling(**settings)), step.scores[0])


@pytest.mark.parametrize("settings", SETTINGS)
def test_seeds_draw_the_distribution_and_nothing_that_was_cut_off(settings):
    scores = warped(SCORES[None], Sampling(**settings))[0]
    chances = scores.softmax(-1)
    seen = sampled(scores, range(20_000)).bincount(minlength=len(SCORES))
    assert (seen[chances == 0] == 0).all()
    assert fits(seen, chances)


def test_the_steps_of_one_seed_draw_the_distribution():
    sampler = GumbelMax([7], CPU)
    drawn = torch.cat([sampler(None, SCORES[None]).argmax(-1) for _ in range(20_000)])
    assert fits(drawn.bincount(minlength=len(SCORES)), SCORES.softmax(-1))


def test_neighbouring_seeds_and_steps_have_nothing_to_do_with_each_other():
    """The samples of one prompt have consecutive seeds."""
    scores = SCORES[:4]
    chances = scores.softmax(-1)
    pairs = torch.outer(chances, chances).flatten()
    by_seed = sampled(scores, range(40_000))
    assert fits((by_seed[::2] * 4 + by_seed[1::2]).bincount(minlength=16), pairs)
    sampler = GumbelMax(range(20_000), CPU)
    first, second = (sampler(None, scores.expand(20_000, -1)).argmax(-1) for _ in "ab")
    assert fits((first * 4 + second).bincount(minlength=16), pairs)


def test_a_row_chooses_the_same_whatever_stands_beside_it():
    torch.manual_seed(0)
    rows, seeds = 6 * torch.randn(5, 40, 1000), [3, 1, 4, 1_000_003, 2**31 - 1]

    def choices(chosen):
        sampler = GumbelMax([seeds[row] for row in chosen], CPU)
        steps = [sampler(None, rows[chosen, step]).argmax(-1) for step in range(40)]
        return dict(zip(chosen, torch.stack(steps, 1).tolist(), strict=True))

    whole = choices([0, 1, 2, 3, 4])
    assert choices([4, 2, 0, 1, 3]) == whole
    assert {**choices([3]), **choices([1, 0]), **choices([2, 4])} == whole


def test_scores_that_are_no_numbers_are_noted_in_their_row_alone():
    scores = SCORES.repeat(4, 1)
    scores[1, 3], scores[2, 5], scores[3, 5] = float("nan"), float("inf"), -float("inf")
    sound = Sound(4, CPU)
    assert sound(None, scores) is scores
    sound(None, SCORES.repeat(4, 1))
    assert sound.rows.tolist() == [True, False, False, True]
    nothing = Sound(1, CPU)
    nothing(None, torch.full((1, 6), -float("inf")))
    assert not nothing.rows.any()
