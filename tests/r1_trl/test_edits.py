"""Surgery on a config: what it changes, what it says, what it refuses."""

from __future__ import annotations

import json
import logging

import pytest

from r1_trl import attention, edits
from r1cli import Recipe, UsageError

transformers = pytest.importorskip("transformers")


def recipe(**model) -> Recipe:
    return Recipe.model_validate(
        {"model": {"name": "m", **model}, "dataset": {"name": "d"}, "trainer": {"name": "sft"}}
    )


def qwen():
    return transformers.Qwen2Config(
        max_position_embeddings=4096, rope_parameters={"rope_type": "default", "rope_theta": 1e4}
    )


def test_open_r1s_distilled_qwen_and_a_line_for_each_value(caplog):
    config = qwen()
    wanted = {"rope_theta": 300_000, "max_position_embeddings": 32_768}
    with caplog.at_level(logging.INFO):
        edits.apply(config, recipe(edits=wanted))
    assert config.max_position_embeddings == 32_768
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 300_000}
    assert "edited rope_theta of m: 10000.0 -> 300000.0" in caplog.text
    assert "edited max_position_embeddings of m: 4096 -> 32768" in caplog.text


def test_the_edited_base_reaches_the_rotary_frequencies():
    config = qwen()
    edits.apply(config, recipe(edits={"rope_theta": 300_000}))
    rotary = transformers.models.qwen2.modeling_qwen2.Qwen2RotaryEmbedding(config)
    dim = config.hidden_size // config.num_attention_heads
    assert rotary.inv_freq[1].item() == pytest.approx(300_000 ** (-2 / dim))


def test_a_scaling_keeps_the_base_and_survives_saving(tmp_path):
    config = qwen()
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
    edits.apply(config, recipe(edits={"rope_scaling": yarn, "max_position_embeddings": 16384}))
    assert config.rope_parameters == {**yarn, "rope_theta": 10_000.0}
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["rope_parameters"]["factor"] == 4.0
    assert saved["max_position_embeddings"] == 16384


@pytest.mark.parametrize(
    ("config", "wanted", "message"),
    [
        (transformers.GPT2Config(), {"rope_theta": 1e5}, "has no rotary positions"),
        (transformers.GPT2Config(), {"max_position_embeddings": 9}, "has no rotary positions"),
        (qwen(), {"rope_scaling": {"rope_type": "yarn"}}, "refuses model.edits: .*factor"),
        (
            transformers.Gemma3TextConfig(),
            {"rope_theta": 1e5},
            "one rotary embedding for each of",
        ),
    ],
)
def test_what_a_model_has_not_cannot_be_edited(config, wanted, message):
    with pytest.raises(UsageError, match=message):
        edits.apply(config, recipe(edits=wanted))


def test_flash_attention_without_a_gpu_falls_back_with_a_line(monkeypatch, caplog):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    wanted = recipe(attention="flash_attention_2")
    assert attention.options(wanted) == {"attn_implementation": "sdpa"}
    assert "model.attention = flash_attention_2 falls back to sdpa: there is no GPU" in caplog.text


def test_flash_attention_that_is_not_installed_falls_back_with_a_line(monkeypatch, caplog):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for name in ("is_flash_attn_2_available", "is_kernels_available"):
        monkeypatch.setattr(f"transformers.utils.{name}", lambda: False)
    assert attention.options(recipe(attention="flash_attention_2"))["attn_implementation"] == "sdpa"
    assert "neither flash-attn nor kernels is installed" in caplog.text
    monkeypatch.setattr("transformers.utils.is_kernels_available", lambda: True)
    found = attention.options(recipe(attention="flash_attention_2"))
    assert found == {"attn_implementation": "flash_attention_2"}


def test_unsaid_attention_is_left_to_transformers():
    assert attention.options(recipe()) == {}
    assert attention.options(recipe(attention="eager")) == {"attn_implementation": "eager"}


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_packed_texts_do_not_read_each_other(implementation):
    """What `_say_packing` tells users: TRL's packed rows have positions and no mask."""
    import torch

    from r1_tiny.model import tiny_config
    from r1_tiny.tokenizer import build_tokenizer

    torch.manual_seed(0)
    config = tiny_config(build_tokenizer())
    config._attn_implementation = implementation
    model = transformers.Qwen3ForCausalLM(config).eval()
    first, second = torch.randint(5, 300, (1, 7)), torch.randint(5, 300, (1, 5))
    positions = torch.tensor([[*range(7), *range(5)]])
    with torch.no_grad():
        packed = model(
            torch.cat([first, second], 1), position_ids=positions, use_cache=False
        ).logits
        apart = torch.cat([model(ids, use_cache=False).logits for ids in (first, second)], 1)
    torch.testing.assert_close(packed, apart, rtol=1e-4, atol=1e-5)
