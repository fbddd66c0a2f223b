"""An adapter merged into its base: a plain model that every engine loads."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from r1cli.adapters import StoredAdapter
from r1cli.errors import UsageError
from r1cli.files import disk_errors
from r1cli.models import find_adapter, load_model, load_tokenizer
from r1cli.publishing.card import merged_card

log = logging.getLogger(__name__)


def merge(name: str, revision: str | None, out: Path, *, dtype: str = "auto") -> StoredAdapter:
    """Write the sum of base and adapter to `out`, with tokenizer and card; whole or not at all.

    `dtype` `auto` is that of the base's weights. A base that was quantised for training is merged
    in its own precision. Raises UsageError where there is no adapter, or `out` exists.
    """
    adapter = find_adapter(name, revision, "the command line")
    if adapter is None:
        raise UsageError(f"{name} holds no adapter, so there is nothing to merge")
    if out.exists():
        raise UsageError(f"{out} exists; give another --out, or remove it")
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    tokenizer = load_tokenizer(name, revision)
    log.info("merging %s", adapter)
    # Refuses what is not a number: float16 overflows where an adapter has grown large.
    model = load_model(name, revision, dtype=dtype).merge_and_unload(safe_merge=True)
    if tokenizer.eos_token_id is not None:
        ends = model.generation_config.eos_token_id
        if not isinstance(ends, list) or tokenizer.eos_token_id not in ends:
            model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    beside = out.with_name(f".{out.name}.partial")
    with disk_errors(out):
        if beside.exists():
            shutil.rmtree(beside)
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        (beside / "README.md").write_text(merged_card(adapter), encoding="utf-8")
        beside.rename(out)
    return adapter
