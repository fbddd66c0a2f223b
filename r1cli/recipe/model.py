"""The keys under `model`: where the policy starts, and what is changed or trained of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from r1cli.recipe.parts import Component, Strict


class Adapter(Strict):
    """LoRA (arXiv:2106.09685): low-rank matrices are trained beside weights that stay frozen.

    `targets` are names of linear layers, `all-linear` all of them but the output head.
    `modules_to_save` are trained whole and saved with the adapter. `dora` is arXiv:2402.09353,
    `rslora` divides alpha by the root of the rank (arXiv:2312.03732), `quantize` keeps the frozen
    weights in 4 or 8 bits on a GPU (QLoRA, arXiv:2305.14314).
    """

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    modules_to_save: list[str] = []
    dora: bool = False
    rslora: bool = False
    quantize: Literal["4bit", "8bit"] | None = None


class RopeScaling(Strict):
    """How positions past the trained ones are told apart, under transformers' names."""

    rope_type: Literal["default", "linear", "dynamic", "yarn", "llama3"]
    factor: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    original_max_position_embeddings: int | None = Field(default=None, ge=1)
    attention_factor: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    beta_fast: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    beta_slow: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    low_freq_factor: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    high_freq_factor: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Edits(Strict):
    """Surgery on the model's config before its weights are loaded; what is unset stays."""

    rope_theta: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_position_embeddings: int | None = Field(default=None, ge=1)
    rope_scaling: RopeScaling | None = None


class Model(Component):
    """`name` is a hub id, a local directory, or a registered model source.

    A directory may hold an adapter: training goes on from it. `attention` unset is transformers'
    choice, `sdpa` where the model can.
    """

    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    chat_template: str | None = None
    attention: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3"] | None = None
    adapter: Adapter | None = None
    edits: Edits | None = None
