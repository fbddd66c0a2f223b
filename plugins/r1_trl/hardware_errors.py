"""What the machine could not do, in one line: memory that is not there, a rank that is silent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from r1cli import ProviderError, one_line

MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|_ALLOC_FAILED", re.I)
SILENCE = re.compile(r"Timed out waiting|collective operation timeout|Timeout after waiting", re.I)
"""How gloo, NCCL's watchdog and the store of torch.distributed say that a rank did not answer."""


@contextmanager
def hardware_errors(trainer: Any) -> Iterator[None]:
    """Turn exhausted memory and silent ranks into a ProviderError that says what would work."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        text, step = str(error), trainer.state.global_step
        kept = "the same command goes on from the last checkpoint"
        if isinstance(error, MemoryError) or MEMORY.search(text):
            knobs = "; ".join(_knobs(trainer.args))
            raise ProviderError(
                f"out of memory after step {step} ({one_line(text)}); {knobs}; "
                f"r1 plan says what each saves, and {kept}"
            ) from error
        if SILENCE.search(text):
            raise ProviderError(
                f"a rank waited {trainer.args.ddp_timeout} s for another after step {step} "
                f"({one_line(text)}); if it was only slow, raise trainer.args.ddp_timeout; {kept}"
            ) from error
        raise


def _knobs(args: Any) -> Iterator[str]:
    """What takes less memory, what changes the result last."""
    micro = args.per_device_train_batch_size
    if micro > 1:
        yield f"lower batch.micro_batch, which is {micro}"
    if not args.gradient_checkpointing:
        yield "set trainer.args.gradient_checkpointing: true"
    if getattr(args, "use_vllm", False) and args.vllm_mode == "colocate":
        share = args.vllm_gpu_memory_utilization
        yield f"lower trainer.args.vllm_gpu_memory_utilization, which is {share:g}"
    yield "share the model out with launch.accelerator zero2, zero3 or fsdp"
