"""Bytes of a rank's weights, gradients and optimizer states under each strategy.

ZeRO's stages shard the optimizer, then the gradients, then the weights (arXiv:1910.02054).
"""

from __future__ import annotations

from dataclasses import dataclass

from r1cli.planning.adapter import frozen_bytes
from r1cli.planning.architecture import Architecture
from r1cli.planning.setup import Setup

REDUCE_BUCKET = 500_000_000
"""Elements in DeepSpeed's reduce bucket by default; accelerate leaves it so."""

STATES: dict[str, float] = {
    "adamw_8bit": 2.03,  # bitsandbytes: two bytes, and a float32 scale per 256 numbers each
    "adamw_bnb_8bit": 2.03,
    "paged_adamw_8bit": 2.03,
    "adamw_torch_8bit": 2.03,
    "adamw_torch_4bit": 1.06,
    "paged_adamw_32bit": 8.0,
    "adafactor": 0.01,  # a row and a column per matrix
    "sgd": 0.0,
    "lion_8bit": 1.02,
    "paged_lion_8bit": 1.02,
}
"""Bytes per parameter. AdamW's others keep two moments in the dtype of the weight."""


@dataclass(frozen=True)
class State:
    """Bytes on the device of one rank."""

    weights: float
    gradients: float
    optimizer: float
    reference: float
    communication: float
    step: float  # only while the optimizer steps
    gathered: float  # the whole model, where sampling needs it in one place
    host: float  # offloaded to the rank's share of the machine's memory


def state(model: Architecture, setup: Setup) -> State:
    strategy, ranks = setup.strategy, setup.ranks
    if setup.adapter:
        trained, each = setup.adapter.trained, 4
        frozen = frozen_bytes(setup.adapter, model, min(setup.weight, setup.loaded))
    else:
        trained, each, frozen = model.parameters, setup.weight, 0.0
    weights = (trained * each + frozen) / (ranks if strategy.weights else 1)
    gradients = trained * each / (ranks if strategy.gradients else 1)
    master = 4 * trained if strategy.engine == "deepspeed" else 0
    moments = trained * _moments(setup, 4 if master else each)
    optimizer = (moments + master) / (ranks if strategy.optimizer else 1)
    # foreach AdamW makes one list of temporaries; DeepSpeed a float32 copy of its gradients.
    step = 4 * trained / ranks if master else 0.0
    if setup.optimizer == "adamw_torch" and setup.device == "cuda":
        step += trained * each / (ranks if strategy.optimizer else 1)
    host = 0.0
    if strategy.offload_optimizer:
        host, optimizer, step = host + optimizer + gradients, 0.0, 0.0
        gradients = 0.0
    if strategy.offload_weights:
        host, weights = host + weights, 0.0
    # The reference is sharded by ZeRO-3 and FSDP; with an adapter it is the model without it.
    reference = 0.0
    if setup.reference and not setup.adapter:
        reference = model.parameters * min(setup.weight, setup.loaded)
        reference /= ranks if strategy.weights else 1
    return State(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        reference=reference,
        communication=_communication(model, setup, trained * each),
        step=step,
        gathered=model.parameters * setup.compute if strategy.weights else 0.0,
        host=host,
    )


def _moments(setup: Setup, each: int) -> float:
    name = setup.optimizer
    if name in STATES:
        return STATES[name]
    return float(each) if name.startswith("lion") else 2.0 * each


def _communication(model: Architecture, setup: Setup, gradients: float) -> float:
    """Buckets, and layers that are gathered for use and let go."""
    name, ranks = setup.strategy.engine, setup.ranks
    if ranks == 1 and name == "torch":
        return 0.0
    if name == "torch":  # DDP's buckets are copies of the gradients (`gradient_as_bucket_view`)
        return gradients
    c = setup.compute
    bucket = min(REDUCE_BUCKET * setup.weight, gradients)
    if not setup.strategy.weights:
        return bucket
    ends = model.embedding + model.head
    if name == "fsdp":  # this layer, the next one, this one's gradients; the ends stay gathered
        return c * (3 * model.layer + ends)
    return bucket + c * (2 * model.layer + max(model.embedding, model.head))
