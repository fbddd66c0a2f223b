"""A model's config.json: from a directory, a registered source that is built, or the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1cli.adapters import stored_adapter
from r1cli.errors import ProviderError, R1Error, UsageError, one_line
from r1cli.extras import require
from r1cli.home import cache_folder
from r1cli.models import ensure_model
from r1cli.recipe import Recipe

if TYPE_CHECKING:
    from r1cli.plugins import Plugins


def config_of(recipe: Recipe, plugins: Plugins) -> Mapping[str, Any]:
    """The config of the recipe's model with the recipe's edits; no weights are fetched."""
    name, where = recipe.model.name, recipe.where("model", "name")
    if name in plugins["models"]:
        config = _read(_built(name, where))
    else:
        config = model_config(name, recipe.model.revision, where)
    edits = recipe.model.edits
    positions = edits.max_position_embeddings if edits else None
    return {**config, "max_position_embeddings": positions} if positions else config


def model_config(name: str, revision: str | None, where: str) -> Mapping[str, Any]:
    """The config of the model in a directory or on the hub; of an adapter, that of its base."""
    if adapter := stored_adapter(name, revision):
        if adapter.edited_config:
            return _read(adapter.edited_config)
        name, revision = adapter.base, adapter.base_revision
    if (Path(name) / "config.json").is_file():
        return _read(Path(name) / "config.json")
    try:
        ensure_model(name, revision, where)
    except ProviderError as error:
        raise ProviderError(
            f"config.json of {error}, or a folder that holds nothing but the model's config.json: "
            "--set model.name=FOLDER"
        ) from error
    require("train", "huggingface_hub")
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(name, "config.json", revision=revision)
    except Exception as error:  # the hub's client raises many kinds
        line = one_line(error)
        raise ProviderError(
            f"config.json of model {name!r} at {where} could not be fetched ({line}); a folder "
            "that holds the model's config.json would work: --set model.name=FOLDER"
        ) from error
    return _read(Path(path))


def _built(name: str, where: str) -> Path:
    """The newest config of a registered source's model. Building one may mean to train it."""
    folder = cache_folder("models")
    # A source keeps its models in `<name>-<key>` or, where a recipe made it, deeper in such a one.
    stem = name.replace("_", "[-_]")
    found = [path for end in ("", "/model") for path in folder.glob(f"{stem}*{end}/config.json")]
    if not found:
        raise UsageError(
            f"model {name!r} at {where} comes from a plugin and has not been built here; r1 train "
            "builds it at first use, or give a model folder: --set model.name=FOLDER"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise R1Error(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise R1Error(f"{path} holds no model config")
    return data
