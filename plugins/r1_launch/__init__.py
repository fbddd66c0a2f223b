"""Launchers: where a run starts."""

from r1cli import hookimpl


@hookimpl
def register_launchers(register):
    register("local", "r1_launch.local:local", help="this machine, one process or several")
