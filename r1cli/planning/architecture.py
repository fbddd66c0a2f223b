"""A decoder's shape and its exact parameter count, from the numbers in its config.json.

Counted as transformers builds the families in `FAMILIES`; the tests compare to the digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from r1cli.errors import UsageError
from r1cli.planning.families import FAMILIES

NEEDED = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
)


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: how many, how many a token visits, their width, on which layers."""

    count: int
    chosen: int
    width: int
    shared_width: int
    layers: int


@dataclass(frozen=True)
class Architecture:
    """Numbers of one decoder. Parameters are counted, not bytes."""

    model_type: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    norms: int
    qk_norm: bool
    biases: int  # of one layer's attention and dense MLP
    positions: int | None
    dtype: str
    experts: Experts | None = None
    window: int | None = None  # tokens a sliding-window layer looks back

    @property
    def q_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def attention_matrices(self) -> int:
        """q, k, v and o of one layer."""
        return 2 * self.hidden * (self.q_width + self.kv_width)

    @property
    def embedding(self) -> int:
        return self.vocab * self.hidden

    @property
    def head(self) -> int:
        """Parameters of the output projection that are its own: none where tied."""
        return 0 if self.tied else self.embedding

    @property
    def layer(self) -> int:
        """Parameters of the largest layer."""
        return self._attention + max(self._mlp, self._moe(everything=True))

    @property
    def _attention(self) -> int:
        qk = 2 * self.head_dim if self.qk_norm else 0
        return self.attention_matrices + self.biases + qk + self.norms * self.hidden

    @property
    def _mlp(self) -> int:
        return 3 * self.hidden * self.intermediate

    def _moe(self, *, everything: bool) -> int:
        """One sparse layer: router, experts (all, or those one token visits), shared expert."""
        e = self.experts
        if e is None:
            return 0
        visited = e.count if everything else e.chosen
        shared = 3 * self.hidden * e.shared_width + (self.hidden if e.shared_width else 0)
        return self.hidden * e.count + visited * 3 * self.hidden * e.width + shared

    def _total(self, *, everything: bool) -> int:
        sparse = self.experts.layers if self.experts else 0
        blocks = (
            self.layers * self._attention
            + (self.layers - sparse) * self._mlp
            + sparse * self._moe(everything=everything)
        )
        return self.embedding + self.head + blocks + self.hidden

    @property
    def parameters(self) -> int:
        return self._total(everything=True)

    @property
    def active(self) -> int:
        """Parameters that one token meets; fewer than all only with experts."""
        return self._total(everything=False)

    def kv_cache(self, bytes_each: float) -> float:
        """Bytes of keys and values of one token, all layers."""
        return 2 * self.layers * self.kv_width * bytes_each


def read(config: Mapping[str, Any], where: str) -> Architecture:
    """The architecture a config.json describes. Raises UsageError naming what is missing."""
    config = text_part(config)
    kind = config.get("model_type")
    family = FAMILIES.get(str(kind))
    if family is None:
        lacks = [key for key in NEEDED if key not in config]
        more = f"; its config also lacks {', '.join(lacks)}" if lacks else ""
        raise UsageError(
            f"{where}: model_type {kind!r} is not one that r1 plan can count{more}; "
            f"known: {', '.join(FAMILIES)}"
        )
    lacks = [key for key in NEEDED if not isinstance(config.get(key), int)]
    if lacks:
        raise UsageError(f"{where}: no {', '.join(lacks)} in this {kind} config, cannot count it")
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or family.head_dim or hidden // heads
    kv_heads = config.get("num_key_value_heads") or heads
    if heads % kv_heads:
        raise UsageError(f"{where}: {heads} heads cannot share {kv_heads} key-value heads")
    biases = 0
    if _says(config, family.qkv_bias):
        biases += (heads + 2 * kv_heads) * head_dim
    if _says(config, family.out_bias):
        biases += hidden
    if _says(config, family.mlp_bias):
        biases += 2 * config["intermediate_size"] + hidden
    return Architecture(
        model_type=str(kind),
        hidden=hidden,
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=config["intermediate_size"],
        vocab=config["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", family.tied)),
        norms=family.norms,
        qk_norm=family.qk_norm,
        biases=biases,
        positions=config.get("max_position_embeddings"),
        dtype=str(config.get("dtype") or config.get("torch_dtype") or "float32"),
        experts=_experts(config, where) if family.experts else None,
        window=config.get("sliding_window"),
    )


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The decoder of a model that also sees: its `text_config`, with the outer dtype and tying."""
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return config
    outer = {k: config[k] for k in ("dtype", "torch_dtype", "tie_word_embeddings") if k in config}
    return {**outer, **inner}


def _says(config: Mapping[str, Any], bias: bool | str) -> bool:
    return bool(config.get(bias, bias == "qkv_bias")) if isinstance(bias, str) else bias


def _experts(config: Mapping[str, Any], where: str) -> Experts:
    count = config.get("num_experts") or config.get("num_local_experts")
    chosen = config.get("num_experts_per_tok")
    if not isinstance(count, int) or not isinstance(chosen, int):
        raise UsageError(f"{where}: no num_experts and num_experts_per_tok, cannot count experts")
    step = config.get("decoder_sparse_step", 1)
    dense = set(config.get("mlp_only_layers") or ())
    layers = config["num_hidden_layers"]
    return Experts(
        count=count,
        chosen=chosen,
        width=config.get("moe_intermediate_size") or config["intermediate_size"],
        shared_width=config.get("shared_expert_intermediate_size", 0),
        layers=sum(i not in dense and (i + 1) % step == 0 for i in range(layers)),
    )
