"""A model by name: whether it can be had here, what identifies its weights, how it is loaded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from r1cli.adapters import ADAPTER_CONFIG, StoredAdapter, model_file, stored_adapter
from r1cli.errors import UsageError, one_line
from r1cli.extras import require
from r1cli.hub import ensure_reachable

SAMPLE = 2**20

DECIDES = (
    *("*.safetensors", "*.bin", "config.json", "generation_config.json"),
    *("tokenizer*", "*.jinja", "vocab.*", "merges.txt", "special_tokens_map.json"),
)
"""The files of a model's folder that what it samples depends on."""
"""Bytes read at each end of a weights file: an optimizer step changes them all."""


def ensure_model(name: str, revision: str | None = None, where: str = "--model") -> None:
    """Raise unless `name` is a model directory, in the hub's local cache, or to be fetched.

    An adapter is a model where its base is one. Knows in seconds what the hub's own client finds
    out after minutes of retrying.
    """
    adapter = stored_adapter(name, revision)
    if adapter:
        ensure_model(adapter.base, adapter.base_revision, f"{adapter.path}, {where}")
        return
    if model_file(name, "config.json", revision):
        return
    if Path(name).is_dir():
        raise UsageError(f"{name}, given at {where}, holds no model: there is no config.json in it")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UsageError(f"model {name!r}, given at {where}, is no directory and no hub id")
    ensure_reachable(f"model {name} ({where})", "give a local directory, or model r1_tiny")


def model_key(name: str, revision: str | None = None) -> str:
    """What identifies the model behind a name: of a directory its content, else id and commit.

    Of an adapter the base's as well. Samples drawn from a model are kept under this key: a policy
    trained anew at the same path is another model, and so is one with another chat template.
    """
    digest = hashlib.sha256()
    folder = Path(name)
    if folder.is_dir():
        found = {path for name in DECIDES for path in folder.glob(name)}
        for path in sorted(filter(Path.is_file, found)):
            digest.update(f"{path.name} {path.stat().st_size} ".encode())
            with path.open("rb") as file:
                digest.update(file.read(SAMPLE))
                file.seek(-min(SAMPLE, path.stat().st_size), 2)
                digest.update(file.read())
    else:
        cached = model_file(name, "config.json", revision) or model_file(
            name, ADAPTER_CONFIG, revision
        )
        digest.update(f"{name} {cached.parent.name if cached else revision}".encode())
    if adapter := stored_adapter(name, revision):
        digest.update(adapter.path.read_bytes())
        if adapter.edited_config:
            digest.update(adapter.edited_config.read_bytes())
        digest.update(model_key(adapter.base, adapter.base_revision).encode())
    return digest.hexdigest()[:10]


def load_model(
    name: str,
    revision: str | None = None,
    *,
    where: str = "--model",
    config: Any = None,
    trainable: bool = False,
    **options: Any,
) -> Any:
    """The causal language model behind a name; an adapter comes as peft's model on its base.

    `config` stands in for the model's own; `options` are `from_pretrained`'s. Raises UsageError.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    adapter = find_adapter(name, revision, where)
    config = config or load_config(name, revision, where=where)
    if adapter:
        base, revision = adapter.base, adapter.base_revision
    else:  # peft notes where the base is: by a path that holds from any directory
        base = str(Path(name).resolve()) if Path(name).is_dir() else name
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base, revision=revision, config=config, **options
        )
        if adapter is None:
            return model
        if not torch.cuda.is_available():
            # peft imports DeepSpeed where it is installed, which tells stdout of its search.
            os.environ.setdefault("DS_ACCELERATOR", "cpu")
        from peft import PeftModel

        policy = PeftModel.from_pretrained(model, str(adapter.path.parent), is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _unloadable(name, where, error) from error
    policy.active_peft_config.base_model_name_or_path = base  # found, where it was relative
    return policy


def load_config(name: str, revision: str | None = None, *, where: str = "--model") -> Any:
    """The config that the model behind a name is built from, with the edits of an adapter's run."""
    from transformers import AutoConfig

    adapter = find_adapter(name, revision, where)
    if adapter:
        name, revision = adapter.base, adapter.base_revision
        if adapter.edited_config:
            name = str(adapter.path.parent)
    try:
        return AutoConfig.from_pretrained(name, revision=revision)
    except (OSError, ValueError) as error:
        raise _unloadable(name, where, error) from error


def load_tokenizer(name: str, revision: str | None = None, *, where: str = "--model") -> Any:
    """The tokenizer, padded on the left; an adapter's base's where the adapter has none."""
    from transformers import AutoTokenizer

    adapter = find_adapter(name, revision, where)
    if adapter and not (adapter.path.parent / "tokenizer_config.json").is_file():
        name, revision = adapter.base, adapter.base_revision
    try:
        return AutoTokenizer.from_pretrained(name, revision=revision, padding_side="left")
    except (OSError, ValueError) as error:
        raise _unloadable(name, where, error) from error


def find_adapter(name: str, revision: str | None, where: str) -> StoredAdapter | None:
    """As `stored_adapter`, for a model about to be loaded: the hub is asked where it must be.

    Fetches all of an adapter and nothing of a plain model. Raises MissingExtra without peft.
    """
    ensure_model(name, revision, where)
    here = Path(name).is_dir() or model_file(name, "config.json", revision)
    if not here and not stored_adapter(name, revision):
        from huggingface_hub import file_exists, snapshot_download
        from huggingface_hub.errors import HTTPError

        patterns = ["adapter_*", "tokenizer*", "*.jinja", "special_tokens*"]
        try:
            if file_exists(name, ADAPTER_CONFIG, revision=revision):
                snapshot_download(name, revision=revision, allow_patterns=patterns)
        except (HTTPError, OSError) as error:
            raise _unloadable(name, where, error) from error
    adapter = stored_adapter(name, revision)
    if adapter:
        require("train", "peft")
    return adapter


def _unloadable(name: str, where: str, error: Exception) -> UsageError:
    return UsageError(f"model {name!r} at {where} could not be loaded: {one_line(error)}")
