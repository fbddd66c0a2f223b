"""The transformers engine on a real, small, random model."""

from __future__ import annotations

import pytest

from r1_engines.transformers import transformers
from r1cli import Completion, Sampling, UsageError, render

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


def test_a_prompt_that_fills_the_context_is_counted_and_costs_no_other(model, caplog):
    with transformers(model=model) as engine:
        long, short = engine.generate(["1+" * 600, PROMPTS[0]], Sampling(max_tokens=4, n=2))
    assert [(c, c.tokens, c.truncated) for c in long] == [("", 0, True)] * 2
    assert all(c.tokens > 0 for c in short)
    assert "1 of 2 prompts fill the context of 512 tokens" in caplog.text


def test_the_checkpoints_own_sampling_defaults_are_not_used(model, tmp_path):
    import json
    import shutil

    changed = tmp_path / "model"
    shutil.copytree(model, changed)
    config = json.loads((changed / "generation_config.json").read_text())
    config |= {"repetition_penalty": 50.0, "do_sample": True, "top_k": 1}
    (changed / "generation_config.json").write_text(json.dumps(config))
    sampling = Sampling(max_tokens=16, n=2, seed=3)
    found = []
    for path in (model, str(changed)):
        with transformers(model=path) as engine:
            found.append(engine.generate(PROMPTS, sampling))
    assert found[0] == found[1]


def test_an_answer_that_is_begun_is_continued(model):
    prompt = PROMPTS[0]
    begun = [*prompt, {"role": "assistant", "content": "<think>\n"}]
    with transformers(model=model) as engine:
        text = render(engine.tokenizer, prompt) + "<think>\n"
        [[continued], [plain]] = engine.generate([begun, text], Sampling(temperature=0))
    assert continued.prefill == "<think>\n"
    assert continued == "<think>\n" + plain


def test_a_model_that_is_nowhere_is_an_error():
    with pytest.raises(UsageError, match="'no-such-model', given at --model, is no dir"):
        transformers(model="no-such-model").__enter__()


def test_the_chat_template_is_told_what_was_given(model):
    asked = []
    with transformers(model=model, chat_template_kwargs={"enable_thinking": False}) as engine:
        real = engine.tokenizer.apply_chat_template

        def template(*args, **kwargs):
            asked.append(kwargs.pop("enable_thinking"))
            return real(*args, **kwargs)

        engine.tokenizer.apply_chat_template = template
        engine.generate(PROMPTS[:1], Sampling(max_tokens=2))
    assert set(asked) == {False}
