"""The transformers engine on a real, small, random model."""

from __future__ import annotations

import shutil
from itertools import chain, count

import pytest

from r1_engines.transformers import WINDOW, transformers
from r1cli import Completion, Draw, Sampling, UsageError, render

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


def test_weights_that_are_cut_off_are_one_line(model, tmp_path):
    cut = tmp_path / "cut"
    shutil.copytree(model, cut)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UsageError, match="cut' at --model could not be loaded: "):
        transformers(model=str(cut)).__enter__()


def test_n_completions_per_prompt_in_order(model):
    with transformers(model=model, batch_size=2) as engine:
        found = engine.generate(PROMPTS, Sampling(n=3, max_tokens=8))
    assert [len(completions) for completions in found] == [3, 3, 3]
    assert all(isinstance(c, Completion) and c.tokens <= 8 for group in found for c in group)
    assert all(c.truncated == (c.tokens == 8) for group in found for c in group)


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


def drawn(engine, draws, sampling):
    """What each of `draws` came to, by its prompt and seed."""
    found = list(chain(*engine.stream(draws, sampling)))
    assert sorted(one.position for one in found) == list(range(len(draws)))
    return {draws[one.position].seed: (one.completion, one.completion.tokens) for one in found}


@pytest.mark.parametrize("how", [{}, {"temperature": 0.7, "top_p": 0.95, "top_k": 40}])
def test_a_draw_is_the_same_alone_among_others_in_another_order_and_in_shards(model, how):
    sampling = Sampling(max_tokens=24, seed=9, n=3, **how)
    draws = [Draw(PROMPTS[i % 3], seed=1000 + i) for i in range(12)]
    with transformers(model=model, batch_size=5) as engine:
        whole = drawn(engine, draws, sampling)
        assert drawn(engine, draws[::-1], sampling) == whole
        assert drawn(engine, draws[::2], sampling) | drawn(engine, draws[1::2], sampling) == whole
    with transformers(model=model, batch_size=1) as engine:
        assert drawn(engine, draws, sampling) == whole
    assert len({text for text, _ in whole.values()}) == len(draws)


def test_the_samples_of_a_prompt_differ_and_do_not_depend_on_those_after_it(model):
    several = Sampling(n=3, max_tokens=12, seed=5)
    with transformers(model=model) as engine:
        found = engine.generate(PROMPTS, several)
        assert engine.generate(PROMPTS[:1], several) == found[:1]
        more = engine.generate(PROMPTS, Sampling(n=5, max_tokens=12, seed=5))
    assert [group[:3] for group in more] == found
    assert all(len(set(group)) == 3 for group in found)


def test_draws_are_taken_a_window_at_a_time_and_handed_out_by_batches(model):
    taken = count()
    draws = (Draw(PROMPTS[1], seed=next(taken)) for _ in count())
    with transformers(model=model, batch_size=2) as engine:
        batches = engine.stream(draws, Sampling(max_tokens=1))
        assert [len(next(batches)) for _ in range(3)] == [2, 2, 2]
        assert next(taken) == 2 * WINDOW


@pytest.fixture(scope="module", params=["positions", "masks"])
def with_table(model, tmp_path_factory, request):
    """A model with a table of 32 positions, or of as many masks, and none beyond."""
    import shutil

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPTNeoConfig

    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(model, folder, dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(model)
    torch.manual_seed(0)
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    if request.param == "positions":
        sizes = {"n_positions": 32, "n_embd": 16, "n_layer": 1, "n_head": 2}
        config = GPT2Config(vocab_size=len(tokenizer), **sizes, **ends)
    else:
        sizes = {"max_position_embeddings": 32, "hidden_size": 16, "num_layers": 1, "num_heads": 2}
        kinds = {"attention_types": [[["global"], 1]]}
        config = GPTNeoConfig(vocab_size=len(tokenizer), **sizes, **kinds, **ends)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_full_context_ends_each_row_for_itself(with_table, temperature):
    prompts = ["1+" * 4, "1+" * 10, "1+" * 14]
    sampling = Sampling(temperature=temperature, max_tokens=100, seed=4)
    with transformers(model=with_table) as engine:
        together = engine.generate(prompts, sampling)
        draws = [Draw(prompt, seed=4 + 1_000_003 * i) for i, prompt in enumerate(prompts)]
        alone = [list(chain(*engine.stream([draw], sampling))) for draw in draws]
    assert together == [[one.completion] for [one] in alone]
    rooms = [32 - 8, 32 - 20, 32 - 28]
    ended = [(c.tokens == room) == c.truncated for [c], room in zip(together, rooms, strict=True)]
    assert all(ended) and together[0][0].truncated


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_scores_that_are_no_numbers_are_an_error_that_says_what_may_do(model, temperature):
    with transformers(model=model) as engine:
        engine.model.lm_head.weight.data[3] = float("inf")
        with pytest.raises(UsageError, match=r"no numbers in torch.float32.*dtype=float32"):
            engine.generate(PROMPTS, Sampling(temperature=temperature, max_tokens=2))


def test_the_batch_size_is_no_part_of_what_is_drawn_and_the_way_of_drawing_is(model, monkeypatch):
    from r1cli.plugins import builtin_plugins
    from r1cli.sampling import sampler_key

    def key(**args):
        return sampler_key("transformers", model, args, builtin_plugins())

    assert key() == key(batch_size=3) != key(dtype="bfloat16")
    now = key()
    monkeypatch.setattr(transformers, "version", transformers.version - 1)
    assert key() != now


def test_a_prompt_that_fills_the_context_is_counted_and_costs_no_other(model, caplog):
    with transformers(model=model) as engine:
        long, short = engine.generate(["1+" * 600, PROMPTS[0]], Sampling(max_tokens=4, n=2))
    assert [(c, c.tokens, c.truncated) for c in long] == [("", 0, True)] * 2
    assert all(c.tokens > 0 for c in short)
    assert "2 of 4 samples are empty: their prompts fill the context of 512 tokens" in caplog.text


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


def test_a_batch_of_nothing_is_an_error():
    with pytest.raises(UsageError, match="batch_size 0 is not 1 or more"):
        transformers(model="m", batch_size=0)


@pytest.mark.parametrize("device", ["cuda:99", "nowhere"])
def test_a_device_that_is_not_there_is_an_error(model, device):
    with pytest.raises(UsageError, match=f"cannot be put on device '{device}'"):
        transformers(model=model, device=device).__enter__()


def test_a_prompt_of_no_token_is_an_error(model):
    with (
        transformers(model=model) as engine,
        pytest.raises(UsageError, match="makes no token of the prompt ''; is it empty"),
    ):
        engine.generate(["1+1", ""], Sampling())


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
