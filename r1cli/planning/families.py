"""The model types whose parameters can be counted, each with what its config.json leaves unsaid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """What config.json leaves unsaid about a model type.

    `qkv_bias`: True, False, or the name of the config key that says so. `norms` counts the
    normalisations per layer over the hidden size, `head_dim` and `tied` are defaults of the type.
    """

    qkv_bias: bool | str = False
    out_bias: bool | str = False
    mlp_bias: bool | str = False
    qk_norm: bool = False
    norms: int = 2
    tied: bool = False
    head_dim: int | None = None
    experts: bool = False


FAMILIES = {
    "llama": Family("attention_bias", "attention_bias", "mlp_bias"),
    "smollm3": Family("attention_bias", "attention_bias", "mlp_bias", tied=True),
    "mistral": Family(),
    "phi3": Family(),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family("attention_bias", "attention_bias", qk_norm=True, head_dim=128),
    "gemma": Family("attention_bias", "attention_bias", tied=True, head_dim=256),
    "gemma2": Family("attention_bias", "attention_bias", norms=4, tied=True, head_dim=256),
    "gemma3_text": Family(
        "attention_bias", "attention_bias", qk_norm=True, norms=4, tied=True, head_dim=256
    ),
    "mixtral": Family(experts=True),
    "qwen2_moe": Family(qkv_bias="qkv_bias", experts=True),
    "qwen3_moe": Family("attention_bias", "attention_bias", qk_norm=True, experts=True),
}
