"""The devices a plan is made for: given, found on this machine, or assumed."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from r1cli.errors import UsageError
from r1cli.planning.setup import number
from r1cli.recipe import Recipe

GIB = 2**30
ASSUMED = 80.0
"""GiB of one GPU where none is named and none is found."""

DEVICE = re.compile(r"\d|GPU-|MIG-")
"""How a device begins in CUDA_VISIBLE_DEVICES."""


@dataclass(frozen=True)
class Hardware:
    """`gpus` of one node, 0 for a CPU; `memory` in bytes, of one device; `said` is for the user."""

    device: Literal["cpu", "cuda"]
    gpus: int
    memory: float
    said: str


def hardware(recipe: Recipe, gpus: int | None, gpu_memory: float | None) -> Hardware:
    """The devices for a recipe. Raises UsageError where it needs a GPU and there is to be none."""
    wants = gpu_keys(recipe)
    if gpus == 0:
        if wants:
            sets = " ".join(f"--set {key}={value}" for key, value in wants.items())
            raise UsageError(
                f"no GPU, but the recipe needs one for {', '.join(wants)}; without one this would "
                f"run: {sets}; with one: --gpus 1"
            )
        return _cpu(recipe, gpu_memory)
    found = visible_gpus()
    if gpus is None and not found and not wants and recipe.launch.name == "local":
        return _cpu(recipe, gpu_memory)
    per_node = gpus or number(recipe, "gpus_per_node", len(found), section="launch")
    size = gpu_memory * GIB if gpu_memory else min(found, default=ASSUMED * GIB)
    said = "" if gpu_memory or found else f"no GPU here and no --gpu-memory: {ASSUMED:.0f} GiB"
    if not per_node:
        nodes = number(recipe, "nodes", 1, section="launch")
        per_node = -(-recipe.launch.processes // nodes)
        said = f"no GPU here: {per_node} of {size / GIB:.0f} GiB"
    return Hardware("cuda", per_node, size, f"{said} assumed" if said else "")


def gpu_keys(recipe: Recipe) -> dict[str, str]:
    """The recipe's keys that need a GPU, and the values that do not."""
    args = recipe.trainer.args
    keys = {f"trainer.args.{k}": "false" for k in ("bf16", "fp16", "use_vllm") if args.get(k)}
    if recipe.model.dtype in ("bfloat16", "float16"):
        keys["model.dtype"] = "float32"
    if any(word in str(args.get("optim")) for word in ("8bit", "paged", "bnb")):
        keys["trainer.args.optim"] = "adamw_torch"
    given = args.get("model_init_kwargs")
    if isinstance(given, dict) and str(given.get("attn_implementation", "")).startswith("flash"):
        keys["trainer.args.model_init_kwargs.attn_implementation"] = "sdpa"
    return keys


def _cpu(recipe: Recipe, memory: float | None) -> Hardware:
    """This machine's memory, or the one given, in equal parts for the recipe's processes."""
    whole = memory * GIB if memory else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    ranks = recipe.launch.processes
    said = f"on a CPU; {ranks} process(es) share {whole / GIB:.1f} GiB"
    return Hardware("cpu", 0, whole / ranks, said)


def visible_gpus() -> list[float]:
    """Bytes of each GPU that nvidia-smi shows and CUDA_VISIBLE_DEVICES does not hide."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return _all_gpus()
    # The first that is no device hides itself and those after it: -1, or SLURM's NoDevFiles.
    names = list(takewhile(DEVICE.match, map(str.strip, visible.split(","))))
    found = _all_gpus() if names else []
    if all(name.isdecimal() for name in names):
        return [found[int(name)] for name in names if int(name) < len(found)]
    return found[: len(names)]  # by UUID, as SLURM may say


def _all_gpus() -> list[float]:
    query = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.split() if done.returncode == 0 else []
    return [float(line) * 2**20 for line in lines if line.isdecimal()]
