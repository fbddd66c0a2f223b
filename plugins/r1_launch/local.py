"""This machine: the same program again, once per process, by accelerate's launcher."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import resources
from itertools import takewhile
from pathlib import Path

from r1_launch import watch
from r1cli import Job, ProviderError, UsageError, require, suggest

SHARED = ("zero2", "zero2_offload", "zero3", "zero3_offload", "fsdp")
"""Ways to share out more than the batch."""
ACCELERATORS = ("single", "ddp", *SHARED)

DEVICE = re.compile(r"\d|GPU-|MIG-")
"""How a device begins in CUDA_VISIBLE_DEVICES."""


def local() -> Local:
    """A launcher for one machine: `single` is one process, the others are a rank per device."""
    return Local()


class Local:
    @property
    def processes(self) -> int:
        """What a shared run has where its recipe says no number: a rank per GPU."""
        return max(1, count_gpus())

    def command(self, job: Job) -> list[str]:
        """The command line of a job; nothing is started."""
        _check(job)
        if job.processes == 1 and job.accelerator not in SHARED:
            return [sys.executable, "-m", "r1cli", *job.argv]
        require("train", "accelerate", "torch")
        if job.accelerator.startswith("zero"):
            require("deepspeed", "deepspeed")
        return [
            sys.executable,
            "-m",
            "r1_launch.elastic",
            f"--config_file={config(job.accelerator)}",
            f"--num_processes={job.processes}",
            "--num_machines=1",
            "--dynamo_backend=no",
            # TRL's config says the precision, for one process and for many.
            "--mixed_precision=no",
            *(["--fsdp_cpu_ram_efficient_loading=false"] if _on_cpu(job) else []),
            "--main_process_port=0",
            "--module",
            "r1_launch.rank",
            *job.argv,
        ]

    def submit(self, job: Job) -> int:
        """Run the job to its end and return its exit code."""
        command = self.command(job)
        environment = {**os.environ, "R1_LAUNCHED": "1"}
        gpus = count_gpus()
        if 0 < gpus < job.processes:
            raise UsageError(
                f"launch.processes is {job.processes}, this machine has {gpus} GPU"
                f"{'s' if gpus > 1 else ''}; set launch.processes to {gpus}, or hide the GPUs with "
                "CUDA_VISIBLE_DEVICES= to train on CPU ranks"
            )
        if command[2] == "r1cli":
            return subprocess.run(command, env=environment, check=False).returncode
        if not gpus:
            environment |= cpu_environment(job.accelerator)
        return watch.run(command, environment, job)


def config(accelerator: str) -> Path:
    """accelerate's configuration of a strategy, from the package or from a checkout."""
    package = Path(str(resources.files("r1cli")))
    inside = package / "recipes"
    recipes = inside if inside.is_dir() else package.parent / "recipes"
    return recipes / "accelerate" / f"{accelerator}.yaml"


def cpu_environment(accelerator: str) -> dict[str, str]:
    """What makes ranks meet over gloo on CPUs.

    ACCELERATE_USE_CPU turns DeepSpeed off without a word; there TRL's `use_cpu` does it alone.
    """
    if accelerator.startswith("zero"):
        return {"DS_ACCELERATOR": "cpu"}
    return {"ACCELERATE_USE_CPU": "true", "DS_ACCELERATOR": "cpu"}  # installed, it looks anyway


def count_gpus() -> int:
    """Visible GPUs, without importing torch into the launching process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:  # the first that is none hides itself and those after it: -1, say
        return len(list(takewhile(DEVICE.match, map(str.strip, visible.split(",")))))
    query = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return 0
    except subprocess.TimeoutExpired:
        raise ProviderError(
            "nvidia-smi gives no answer in 60 s: a GPU or its driver hangs; to train on CPU ranks, "
            "hide the GPUs with CUDA_VISIBLE_DEVICES="
        ) from None
    # Without a driver, or without a GPU, it says so on stdout.
    return sum(line.strip().isdecimal() for line in done.stdout.splitlines())


def _check(job: Job) -> None:
    if job.accelerator not in ACCELERATORS:
        raise UsageError(
            f"launch.accelerator {job.accelerator!r} is not known to launcher 'local'; "
            f"{suggest(job.accelerator, ACCELERATORS)}"
        )
    if job.accelerator == "single" and job.processes > 1:
        raise UsageError(
            f"launch.accelerator 'single' is one process, launch.processes is "
            f"{job.processes}; set launch.accelerator to ddp"
        )


def _on_cpu(job: Job) -> bool:
    """Whether FSDP's ranks have no GPU, where weights can only be read by every rank."""
    return job.accelerator == "fsdp" and not count_gpus()
