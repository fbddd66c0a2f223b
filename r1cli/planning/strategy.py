"""How the ranks of a launch share the training state: `launch.accelerator` by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from r1cli import source
from r1cli.errors import UsageError, suggest
from r1cli.recipe import Recipe
from r1cli.recipe_file import recipes_folder


@dataclass(frozen=True)
class Strategy:
    """How ranks share the training state. `engine` decides in which precision it is kept."""

    name: str
    engine: Literal["torch", "deepspeed", "fsdp"] = "torch"
    weights: bool = False  # sharded over the ranks
    gradients: bool = False
    optimizer: bool = False
    offload_optimizer: bool = False
    offload_weights: bool = False


STRATEGIES = {
    "single": Strategy("single"),
    "ddp": Strategy("ddp"),
    "zero2": Strategy("zero2", "deepspeed", gradients=True, optimizer=True),
    "zero3": Strategy("zero3", "deepspeed", weights=True, gradients=True, optimizer=True),
    "fsdp": Strategy("fsdp", "fsdp", weights=True, gradients=True, optimizer=True),
}


def strategy_of(recipe: Recipe) -> Strategy:
    """The strategy by name; offloading is read from its file in recipes/accelerate/."""
    name = recipe.launch.accelerator
    known = {
        "fsdp2": "fsdp",
        "zero2_offload": "zero2",
        "zero3_offload": "zero3",
        **{n: n for n in STRATEGIES},
    }
    if name not in known:
        raise UsageError(
            f"{recipe.where('launch', 'accelerator')} = {name!r} is no strategy that r1 plan "
            f"knows; {suggest(name, STRATEGIES)}"
        )
    strategy = STRATEGIES[known[name]]
    if strategy.engine == "torch":
        return strategy
    said = {**_accelerate_file(name), **recipe.launch.args}
    both = name.endswith("_offload") or said.get("offload") is True
    return replace(
        strategy,
        offload_optimizer=both or said.get("offload_optimizer_device") == "cpu",
        offload_weights=(both and strategy.weights) or said.get("offload_param_device") == "cpu",
    )


def _accelerate_file(name: str) -> Mapping[str, Any]:
    path = recipes_folder() / "accelerate" / f"{name}.yaml"
    data = source.read(path).data if path.is_file() else {}
    return (data.get("deepspeed_config") or {}) if isinstance(data, dict) else {}
