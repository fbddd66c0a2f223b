"""Bytes of activations that one micro-batch leaves for the backward pass.

Counted tensor by tensor as autograd saves them in transformers' decoder layers, in the spirit of
Korthikanti et al. 2022 (arXiv:2205.05198, section 4), who count the same for GPT with dropout.
All functions return bytes per rank.
"""

from __future__ import annotations

from r1cli.planning.architecture import Architecture
from r1cli.planning.setup import Setup

TOKEN_TILE, VOCAB_TILE = 4096, 32768
"""Tile of TRL's fused head (trl/kernels/chunked_logprob.py, trl/trainer/utils.py)."""

TORCH_TILES = 8.25
"""float32 tiles alive at once where there is no Triton: logits, z, log p, p, the gradient and its
terms, one mask of bools (`_backward_tile`)."""

DIRECT_BYTES = 256 * 2**20
DIRECT_TILES = 4.0
"""Up to that many bytes of logits, r1 scores completions on a CPU without tiles
(r1_trl/fast.py); logits, log-softmax and the two factors of the entropy are alive at once."""


def layer(model: Architecture, setup: Setup) -> float:
    """Saved by one decoder layer for one micro-batch."""
    block = _attention(model, setup) + _mlp(model, setup) + _norms(model, setup)
    return setup.tokens * (block + _dora(setup))


def _dora(setup: Setup) -> float:
    """A magnitude's gradient needs what it scales: the frozen layer's output and the adapter's."""
    return 2 * setup.compute * setup.adapter.magnitudes if setup.adapter else 0.0


def working(model: Architecture, setup: Setup) -> float:
    """Gradients of one layer's widest activations, alive while its backward runs."""
    width = model.experts.chosen * model.experts.width if model.experts else model.intermediate
    return setup.tokens * (2 * width * setup.compute + 2 * model.hidden * _residual(setup))


def checkpoint(model: Architecture, setup: Setup) -> float:
    """Kept of one layer where the rest is computed again: the layer's input."""
    return setup.tokens * model.hidden * _residual(setup)


def ends(model: Architecture, setup: Setup) -> float:
    """The final norm, its copy for the head, the attention mask."""
    h, rows = model.hidden, setup.batch.micro_batch
    norm = setup.tokens * h * (4 + 3 * _residual(setup))
    return norm + (rows * setup.length**2 if setup.padded else 0)


def _residual(setup: Setup) -> int:
    """Bytes of a number of the residual stream, which autocast leaves in float32."""
    return 4 if setup.autocast else setup.compute


def _norms(model: Architecture, setup: Setup) -> float:
    """RMSNorm saves its input in float32 and its normalised output; its result feeds linears."""
    h, c = model.hidden, setup.compute
    rest = (model.norms - 2) * 8 * h  # norms of a block's output feed no linear layer
    if setup.adapter:  # frozen weights need no gradient, so what would make it is not kept
        return 2 * 4 * h + h * (_read_by(setup, "q", "k", "v") + _read_by(setup, "gate", "up"))
    if setup.autocast:  # each of q, k, v and gate, up makes a bfloat16 copy of its own
        return 2 * (4 + 4) * h + (3 + 2) * 2 * h + rest
    return 2 * (4 + c + c) * h + rest


def _read_by(setup: Setup, *linears: str) -> int:
    """Bytes kept per number of an input for the adapters on these linear layers.

    peft hands each a float32 copy, which autocast turns into a bfloat16 one of its own; without
    either they share the input itself.
    """
    assert setup.adapter is not None
    reading = sum(f"{name}_proj" in setup.adapter.targets for name in linears)
    return setup.compute * (reading if setup.bf16 else min(reading, 1))


def _attention(model: Architecture, setup: Setup) -> float:
    """q, k, v after rotation, the output, and what the attention itself keeps, per token."""
    q, kv, c = model.q_width, model.kv_width, setup.compute
    repeated = model.heads != model.kv_heads and (setup.attention == "eager" or setup.padded)
    total = c * (2 * q + 2 * (q if repeated else kv))
    if model.qk_norm:
        total += (4 + c) * (q + kv)
    if setup.attention == "eager":  # softmax in float32, and a copy where products are shorter
        return total + model.heads * setup.length * (4 + (c if c < 4 else 0))
    mask = c * setup.length if setup.padded else 0  # made additive in every layer
    return total + 4 * model.heads + mask


def _mlp(model: Architecture, setup: Setup) -> float:
    """Gate, its activation, up, and their product; with experts, of those a token visits."""
    c, e = setup.compute, model.experts
    if e is None and setup.adapter:  # the product is kept for an adapter on it only
        return model.intermediate * (3 * c + _read_by(setup, "down"))
    if e is None:
        return 4 * c * model.intermediate
    visited = e.chosen * (4 * e.width + 2 * model.hidden)
    return c * (visited + 4 * e.shared_width) + 8 * e.count


def head(model: Architecture, setup: Setup) -> float:
    """Alive while the output projection's gradient is made: tiles of logits, and sums in float32.

    TRL never holds the whole (tokens, vocabulary): without tiles it would be `whole_logits`.
    """
    rows = setup.batch.micro_batch
    # On a GPU only labelled positions are scored; elsewhere all of them.
    tokens = rows * (setup.scored if setup.device == "cuda" else setup.length - 1)
    trained = setup.adapter is None
    if _direct(model, setup):
        logits = rows * (setup.scored + 1) * model.vocab * 4
        return DIRECT_TILES * logits + (model.embedding * 4 if trained else 0)
    c, h = setup.compute, model.hidden
    tile = min(tokens, TOKEN_TILE) * min(VOCAB_TILE, model.vocab)
    in_torch = 4 * TORCH_TILES + (c if c < 4 else 0)
    tiles = tile * (c if setup.device == "cuda" else in_torch)
    gradient = 4 * model.embedding if trained else 0.0
    cast = model.embedding * setup.weight if trained and setup.weight < 4 else 0.0
    return max(tiles + gradient, gradient + cast) + tokens * h * 4


def whole_logits(model: Architecture, setup: Setup) -> float:
    """Logits, their float32 copy and their gradient, as trainers without a fused head hold them."""
    return setup.batch.micro_batch * setup.scored * model.vocab * (2 * 4 + setup.compute)


def _direct(model: Architecture, setup: Setup) -> bool:
    logits = setup.batch.micro_batch * setup.scored * model.vocab * 4
    return (
        setup.trainer == "grpo"
        and setup.device == "cpu"
        and not setup.bf16
        and logits <= DIRECT_BYTES
    )
