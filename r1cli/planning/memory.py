"""The peak of one rank: what is alive in each phase of a step, and the worst of the phases."""

from __future__ import annotations

from dataclasses import dataclass

from r1cli.planning import activations, sampling
from r1cli.planning.architecture import Architecture
from r1cli.planning.setup import Setup
from r1cli.planning.state import State, state

GIB = 2**30

CONTEXT = 0.6 * GIB
"""CUDA context, kernels and cuBLAS workspaces of one process: an assumption, 0.4 to 0.8 seen."""

NCCL = 0.5 * GIB
"""Communication buffers of one process among several: an assumption."""

PROGRAM = 0.6 * GIB
"""Python, torch, transformers and TRL in a process that trains on a CPU: an assumption."""

FRAGMENTS = 0.05
"""Share of the tensors that the caching allocator holds on top, unusable: an assumption."""


@dataclass(frozen=True)
class Phase:
    """A moment of a training step, and the bytes alive in it by what they are for."""

    name: str
    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Memory:
    """Bytes on one training rank's device. `overhead` is assumed, the rest is counted."""

    phases: list[Phase]
    vllm: sampling.Vllm | None
    host: float

    @property
    def worst(self) -> Phase:
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def peak(self) -> float:
        return self.worst.total


def memory(model: Architecture, setup: Setup, device_bytes: float) -> Memory:
    """Of one rank on a device of that size, which matters where vLLM takes its share of it."""
    held = state(model, setup)
    served = None
    if setup.sampler and setup.sampler.kind != "generate":
        served = sampling.vllm(model, setup, device_bytes)
    colocated = served if setup.sampler and setup.sampler.kind == "colocate" else None
    sleeps = bool(setup.sampler and setup.sampler.sleep)
    phases = []
    for name, parts in _training(model, setup, held):
        share = colocated.reserved if colocated and not sleeps else 0.0
        phases.append(_phase(name, {**_static(held), **parts, "vllm": share}, setup))
    if setup.sampler and setup.sampler.kind != "server":
        parts = _sampling(model, setup, held, colocated)
        phases.append(_phase("sampling", {**_static(held), **parts}, setup))
    return Memory(phases, served, held.host)


def _static(held: State) -> dict[str, float]:
    return {
        "weights": held.weights,
        "optimizer": held.optimizer,
        "reference": held.reference,
        "communication": held.communication,
    }


def _training(model: Architecture, setup: Setup, held: State) -> list[tuple[str, dict[str, float]]]:
    """The two ends of the backward pass, between which memory moves in a straight line: gradients
    arrive as activations go. Then the optimizer's step."""
    keeps = setup.batch.accumulation > 1  # gradients of earlier micro-batches are there already
    one, work = activations.layer(model, setup), activations.working(model, setup)
    ends = activations.ends(model, setup)
    head = activations.head(model, setup)
    if setup.checkpointing:
        kept = model.layers * activations.checkpoint(model, setup)
        # When the last layer is computed again, the head has gone and left its gradient.
        own = 0.0 if setup.adapter else model.embedding * setup.weight
        begin = {"activations": kept + ends, "logits": head}
        again = {"activations": kept + one + work, "logits": own}
        if sum(again.values()) > sum(begin.values()):
            begin = again
        finish = kept / model.layers + one + work
    else:
        begin = {"activations": model.layers * one + ends, "logits": head}
        finish = one + work
    if setup.autocast:  # bfloat16 copies of the weights live as long as the forward pass
        begin["activations"] += 2 * model.parameters
    # The embedding's gradient comes last, beside what it is added to.
    embedding = 0.0
    if not setup.adapter and (keeps or model.tied):
        embedding = model.embedding * setup.weight
    return [
        ("backward begins", {"gradients": held.gradients if keeps else 0.0, **begin}),
        (
            "backward ends",
            {"gradients": held.gradients, "activations": max(finish, embedding)},
        ),
        ("optimizer step", {"gradients": held.gradients, "step": held.step}),
    ]


def _sampling(
    model: Architecture, setup: Setup, held: State, colocated: sampling.Vllm | None
) -> dict[str, float]:
    if colocated:
        return {"vllm": colocated.reserved}
    parts = {"kv_cache": sampling.generate(model, setup)}
    if setup.gathers_to_sample and held.gathered:
        parts["gathered"] = held.gathered
    return parts


def _phase(name: str, parts: dict[str, float], setup: Setup) -> Phase:
    """The parts that are there, with the assumed overhead of the device."""
    if setup.device == "cpu":
        parts = {**parts, "overhead": PROGRAM}
    else:
        tensors = sum(parts.values()) - parts.get("vllm", 0.0)
        nccl = NCCL if setup.ranks > 1 else 0.0
        parts = {**parts, "overhead": CONTEXT + nccl + FRAGMENTS * tensors}
    return Phase(name, {part: size for part, size in parts.items() if size})
