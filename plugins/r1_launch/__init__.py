"""Launchers: where a run starts."""

from r1cli import hookimpl


@hookimpl
def register_launchers(register):
    register("local", "r1_launch.local:local", help="this machine, one process or several")
    register("slurm", "r1_launch.slurm:slurm", help="a SLURM cluster, one node or several")
    register("ray", "r1_launch.ray:ray", help="a Ray cluster, commands with shards")
