"""A connection to a Ray cluster: the one that is named, that is there, or that is started."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from r1cli import ProviderError, UsageError, require


@contextmanager
def connected(address: str, room: Mapping[str, float], what: str) -> Iterator[None]:
    """Connected to a cluster where some node has `room` for `what`; `room` maps CPU and GPU.

    Raises ProviderError where no cluster answers, UsageError where no node has room.
    """
    require("ray", "ray")
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours tells nobody
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        _knock(address)
        ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ProviderError(f"no Ray cluster at {address or 'this machine'}: {reason}") from error
    try:
        if slots(room) == 0:
            has = "; ".join(
                f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in alive()
            )
            raise UsageError(
                f"no node of the cluster has room for a {what} of {room['CPU']:g} CPUs and "
                f"{room['GPU']:g} GPUs; its nodes have {has}"
            )
        yield
    finally:
        ray.shutdown()


def slots(room: Mapping[str, float]) -> int:
    """How many of that size the nodes hold side by side; 0 where one would wait forever."""
    asked = {name: size for name, size in room.items() if size}
    return sum(
        min((int(node.get(name, 0) / size) for name, size in asked.items()), default=1)
        for node in alive()
    )


def alive() -> list[dict[str, float]]:
    """The resources of each node; Ray goes on listing the dead ones."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _knock(address: str) -> None:
    """Raise OSError where nobody answers: Ray itself goes on trying for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
