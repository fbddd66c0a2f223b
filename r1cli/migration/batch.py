"""Batch keys: micro-batch and accumulation of each process become prompts per step."""

from __future__ import annotations

import math

from r1cli.errors import UsageError
from r1cli.migration.draft import Draft

PROCESSES = 8
"""What every accelerate file of open-r1 and of TRL says."""

OWN = ("steps_per_generation", "generation_batch_size")
"""Where one of these is set, the file has its own arithmetic, and it is kept as it is."""

DEVICE, STEPS, GROUP = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_generations",
)


def migrate_batch(draft: Draft, *, grpo: bool, processes: int | None) -> None:
    """Write `launch` and `batch`, with whole groups in every step.

    Old recipes left one of the processes to vLLM's server, and their numbers may come out whole on
    the others only; then as many prompts as those took are shared by all.
    """
    count = processes or draft.left.get("num_processes") or PROCESSES
    if not isinstance(count, int) or count < 1:
        raise UsageError(f"num_processes = {count!r} is no count")
    if "num_processes" in draft:
        draft.take("num_processes")
        why = "--processes goes before it" if processes else "was accelerate's"
        draft.note("renamed", "num_processes", "launch.processes", why)
    accelerator = draft.recipe.get("launch", {}).get("accelerator")
    draft.put("launch.accelerator", accelerator or ("ddp" if count > 1 else "single"))
    draft.put("launch.processes", count)
    if accelerator is None:
        why = "stood in accelerate's file: see --processes; zero2, zero3, fsdp for large models"
        draft.note("added", "", "launch", why)
    if any(key in draft for key in OWN) or not (DEVICE in draft or STEPS in draft):
        return
    given = [key for key in (DEVICE, STEPS, GROUP) if key in draft]
    device, steps = draft.integer(DEVICE, 8), draft.integer(STEPS, 1)
    group = draft.integer(GROUP, 8) if grpo else 1
    prompts = _prompts(device * steps, group, count)
    micro = max(n for n in range(1, device + 1) if prompts * group // count % n == 0)
    draft.put("batch.prompts_per_step", prompts)
    if grpo:
        draft.put("batch.group_size", group)
    draft.put("batch.micro_batch", micro)
    why = f"{prompts} prompts x {group} = {count} processes x {micro} x accumulation"
    if prompts * group != device * steps * count:
        why += f"; were {device} x {steps} on each, no whole number of groups of {group}"
    draft.note("added", "", "batch", why)
    for key in given:
        new = {DEVICE: "micro_batch", GROUP: "group_size"}.get(key, "prompts_per_step")
        draft.note("renamed", key, f"batch.{new}", "said as what one step learns from")


def _prompts(share: int, group: int, processes: int) -> int:
    """Prompts per step, where each process makes `share` completions, or about as many."""
    whole = (n for n in range(processes, 0, -1) if share * n % group == 0)
    prompts = share * next(whole, processes) // group
    even = processes // math.gcd(processes, group)  # so that processes have equal parts
    return max(1, round(prompts / even)) * even
