"""Which devices train and which serve vLLM: on one machine, or on the nodes of a SLURM job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from r1cli.errors import UsageError
from r1cli.planning import sampling
from r1cli.planning.architecture import Architecture
from r1cli.planning.hardware import Hardware
from r1cli.planning.setup import Sampler, Setup, number
from r1cli.recipe import Recipe

LARGEST_NODE = 16
"""GPUs that one machine is still suggested to have."""


@dataclass(frozen=True)
class Place:
    """A group of nodes with one job: `train` or `serve`."""

    role: str
    nodes: int
    devices_per_node: int
    detail: str


def with_ranks(recipe: Recipe, machine: Hardware) -> tuple[Recipe, str]:
    """The recipe with a rank for every GPU, where it does not say how many; and a line on that."""
    said = recipe.launch.model_fields_set
    nodes, serving = node_counts(recipe)
    if "processes" in said or machine.device == "cpu":
        return recipe, ""
    ranks = max(1, (nodes - serving) * machine.gpus - spare_gpus(recipe))
    update: dict[str, object] = {"processes": ranks}
    if ranks > 1 and "accelerator" not in said:
        update["accelerator"] = "ddp"
    launch = recipe.launch.model_copy(update=update)
    line = "" if ranks == 1 else f"launch.processes is not said: {ranks} ({launch.accelerator})"
    return recipe.model_copy(update={"launch": launch}), line


def node_counts(recipe: Recipe) -> tuple[int, int]:
    """All nodes, and those of them that serve."""
    nodes = number(recipe, "nodes", 1, section="launch")
    serving = number(recipe, "serve_nodes", 0, section="launch", least=0)
    if serving >= nodes:
        raise UsageError(
            f"{recipe.where('launch', 'args', 'serve_nodes')} = {serving} leaves none of {nodes} "
            f"nodes to train; {nodes - 1} at most, or more nodes"
        )
    return nodes, serving


def layout(
    recipe: Recipe, model: Architecture, setup: Setup, machine: Hardware
) -> tuple[list[Place], Setup]:
    """Who does what, and the setup with the server's tensor parallelism where there is one.

    Raises UsageError for more ranks than devices.
    """
    nodes, serving = node_counts(recipe)
    ranks = setup.ranks
    if machine.device == "cpu":
        return [Place("train", 1, ranks, f"{ranks} process(es)")], setup
    places, parallel, served = [], 0, setup.sampler
    if served and served.kind == "server" and not _elsewhere(recipe):
        parallel = max(served.tensor_parallel, _server_parallel(model, setup, machine))
        setup = replace(setup, sampler=replace(served, tensor_parallel=parallel))
    on_one = bool(parallel) and not serving  # the server shares the machine with the trainer
    room = (nodes - serving) * machine.gpus - (parallel if on_one else 0)
    training = nodes - serving
    if ranks > room:
        extra = f" and {parallel} for the vLLM server" if on_one else ""
        works = [f"--set launch.processes={room}"] if room > 0 else []
        wider = -(-ranks // training) + (parallel if on_one else 0)
        works += [f"--gpus {wider}"] if wider <= LARGEST_NODE else []
        works.append(f"--on slurm --nodes {-(-ranks // machine.gpus) + max(serving, on_one)}")
        raise UsageError(
            f"{recipe.where('launch', 'processes')} = {ranks} ranks{extra}, but there are "
            f"{training} training node(s) with {machine.gpus} GPUs; "
            f"{' or '.join(works)} would work"
        )
    if ranks % training:
        near = max(1, ranks // training) * training
        raise UsageError(
            f"{recipe.where('launch', 'processes')} = {ranks} ranks cannot be shared by "
            f"{training} training nodes; --set launch.processes={near} would work"
        )
    if serving:
        copies = machine.gpus // parallel if parallel else 0
        detail = f"tensor parallel {parallel}, {copies} copies" if parallel else "launch.args.serve"
        places.append(Place("serve", serving, machine.gpus, detail))
    places.append(Place("train", training, ranks // training, f"{ranks} rank(s)"))
    if on_one:
        places.append(Place("serve", 1, parallel, f"tensor parallel {parallel}"))
    return places, setup


def samples_by_vllm(recipe: Recipe) -> bool:
    return bool(recipe.trainer.args.get("use_vllm"))


def serves(recipe: Recipe) -> bool:
    """Whether vLLM samples in a server of its own."""
    return samples_by_vllm(recipe) and recipe.trainer.args.get("vllm_mode") == "server"


def spare_gpus(recipe: Recipe) -> int:
    """GPUs of the training machine that are left to a server, before its size is known."""
    alone = number(recipe, "nodes", 1, section="launch") == 1
    return 1 if serves(recipe) and alone and not _elsewhere(recipe) else 0


def _elsewhere(recipe: Recipe) -> bool:
    """Whether the server's address is that of another machine."""
    args = recipe.trainer.args
    said = str(args.get("vllm_server_base_url") or args.get("vllm_server_host") or "")
    host = urlsplit(said if "//" in said else f"//{said}").hostname or ""
    return bool(host) and host[:4] not in ("127.", "0.0.") and host not in ("localhost", "::1")


def _server_parallel(model: Architecture, setup: Setup, machine: Hardware) -> int:
    """The fewest GPUs on which a server holds the weights and one sequence of full length."""
    assert isinstance(setup.sampler, Sampler)
    splits = [n for n in range(1, machine.gpus + 1) if model.heads % n == 0]
    for parallel in splits:
        tried = replace(setup, sampler=replace(setup.sampler, tensor_parallel=parallel))
        if sampling.vllm(model, tried, machine.memory).sequences >= 1:
            return parallel
    return splits[-1]
