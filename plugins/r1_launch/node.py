"""One node's share of a SLURM job: its ranks, which meet those of the other nodes.

The batch script starts `r1 train` once on every node (R1_ON_NODE=1). What makes nodes different is
read here, on the node itself: a shell that expands $SLURM_NODEID in the batch script gives every
node the same number.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import NoReturn

from r1_launch.local import count_gpus, cpu_environment, local
from r1_launch.queue import hostnames, show
from r1cli import Job, UsageError


def on_node() -> bool:
    """Whether this runs in a job, rather than on the machine to submit from."""
    return "R1_ON_NODE" in os.environ


def start(job: Job, *, port: int) -> NoReturn:
    """Become this node's launcher of ranks."""
    command = node_command(job, os.environ, port=port)
    environment = {**os.environ, "R1_LAUNCHED": "1", "PET_SIGNALS_TO_HANDLE": "SIGINT"}
    if job.processes > 1 and not count_gpus():
        environment |= cpu_environment(job.accelerator)
    environment.pop("R1_ON_NODE", None)  # a job that a rank may submit is no part of this one
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is meant


def node_command(job: Job, environment: Mapping[str, str], *, port: int) -> list[str]:
    """The local launcher's command for all ranks, with this node's place among the nodes in it."""
    command = local().command(job)
    nodes = int(environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_NNODES") or 1)
    if "--module" not in command:  # a single process, without a launcher of ranks
        return command
    if job.processes % nodes:
        raise UsageError(f"launch.processes {job.processes} cannot be shared by {nodes} nodes")
    rank = int(environment.get("SLURM_NODEID", 0))
    names = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    place = []
    if nodes > 1:
        address = show("node", hostnames(names)[0])["NodeAddr"]
        meeting = port or port_of(environment)
        if rank == 0:
            _refuse_taken(address, meeting)
        place = [
            f"--num_machines={nodes}",
            f"--machine_rank={rank}",
            f"--main_process_ip={address}",
            f"--main_process_port={meeting}",
            "--deepspeed_multinode_launcher=standard",
        ]
    at = command.index("--module")  # of options said twice, the later one counts
    start = ["-m", "r1_launch.agent"]
    return [command[0], *start, *command[3:at], *place, *command[at:]]


def port_of(environment: Mapping[str, str]) -> int:
    """A port that every node of the job works out alike, and another after a restart.

    Below the range that kernels give to whoever asks for any port (from 32768).
    """
    job = int(environment.get("SLURM_JOB_ID", 0))
    return 20000 + (job + 6007 * int(environment.get("SLURM_RESTART_COUNT") or 0)) % 12768


def _refuse_taken(address: str, port: int) -> None:
    """Raise UsageError where another process listens: the ranks would wait for one another."""
    try:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("", port))
    except OSError as error:
        raise UsageError(
            f"port {port} of {address}, where the ranks meet, cannot be had ({error.strerror}); "
            "set launch.args.port to a free one"
        ) from error
