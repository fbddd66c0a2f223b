"""Addresses of servers: checked, shown, and reached past a proxy where they are of this machine."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from r1cli.errors import UsageError


def direct() -> dict[str, None]:
    """`mounts` of an httpx client: no proxy leads to this machine, whatever is so for others."""
    return {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}


def http_address(url: str, what: str) -> str:
    """The address without a slash at its end; UsageError naming `what` where it is none."""
    try:
        sound = bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:  # an IPv6 address without its end, a port that cannot be
        sound = False
    if not sound or not re.fullmatch(r"https?://[^/\s][^\s?#]*", url):
        raise UsageError(
            f"{what}: url = {shown(url)!r} is no address; write http://127.0.0.1:8000/v1, say"
        )
    return url.rstrip("/")


def shown(url: str) -> str:
    """An address without the name and password that it may hold."""
    return re.sub(r"//[^/@]*@", "//***@", url)
