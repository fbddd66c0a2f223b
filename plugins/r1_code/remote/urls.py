"""Where servers are: from an argument, else from an environment variable."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from r1cli import ProviderError, UsageError


def given_urls(provider: str, given: str | list[str], variable: str) -> list[str]:
    """The endpoints without a slash at their ends. Raises where there are none or one is no URL."""
    said = given or os.environ.get(variable, "")
    urls = said.split(",") if isinstance(said, str) else said
    urls = list(dict.fromkeys(url.strip().rstrip("/") for url in urls if url.strip()))
    if not urls:
        raise ProviderError(
            f"code provider {provider!r} needs a server: give argument 'endpoints' or set "
            f"{variable}, as in {variable}=http://127.0.0.1:2000"
        )
    for url in urls:
        parts = urlsplit(url)
        if url != "slurm" and (parts.scheme not in ("http", "https") or not parts.netloc):
            where = "argument 'endpoints'" if given else variable
            raise UsageError(
                f"code provider {provider!r}: {url!r} in {where} is no URL like http://host:port"
            )
    return urls


def share(urls: list[str]) -> list[str]:
    """What this process asks: every rank its own where there are enough for all, else all."""
    rank, world = (int(os.environ.get(name) or 0) for name in ("RANK", "WORLD_SIZE"))
    return urls[rank::world] if 1 < world <= len(urls) else urls
