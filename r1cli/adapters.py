"""An adapter on disk: what it is, and the base model that it needs. No torch here.

The folder is the one that peft writes: adapter_config.json beside adapter_model.safetensors. Where
the base was edited for it (`model.edits`), config.json beside them is the base's, edited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1cli.errors import UsageError

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class StoredAdapter:
    """`settings` is adapter_config.json; `base` is a directory that exists, or a hub id."""

    path: Path
    settings: Mapping[str, Any]
    base: str

    @property
    def base_revision(self) -> str | None:
        revision = self.settings.get("revision")
        return None if Path(self.base).is_dir() else revision

    @property
    def edited_config(self) -> Path | None:
        """config.json of the base as the adapter was trained on it, where that differs."""
        path = self.path.parent / "config.json"
        return path if path.is_file() else None

    def __str__(self) -> str:
        made = "DoRA" if self.settings.get("use_dora") else self.settings.get("peft_type", "?")
        return f"{made} of rank {self.settings.get('r', '?')} on {self.base}"


def stored_adapter(name: str, revision: str | None = None) -> StoredAdapter | None:
    """The adapter behind a model's name, or None where that is a plain model or not here.

    `name` is a directory or a hub id, of which the local cache is asked. Raises UsageError for an
    adapter whose base cannot be found.
    """
    path = model_file(name, ADAPTER_CONFIG, revision)
    if path is None:
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        base = settings["base_model_name_or_path"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} is no adapter's config: {error!r}") from error
    return StoredAdapter(path, settings, _base(base, path))


def model_file(name: str, file: str, revision: str | None = None) -> Path | None:
    """One of a model's files: in its directory, else in the hub's local cache."""
    folder = Path(name)
    if folder.is_dir():
        return folder / file if (folder / file).is_file() else None
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _base(named: Any, path: Path) -> str:
    """The base as named, a relative directory looked for here and then beside the adapter."""
    if not isinstance(named, str) or not named:
        raise UsageError(
            f"{path} names no base model; write a directory or a hub id as base_model_name_or_path"
        )
    for folder in (Path(named), path.parent / named):
        if folder.is_dir():
            return str(folder.resolve())
    if named.count("/") == 1 and not named.startswith((".", "/", "~")):
        return named
    raise UsageError(
        f"the base model {named} of the adapter {path.parent} is not there; if it was moved, write "
        f"its new place as base_model_name_or_path in {path}"
    )
