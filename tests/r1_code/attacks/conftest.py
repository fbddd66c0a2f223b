"""What is attacked: sandboxes of every level and user, and services of the host."""

import contextlib
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.r1_code.attacks.attacking import (
    Harness,
    opened,
)


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the attacks are written for Linux on x86_64")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="r1-attacks-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="session")
def targets(folder: Path) -> Iterator[dict[str, object]]:
    """Services of the host, on every kind of socket, that would take what is sent."""
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        unix.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        abstract.bind(f"\0r1-attacks-{os.getpid()}")
        yield {
            "port": tcp.getsockname()[1],
            "udp_port": udp.getsockname()[1],
            "unix": str(folder / "socket"),
            "abstract": f"r1-attacks-{os.getpid()}",
            "silent": [udp, unix, abstract],
        }


@pytest.fixture(scope="session", params=["root", "user"])
def user(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session", params=["namespaces", "landlock"])
def harness(request: pytest.FixtureRequest, user: str, folder: Path) -> Iterator[Harness]:
    yield from opened(request.param, user, folder)


@pytest.fixture(scope="session")
def unprotected(folder: Path) -> Iterator[Harness]:
    yield from opened("none", "user", folder)
