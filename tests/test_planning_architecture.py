"""Parameters counted from config.json alone, against transformers' own models and the Hub's."""

import json

import pytest

from r1cli.errors import UsageError
from r1cli.planning import architecture

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 131,
    "max_position_embeddings": 128,
    "num_experts_per_tok": 2,
}

CASES = {
    "llama": [
        {},
        {"tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True, "head_dim": 24},
        {"num_key_value_heads": 4},
    ],
    "mistral": [{}, {"head_dim": 32}],
    "phi3": [{"pad_token_id": 0}],
    "smollm3": [{"pad_token_id": 0}],
    "qwen2": [{}, {"tie_word_embeddings": True}, {"use_sliding_window": True}],
    "qwen3": [{}, {"head_dim": 32, "attention_bias": True}, {"tie_word_embeddings": True}],
    "gemma": [{}, {"head_dim": 32}],
    "gemma2": [{"head_dim": 32}],
    "gemma3_text": [{}, {"head_dim": 32, "tie_word_embeddings": False}],
    "mixtral": [{"num_local_experts": 4}],
    "qwen2_moe": [
        {"num_experts": 4, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 48},
        {"num_experts": 4, "moe_intermediate_size": 32, "decoder_sparse_step": 2},
    ],
    "qwen3_moe": [
        {"num_experts": 8, "moe_intermediate_size": 32, "head_dim": 16},
        {"num_experts": 8, "moe_intermediate_size": 32, "mlp_only_layers": [1]},
    ],
}

# As published: the totals are those that the Hub shows for the safetensors files.
PUBLISHED = {
    "Qwen/Qwen2.5-0.5B": (("qwen2", 896, 24, 14, 2, 4864, 151936, True), 494_032_768),
    "Qwen/Qwen2.5-1.5B": (("qwen2", 1536, 28, 12, 2, 8960, 151936, True), 1_543_714_304),
    "Qwen/Qwen2.5-3B": (("qwen2", 2048, 36, 16, 2, 11008, 151936, True), 3_085_938_688),
    "Qwen/Qwen2.5-7B": (("qwen2", 3584, 28, 28, 4, 18944, 152064, False), 7_615_616_512),
    "Qwen/Qwen2.5-32B": (("qwen2", 5120, 64, 40, 8, 27648, 152064, False), 32_763_876_352),
    "meta-llama/Llama-3.1-8B": (("llama", 4096, 32, 32, 8, 14336, 128256, False), 8_030_261_248),
    "mistralai/Mistral-7B-v0.1": (("mistral", 4096, 32, 32, 8, 14336, 32000, False), 7_241_732_096),
}


@pytest.mark.parametrize(
    ("kind", "changes"), [(kind, case) for kind, cases in CASES.items() for case in cases]
)
def test_the_count_is_that_of_transformers(kind, changes, tmp_path):
    transformers = pytest.importorskip("transformers")
    import torch

    config = transformers.AutoConfig.for_model(kind, **{**SMALL, **changes})
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    config.save_pretrained(tmp_path)  # what a model directory holds, not the object's own view
    saved = json.loads((tmp_path / "config.json").read_text())
    read = architecture.read(saved, "here")
    assert read.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (read.active < read.parameters) == (read.experts is not None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_count_is_that_of_the_hub(name):
    (kind, hidden, layers, heads, kv_heads, width, vocab, tied), total = PUBLISHED[name]
    config = {
        "model_type": kind,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": width,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
    }
    assert architecture.read(config, name).parameters == total


def test_active_parameters_are_those_of_the_chosen_experts():
    config = {**SMALL, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    read = architecture.read(config, "here")
    assert read.parameters - read.active == 3 * 6 * 3 * 64 * 96


def test_a_model_that_also_sees_is_counted_by_its_decoder():
    text = {**SMALL, "model_type": "gemma3_text", "head_dim": 32}
    outer = architecture.read({"model_type": "gemma3", "text_config": text}, "here")
    assert outer == architecture.read(text, "here")


def test_an_unknown_architecture_says_what_is_known_and_missing():
    with pytest.raises(UsageError, match=r"'mamba2'.*lacks.*intermediate_size.*known: llama"):
        architecture.read({"model_type": "mamba2", "hidden_size": 8, "vocab_size": 9}, "here")


def test_a_known_one_with_holes_names_them():
    with pytest.raises(UsageError, match="no intermediate_size in this qwen2 config"):
        config = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
        architecture.read({**config, "model_type": "qwen2"}, "here")


def test_heads_that_cannot_be_shared():
    with pytest.raises(UsageError, match="4 heads cannot share 3"):
        architecture.read({**SMALL, "model_type": "llama", "num_key_value_heads": 3}, "here")
