"""A file of rows to the hub as a dataset, and its card."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from r1cli import source
from r1cli.data.row_writer import RowWriter
from r1cli.publishing.pieces import Piece
from r1cli.publishing.push import push_piece


def push_rows(
    rows: Iterable[Mapping[str, Any]],
    repo: str,
    *,
    split: str,
    private: bool,
    about: str,
    types: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Push rows as one split of a dataset, in one Parquet file; other splits there stay.

    What was that split before goes, in however many files it was; the card is written anew, but
    somebody's own stays.
    `types` are for `RowWriter`. Raises UsageError and ProviderError in one line.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{split}.parquet"
        with RowWriter(file, types) as writer:
            for row in rows:
                writer.write(row)
        files: dict[str, Path | bytes] = {
            f"data/{split}-00000-of-00001.parquet": file,
            "README.md": card(repo, about).encode(),
        }
        before = (f"data/{split}-*-of-*",)
        piece = Piece("rows", "dataset", repo, "main", files, replaces=before, keeps_card=True)
        return push_piece(piece, private=private)


def card(repo: str, about: str) -> str:
    """README.md; which file is which split their names say, as `datasets` reads them."""
    head = {"tags": ["r1"]}
    return f"---\n{source.dump(head)}---\n\n# {repo.rpartition('/')[2]}\n\n{about}\n"
