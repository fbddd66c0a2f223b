"""The transformers engine on a real, small, random model."""

from __future__ import annotations

import pytest

from r1_engines.transformers import transformers
from r1cli import Completion, Sampling, UsageError

pytestmark = pytest.mark.train

PROMPTS = [
    [{"role": "user", "content": "Compute 1+2."}],
    [{"role": "user", "content": "Compute 3+4-5+6-7+8+9."}],
    "Compute 1",
]


@pytest.fixture(scope="module")
def model():
    from r1_tiny.model import r1_tiny_blank

    return str(r1_tiny_blank())


def test_n_completions_per_prompt_in_order(model):
    with transformers(model=model, batch_size=2) as engine:
        found = engine.generate(PROMPTS, Sampling(n=3, max_tokens=8))
    assert [len(completions) for completions in found] == [3, 3, 3]
    assert all(isinstance(c, Completion) and c.tokens <= 8 for group in found for c in group)
    assert all(c.truncated == (c.tokens == 8) for group in found for c in group if c.tokens == 8)


def test_greedy_gives_one_completion_whatever_n_and_does_not_depend_on_the_batch(model):
    sampling = Sampling(temperature=0, n=5, max_tokens=12)
    with transformers(model=model, batch_size=1) as engine:
        alone = engine.generate(PROMPTS, sampling)
    with transformers(model=model, batch_size=3) as engine:
        together = engine.generate(PROMPTS, sampling)
    assert alone == together
    assert [len(group) for group in alone] == [1, 1, 1]


def test_the_seed_decides(model):
    with transformers(model=model) as engine:
        first, second = (engine.generate(PROMPTS, Sampling(seed=1, n=2)) for _ in "ab")
        other = engine.generate(PROMPTS, Sampling(seed=2, n=2))
    assert first == second != other


def test_a_prompt_that_fills_the_context_is_an_error(model):
    with transformers(model=model) as engine, pytest.raises(UsageError, match="fills the model's"):
        engine.generate(["1+" * 600], Sampling(max_tokens=4))


def test_a_model_that_is_nowhere_is_an_error():
    with pytest.raises(UsageError, match="'no-such-model', given at --model, is no dir"):
        transformers(model="no-such-model").__enter__()
