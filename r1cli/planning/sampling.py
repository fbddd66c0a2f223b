"""Bytes that sampling takes: the key-value cache of `model.generate`, or vLLM's share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from r1cli.errors import UsageError
from r1cli.planning.architecture import Architecture
from r1cli.planning.setup import Setup

SCORES = 24
"""Bytes per vocabulary entry and row while a token is drawn: four float32, one float64."""

VLLM_OVERHEAD = 1.5 * 2**30
"""CUDA graphs, workspaces and the profile run's activations at TRL's 4096 batched tokens."""

SERVER_SHARE = 0.9
"""gpu_memory_utilization of `vllm serve` by default."""


@dataclass(frozen=True)
class Vllm:
    """One GPU of vLLM, in bytes; `sequences` of full length fit in its cache at once."""

    reserved: float
    weights: float
    cache: float
    sequences: float
    wanted: int


def generate(model: Architecture, setup: Setup) -> float:
    """Key-value cache at full length and the scores of one position, for all of a rank's rows."""
    assert setup.sampler is not None
    cache = setup.sampler.rows * setup.sampler.length * model.kv_cache(setup.loaded)
    return cache + setup.sampler.rows * model.vocab * SCORES


def vllm(model: Architecture, setup: Setup, device_bytes: float) -> Vllm:
    """What one GPU's vLLM takes and has: with TRL beside the trainer, or on a server's GPU."""
    sampler = setup.sampler
    assert sampler is not None
    parallel = sampler.tensor_parallel
    share = SERVER_SHARE if sampler.kind == "server" else sampler.memory
    reserved = share * device_bytes
    weights = model.parameters * 2 / parallel  # vLLM reads float32 checkpoints as 16 bits too
    cache = max(0.0, reserved - weights - VLLM_OVERHEAD)
    # A rank keeps at least one key-value head, copied where there are fewer heads than ranks.
    token = model.kv_cache(2) * max(1 / parallel, 1 / model.kv_heads)
    return Vllm(reserved, weights, cache, cache / (token * sampler.length), sampler.rows * parallel)


def check_parallel(model: Architecture, setup: Setup, where: str) -> None:
    """Raise UsageError unless vLLM can split the heads, and the ranks where it is colocated."""
    sampler = setup.sampler
    if sampler is None or sampler.kind == "generate":
        return
    parallel = sampler.tensor_parallel
    ask, shared = f"the model's {model.heads} heads", model.heads
    if sampler.kind == "colocate":
        ask += f" and the {setup.ranks} ranks"
        shared = math.gcd(model.heads, setup.ranks)
    if shared % parallel == 0:
        return
    works = [n for n in range(1, shared + 1) if shared % n == 0]
    raise UsageError(
        f"{where} = {parallel} does not divide {ask}; {', '.join(map(str, works))} would work"
    )
