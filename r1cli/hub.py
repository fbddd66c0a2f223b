"""The model hub: whether it answers, asked once and briefly; its client's errors, in a line.

That client retries for minutes when there is no network; a run that needs something it
does not have locally should stop in seconds instead.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from urllib.parse import urlsplit

from r1cli.errors import ProviderError, one_line

SECONDS = 3.0
TOKEN = re.compile(r"hf_\w{20,}")


def ensure_reachable(what: str, instead: str) -> None:
    """Raise ProviderError unless the hub can be connected to.

    `what` is needed from it ("dataset openai/gsm8k"); `instead` says what works without it.
    """
    if problem := unreachable():
        raise ProviderError(f"{what} is not on this machine and {problem}; {instead}")


def unreachable(*, anew: bool = False) -> str:
    """Why the hub cannot be connected to, empty where it can.

    The first answer of a process stands, unless it is asked for `anew`: after hours of training.
    """
    if anew:
        _problem.cache_clear()
    return _problem(endpoint())


def endpoint() -> str:
    """The hub's address."""
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def hub_line(error: BaseException) -> str:
    """What the hub's client says in one line, without a token that it may have put into it."""
    from huggingface_hub import get_token

    said = str(error) or type(error).__name__
    for token in filter(None, (get_token(), os.environ.get("HF_TOKEN"))):
        said = said.replace(token, "***")
    return one_line(TOKEN.sub("hf_***", said))


@functools.lru_cache
def _problem(endpoint: str) -> str:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        return f"HF_ENDPOINT={endpoint} is no address ({error})"
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return ""  # behind a proxy a direct connection says nothing
    try:
        socket.create_connection((parts.hostname or "", port), timeout=SECONDS).close()
    except OSError as error:
        return f"the hub {parts.hostname} cannot be reached ({error})"
    return ""
