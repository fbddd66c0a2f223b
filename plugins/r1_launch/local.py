"""This machine: the same program again, once per process, by accelerate's launcher."""

from __future__ import annotations

import os
import subprocess
import sys

from r1cli import Job, UsageError, require

ACCELERATORS = ("single", "ddp")


def local() -> Local:
    """A launcher for one machine: `single` is one process, `ddp` is data parallel."""
    return Local()


class Local:
    def command(self, job: Job) -> list[str]:
        """The command line of a job; nothing is started."""
        if job.accelerator not in ACCELERATORS:
            raise UsageError(
                f"launch.accelerator {job.accelerator!r} is not known to launcher 'local'; "
                f"known: {', '.join(ACCELERATORS)}"
            )
        if job.processes == 1:
            return [sys.executable, "-m", "r1cli", *job.argv]
        if job.accelerator == "single":
            raise UsageError(
                f"launch.accelerator 'single' is one process, launch.processes is "
                f"{job.processes}; set launch.accelerator to ddp"
            )
        require("train", "accelerate", "torch")
        return [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            f"--num_processes={job.processes}",
            "--num_machines=1",
            "--dynamo_backend=no",
            "--mixed_precision=no",
            # Accelerate's name for one process per device; its `--cpu` starts a single process.
            "--multi_gpu",
            "--main_process_port=0",
            "--module",
            "r1cli",
            *job.argv,
        ]

    def submit(self, job: Job) -> int:
        """Run the job to its end and return its exit code."""
        environment = {**os.environ, "R1_LAUNCHED": "1"}
        if _gpus() < job.processes:
            environment |= {"ACCELERATE_USE_CPU": "true"}
        return subprocess.run(self.command(job), env=environment, check=False).returncode


def _gpus() -> int:
    """Visible GPUs, without importing torch into the launching process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip()])
    query = ("nvidia-smi", "--list-gpus")
    try:
        return len(subprocess.run(query, capture_output=True, check=False).stdout.splitlines())
    except FileNotFoundError:
        return 0
