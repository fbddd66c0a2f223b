"""A model by name: whether it can be had here, and what identifies its weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from r1cli.errors import UsageError
from r1cli.hub import ensure_reachable

SAMPLE = 2**20
"""Bytes read at each end of a weights file: an optimizer step changes them all."""


def ensure_model(name: str, revision: str | None = None, where: str = "--model") -> None:
    """Raise unless `name` is a model directory, in the hub's local cache, or to be fetched.

    Knows in seconds what the hub's own client finds out after minutes of retrying.
    """
    if (Path(name) / "config.json").is_file() or _cached_config(name, revision):
        return
    if Path(name).is_dir():
        raise UsageError(f"{name}, given at {where}, holds no model: there is no config.json in it")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UsageError(f"model {name!r}, given at {where}, is no directory and no hub id")
    ensure_reachable(f"model {name} ({where})", "give a local directory, or model r1_tiny")


def model_key(name: str, revision: str | None = None) -> str:
    """What identifies the weights behind a name: of a directory their content, else id and commit.

    Samples drawn from a model are kept under this key: a policy trained anew at the same path is
    another model.
    """
    digest = hashlib.sha256()
    folder = Path(name)
    if folder.is_dir():
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
            digest.update(f"{path.name} {path.stat().st_size} ".encode())
            with path.open("rb") as file:
                digest.update(file.read(SAMPLE))
                file.seek(-min(SAMPLE, path.stat().st_size), 2)
                digest.update(file.read())
    else:
        config = _cached_config(name, revision)
        commit = Path(config).parent.name if config else revision
        digest.update(f"{name} {commit}".encode())
    return digest.hexdigest()[:10]


def _cached_config(name: str, revision: str | None) -> str | None:
    """The path of the model's config.json in the hub's local cache."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:
        return None
    return found if isinstance(found, str) else None
