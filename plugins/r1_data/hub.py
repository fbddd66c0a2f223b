"""A dataset of the Hugging Face hub, or the same thing in a local folder."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1cli import ProviderError, R1Error, UsageError, causes, ensure_reachable, hub_line

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

INSTEAD = (
    "use a local copy: its folder as id, dataset file with its path, or --data FILE for a benchmark"
)
COMMIT = re.compile(r"[0-9a-f]{40}")


def hub(
    *,
    id: str,
    config: str | None = None,
    split: str = "train",
    revision: str | None = None,
    data_files: str | list[str] | None = None,
) -> Iterable[Mapping[str, Any]]:
    """Return one split of `id`, a hub name or a local folder, as a `datasets.Dataset`.

    `config`, `split` (also `train[:100]`), `revision` and `data_files` mean what they mean to
    `datasets.load_dataset`; a folder written by `save_to_disk` is read too. Without a network the
    copy that `datasets` cached earlier is used, or ProviderError says at once that there is none.
    Raises UsageError for a folder, config or split that does not exist, ProviderError for what
    the hub does not have or does not give out.
    """
    given = {"name": config, "split": split, "data_files": data_files}
    folder = Path(id).expanduser()
    if folder.is_dir():
        return _load(str(folder), given)
    if folder.is_file():
        raise UsageError(f"{id!r} is a file: use dataset file with path: {id}")
    if id.startswith((".", "/", "~")) or id.count("/") > 1:
        raise UsageError(f"no folder {id!r} (looked for {folder.absolute()})")
    try:
        ensure_reachable(f"dataset {id}", INSTEAD)
    except ProviderError as unreachable:
        return _cached(id, given, revision, unreachable)
    return _load(id, {**given, "revision": revision})


def _load(path: str, given: dict[str, Any]) -> Dataset:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    # The hub client's own name for its HTTP library's errors: the library changes (httpx, httpx2).
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

    try:
        if any((Path(path) / name).exists() for name in ("state.json", "dataset_dict.json")):
            return _saved(path, given["split"])
        return load_dataset(path, **given)
    except R1Error:
        raise
    except DatasetNotFoundError as error:
        raise ProviderError(
            f"{hub_line(error)} Check the id and revision; for a gated dataset accept its terms on "
            "the hub and log in with: hf auth login"
        ) from error
    except Exception as error:  # a reader for each file type, each with errors of its own
        chain = causes(error)
        # `datasets` reports a hub that fails as a local folder that is not there.
        if isinstance(error, HTTPError) or any(
            isinstance(one, (ConnectionError, LocalEntryNotFoundError)) for one in chain
        ):
            raise ProviderError(
                f"the hub failed for dataset {path}: {hub_line(chain[-1])}; try again later, or "
                + INSTEAD
            ) from error
        cause = error.__cause__ or error
        raise UsageError(f"dataset {path!r} cannot be loaded: {hub_line(cause)}") from error


def _saved(path: str, split: str) -> Dataset:
    """What `save_to_disk` wrote: one split without a name, or several."""
    from datasets import DatasetDict, load_from_disk

    saved = load_from_disk(path)
    if not isinstance(saved, DatasetDict):
        return saved
    if split not in saved:
        raise UsageError(f"dataset {path!r} has no split {split!r}; it has {', '.join(saved)}")
    return saved[split]


def _cached(
    id: str, given: dict[str, Any], revision: str | None, unreachable: ProviderError
) -> Dataset:
    """The copy in `datasets`' own cache, which knows commits but neither branches nor tags."""
    with _offline():
        try:
            rows = _load(id, given)
        except ProviderError:
            raise unreachable from None
    commit = Path(rows.cache_files[0]["filename"]).parent.name
    if revision and COMMIT.fullmatch(revision) and revision != commit:
        raise unreachable
    log.warning("the hub was not asked for %s: using the cached copy of commit %s", id, commit)
    return rows


@contextmanager
def _offline() -> Iterator[None]:
    """`datasets` reads this flag at every load; its environment variable only when imported."""
    from datasets import config

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before
