"""Where vLLM runs: how a server is split over GPUs, and who serves beside whom that trains."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1cli.errors import R1Error, UsageError
from r1cli.planning import architecture
from r1cli.planning.config_file import config_of
from r1cli.planning.hardware import GIB, visible_gpus
from r1cli.planning.layout import samples_by_vllm, serves
from r1cli.planning.plan import Plan, make_plan
from r1cli.planning.sampling import SERVER_SHARE, VLLM_OVERHEAD
from r1cli.recipe import Recipe

if TYPE_CHECKING:
    from r1cli.plugins import Plugins


def tensor_parallel(
    config: Mapping[str, Any], gpus: Sequence[float], *, model: str, tp: int | None, dp: int
) -> int:
    """`--tp` of a server, by default the fewest GPUs that hold its weights and some cache.

    `gpus` are the bytes of each; none is a CPU. Raises UsageError for what cannot be split or held.
    """
    text = architecture.text_part(config)
    heads = int(text.get("num_attention_heads") or 1)
    shared = int(text.get("num_key_value_heads") or heads)
    # A rank holds whole key-value heads, or a copy of one.
    works = [
        n for n in range(1, heads + 1) if heads % n == 0 and (shared % n == 0 or n % shared == 0)
    ]
    if tp and tp not in works:
        raise UsageError(
            f"--tp {tp} cannot share the {heads} attention heads ({shared} of keys and values) of "
            f"{model}; {', '.join(map(str, works))} would work"
        )
    if not gpus:
        return tp or 1
    room = len(gpus) // dp
    chosen = tp or _fewest(config, min(gpus), [n for n in works if n <= room] or [1], model)
    if chosen * dp > len(gpus):
        raise UsageError(
            f"--tp {chosen} x --dp {dp} need {chosen * dp} GPUs, there are {len(gpus)}"
            + (f"; --tp {max(n for n in works if n <= room)} would work" if room else "")
        )
    return chosen


def _fewest(config: Mapping[str, Any], memory: float, works: Sequence[int], model: str) -> int:
    """The least of `works` whose GPUs hold the weights in 16 bits; the most where none does."""
    try:
        weights = 2 * architecture.read(config, model).parameters
    except UsageError:
        return works[0]  # a family whose parameters r1 cannot count
    room = SERVER_SHARE * memory - VLLM_OVERHEAD - GIB  # a GiB of cache at least
    return next((n for n in works if weights / n <= room), works[-1])


def placement(recipe: Recipe, plugins: Plugins) -> list[str]:
    """Lines on who samples and who trains; none where vLLM is not used.

    Raises UsageError for a layout that cannot be.
    """
    if not samples_by_vllm(recipe):
        return []
    if recipe.launch.name == "local" and not visible_gpus():
        return [_on_cpu(recipe)]
    try:
        architecture.read(config_of(recipe, plugins), recipe.where("model", "name"))
    except R1Error as error:  # the hub is away, or a family that r1 does not know
        return [f"vLLM: the placement is not known: {error}"]
    plan = make_plan(recipe, plugins)
    return _lines(plan)


def _lines(plan: Plan) -> list[str]:
    recipe, sampler = plan.recipe, plan.setup.sampler
    assert sampler is not None
    parallel = sampler.tensor_parallel
    if sampler.kind == "colocate":
        share = f"{sampler.memory:.0%} of each GPU"
        return [
            f"vLLM: in each of the {plan.setup.ranks} training processes, "
            f"tensor parallel {parallel}, {share}"
        ]
    serving = next((place for place in plan.places if place.role == "serve"), None)
    if serving is None:
        return ["vLLM: a server elsewhere, at trainer.args.vllm_server_base_url"]
    command = f"r1 serve {shlex.quote(recipe.model.name)} --tp {parallel}"
    if recipe.launch.args.get("serve_nodes"):
        said = recipe.launch.args.get("serve") or f"{command} --host 0.0.0.0"
        return [f"vLLM: {serving.nodes} node(s) of {plan.machine.gpus} GPUs serve: {said}"]
    first = plan.machine.gpus - parallel
    gpus = ",".join(map(str, range(first, plan.machine.gpus)))
    return [
        f"vLLM: GPU {gpus} serves, {plan.setup.ranks} rank(s) train on the first ones; start it by",
        f"  CUDA_VISIBLE_DEVICES={gpus} {command}",
    ]


def _on_cpu(recipe: Recipe) -> str:
    if serves(recipe):
        return f"vLLM: a server, on this machine by: r1 serve {shlex.quote(recipe.model.name)}"
    return f"vLLM: in each of the {recipe.launch.processes} training processes, here on the CPU"
