import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("transformers")
pytest.importorskip("torch")

from r1_tiny.model import r1_tiny_blank
from r1_tiny.tokenizer import build_tokenizer

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Compute 8 + 1 - 4."},
]
ANSWER = {"role": "assistant", "content": "<think>8+1=9-4=5</think><answer>5</answer>"}


build_once = functools.cache(build_tokenizer)


@pytest.fixture
def tokenizer():
    return build_once()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("R1_HOME", str(tmp_path))
    return tmp_path


def load(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


@given(st.text())
def test_any_text_encodes_and_decodes_without_loss(text):
    tokenizer = build_once()
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("text", ["Grüße, 日本 🙂", "a\r\n\tb", "1234567890", "user\nx", "Ġ Ċ", ""])
def test_difficult_texts_survive(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_numbers_up_to_99_and_the_tags_are_single_tokens(tokenizer):
    ids = tokenizer("<think>9+10=19</think><answer>19</answer>")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == [
        *("<think>", "9", "+", "10", "=", "19", "</think>", "<answer>", "19", "</answer>")
    ]


def test_a_term_of_the_prompt_is_as_long_as_a_step_of_the_work(tokenizer):
    """The dataset is laid out so that every step finds its term at the same distance."""
    assert len(tokenizer(" + 1")["input_ids"]) == len(tokenizer("+1=12")["input_ids"])


def test_the_tags_survive_a_decoding_that_skips_special_tokens(tokenizer):
    ids = tokenizer(ANSWER["content"] + "<|im_end|><|endoftext|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == ANSWER["content"]


def test_a_conversation_ends_with_the_end_of_turn_token(tokenizer):
    ids = tokenizer.apply_chat_template([*MESSAGES, ANSWER], return_dict=False)
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


def test_the_generation_prompt_is_a_prefix_of_the_conversation(tokenizer):
    prompt = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template([*MESSAGES, ANSWER], return_dict=False)
    assert whole[: len(prompt)] == prompt
    assert tokenizer.decode(whole[len(prompt) :]) == ANSWER["content"] + "<|im_end|>"


def test_the_model_has_about_a_third_of_a_million_parameters(home):
    model, _ = load(r1_tiny_blank())
    assert 300_000 <= model.num_parameters() <= 350_000


def test_the_folder_loads_with_plain_transformers(home, tokenizer):
    model, loaded = load(r1_tiny_blank())
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.chat_template == tokenizer.chat_template
    assert (loaded.eos_token, loaded.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert loaded.padding_side == "left"
    assert model.config.vocab_size == len(loaded)
    assert model.generation_config.eos_token_id == loaded.eos_token_id


def test_the_seed_decides_the_weights(tmp_path, monkeypatch):
    import torch

    found = []
    for home, seed in (("a", 0), ("b", 0), ("a", 1)):
        monkeypatch.setenv("R1_HOME", str(tmp_path / home))
        torch.manual_seed(hash(home) % 100)
        found.append(weights(r1_tiny_blank(seed=seed)))
    assert found[0] == found[1] != found[2]


def test_building_leaves_the_callers_random_numbers_alone(home):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    r1_tiny_blank(seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_the_folder_is_built_once_and_leaves_no_draft_behind(home):
    folder = r1_tiny_blank()
    stamp = folder.stat().st_mtime_ns
    assert r1_tiny_blank() == folder
    assert folder.stat().st_mtime_ns == stamp
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
