"""SLURM: a job is written as a batch script into the run directory, submitted, and left alone."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from r1_launch import node, queue
from r1_launch.jobs import Jobs
from r1_launch.records import job_of_run, read_job
from r1_launch.script import render
from r1_launch.site import Site, load_site, seconds
from r1cli import Job, UsageError, ui, write_atomic

NOTICE = 300
"""Seconds before the limit at which slurm/train*.slurm ask for the signal."""


def slurm(
    *,
    nodes: int = 1,
    gpus_per_node: int | None = None,
    cpus_per_task: int | None = None,
    partition: str | None = None,
    account: str | None = None,
    qos: str | None = None,
    constraint: str | None = None,
    time: str | int | None = None,
    memory: str | int | None = None,
    after: str | int | None = None,
    signal_seconds: int | None = None,
    serve: str = "",
    serve_nodes: int = 0,
    serve_port: int = 8000,
    port: int = 0,
    sbatch: list[str] = [],  # noqa: B006 - a recipe's default, never changed
) -> Slurm:
    """A launcher for a SLURM cluster; what is not said comes from the site file (site.py).

    `after` is a run directory or a job id that must end well first. `signal_seconds` before the
    limit the run saves and queues again. `serve` is a server's command for the first `serve_nodes`
    nodes, listening on `serve_port`. `port` is where ranks meet; 0 derives it from the job's id.
    """
    site = load_site().overridden(
        gpus_per_node=gpus_per_node,
        cpus_per_task=cpus_per_task,
        partition=partition,
        account=account,
        qos=qos,
        constraint=constraint,
        time=None if time is None else str(time),
        memory=None if memory is None else str(memory),
    )
    if (serve or serve_nodes) and not (serve and 0 < serve_nodes < nodes):
        raise UsageError(
            f"launch.args.serve and serve_nodes go together, and of {nodes} nodes at least one "
            f"must train; serve is {serve!r}, serve_nodes is {serve_nodes}"
        )
    exports = {"R1_SERVE": serve, "R1_SERVE_NODES": serve_nodes, "R1_SERVE_PORT": serve_port}
    return Slurm(
        site,
        nodes=nodes,
        training_nodes=nodes - serve_nodes,
        after=str(after or ""),
        signal_seconds=signal_seconds,
        exports={key: str(value) for key, value in exports.items()} if serve else {},
        port=port,
        flags=(*site.sbatch, *sbatch),
    )


@dataclass(frozen=True)
class Slurm:
    """`on_node`: this process runs in the job, on one of its nodes. `queue` is for `r1 jobs`."""

    site: Site
    nodes: int
    training_nodes: int
    after: str
    signal_seconds: int | None
    exports: Mapping[str, str]
    port: int
    flags: Sequence[str]
    on_node: bool = field(default_factory=node.on_node)
    queue: Jobs = field(default_factory=Jobs)

    @property
    def processes(self) -> int:
        """The ranks that these nodes hold: one per GPU, or one per node without any."""
        return self.training_nodes * (self.site.gpus_per_node or 1)

    def command(self, job: Job) -> list[str]:
        """The line that submits the job; nothing is written and nobody is asked."""
        self._check_ranks(job)
        path = job.directory / "job.slurm"
        return ["sbatch", "--parsable", str(path), *self._arguments(job)[1]]

    def script(self, job: Job) -> str:
        """The script that this line submits."""
        name, _ = self._arguments(job)
        exports = self.exports if job.argv[0] == "train" else {}
        return render(name, self._flags(job), self.site, job.directory.resolve(), exports)

    def submit(self, job: Job) -> int:
        """Submit the job, say its id and how to follow it; on one of its nodes, start the ranks."""
        if self.on_node:
            node.start(job, port=self.port)
        self.check(job)
        command = self.command(job)
        write_atomic(job.directory / "job.slurm", self.script(job))
        number = queue.ask(*command).strip().partition(";")[0]  # of several clusters: id;cluster
        log = self._output(job).replace("%j", number).replace("%A", number)
        record = {
            "id": number,
            "name": self._name(job),
            "nodes": self.nodes,
            "log": log,
            "command": shlex.join(command),
            "submitted": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        write_atomic(job.directory / "job.json", json.dumps(record, indent=2) + "\n")
        follow = shlex.join(["r1", "jobs", "logs", str(job.directory), "-f"])
        ui.show(number)
        ui.say(f"submitted as job {number}; to follow it: {follow}")
        return 0

    def check(self, job: Job) -> None:
        """Raise what `submit` would, before anything is written."""
        self._check_ranks(job)
        place, before = str(job.directory.resolve()), read_job(job.directory) or {}
        for known in queue.jobs():
            number = queue.job_of(known.id)
            # A process that was killed may have submitted it and written no job.json.
            if known.active and (known.directory == place or number == before.get("id")):
                raise UsageError(
                    f"{job.directory} is job {known.id} already ({known.state}); "
                    f"to end it: r1 jobs cancel {number}"
                )
        self._check_gpus()
        queue.ask("sbatch", "--test-only", given=self.script(job))

    def _arguments(self, job: Job) -> tuple[str, list[str]]:
        """The script for a job, and what of its command the script does not say itself."""
        name, *arguments = job.argv
        if name == "train" and self.nodes > 1:
            return "train-nodes", arguments
        if name == "data":  # of which pass-rate is what takes long
            name, *arguments = arguments
        return name, arguments

    def _name(self, job: Job) -> str:
        return f"r1-{job.directory.resolve().name}"

    def _output(self, job: Job) -> str:
        """The log, in sbatch's words; an array has one for each task."""
        name, _ = self._arguments(job)
        array = name == "pass-rate" or any(f.startswith("--array") for f in self.flags)
        return str(job.directory.resolve() / ("slurm-%A_%a.log" if array else "slurm-%j.log"))

    def _flags(self, job: Job) -> list[str]:
        """sbatch's flags: this job's, then the site's, then whatever else was asked for."""
        site = self.site
        notice = self.signal_seconds
        limit = seconds(site.time or "")
        if notice is None and limit is not None and limit < 4 * NOTICE:
            notice = limit // 4  # else a short job would be told to stop as soon as it starts
        said: dict[str, Any] = {
            "job-name": self._name(job),
            "comment": f"{queue.COMMENT}{job.directory.resolve()}",
            "output": self._output(job),
            "nodes": self.nodes,
            "partition": site.partition,
            "account": site.account,
            "qos": site.qos,
            "constraint": site.constraint,
            "time": site.time,
            "mem": site.memory,
            "gres": f"gpu:{site.gpus_per_node}" if site.gpus_per_node else None,
            "cpus-per-task": site.cpus_per_task,
            "dependency": f"afterok:{job_of_run(self.after)}" if self.after else None,
            "signal": f"B:USR1@{notice}" if notice is not None else None,
        }
        return [*(f"--{k}={v}" for k, v in said.items() if v is not None), *self.flags]

    def _check_ranks(self, job: Job) -> None:
        """Refuse ranks that the nodes could not share or hold."""
        if job.argv[0] != "train":
            return
        each, left = divmod(job.processes, self.training_nodes)
        if left:
            raise UsageError(
                f"launch.processes {job.processes} cannot be shared by {self.training_nodes} "
                f"training nodes; set it to a multiple of {self.training_nodes}"
            )
        gpus = self.site.gpus_per_node
        if gpus and each > gpus:
            raise UsageError(
                f"launch.processes {job.processes} is {each} ranks on each node, which has {gpus} "
                f"GPUs (gpus_per_node); use {-(-job.processes // gpus)} nodes"
            )

    def _check_gpus(self) -> None:
        """Refuse more GPUs than a node has, before SLURM does in fewer words."""
        wanted, partition = self.site.gpus_per_node, self.site.partition
        has = queue.gpus_of_a_node(partition) if wanted else None
        if wanted and has is not None and wanted > has:
            where = f"partition {partition!r}" if partition else "this cluster"
            raise UsageError(f"gpus_per_node is {wanted}; a node of {where} has {has} GPUs at most")
