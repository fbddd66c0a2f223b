"""Batch arithmetic: from prompts per step and group size to what each device does.

completions per step  =  prompts per step x group size
                      =  processes x micro-batch x accumulation
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from r1cli.errors import UsageError

DEFAULT_MICRO_BATCH = 8


@dataclass(frozen=True)
class BatchPlan:
    prompts_per_step: int
    group_size: int
    processes: int
    micro_batch: int
    accumulation: int

    def __str__(self) -> str:
        group = f" x {self.group_size} completions" if self.group_size > 1 else ""
        return (
            f"{self.prompts_per_step} prompts{group} per step = {self.processes} process(es) x "
            f"micro-batch {self.micro_batch} x accumulation {self.accumulation}"
        )


def solve(
    prompts_per_step: int,
    *,
    group_size: int = 1,
    processes: int = 1,
    micro_batch: int | None = None,
    where: str = "batch",
) -> BatchPlan:
    """The plan for one step; without `micro_batch`, the largest fitting one up to 8.

    Raises UsageError, naming numbers that would work, where nothing divides evenly.
    """
    total = prompts_per_step * group_size
    if total % processes:
        step = math.lcm(processes * (micro_batch or 1), group_size) // group_size
        works = max(step, prompts_per_step // step * step)
        raise UsageError(
            f"{where}: {prompts_per_step} prompts x {group_size} completions = {total} cannot be "
            f"shared by {processes} processes; prompts_per_step {works} would work"
        )
    share = total // processes
    if micro_batch is None:
        micro_batch = max(n for n in range(1, DEFAULT_MICRO_BATCH + 1) if share % n == 0)
    elif share % micro_batch:
        near = sorted(_divisors(share), key=lambda n: abs(n - micro_batch))[:3]
        raise UsageError(
            f"{where}: micro_batch {micro_batch} does not divide the {share} completions of a "
            f"process ({prompts_per_step} x {group_size} / {processes}); "
            f"{', '.join(map(str, sorted(near)))} would work"
        )
    return BatchPlan(prompts_per_step, group_size, processes, micro_batch, share // micro_batch)


def _divisors(number: int) -> set[int]:
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return {*small, *(number // n for n in small)}
