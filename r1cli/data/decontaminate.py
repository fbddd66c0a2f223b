"""Rows that share n words in a row with a benchmark: found, said, flagged or left out.

With the level `open-r1` a row's flags are those of open-r1's `scripts/decontaminate.py`: lower-case
words between blanks, a row is contaminated where any of its n-grams stands in the benchmark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from r1cli.data.ngrams import Index, Overlap
from r1cli.data.text import text_of, words_of
from r1cli.parallel import Workers, in_order

if TYPE_CHECKING:
    from r1cli.data.row_file import Row

BATCH = 512  # rows that go to a worker together; they stay in a core's cache until they leave
SHOWN = 3  # benchmark items that are named for one row


@dataclass(frozen=True)
class Item:
    """One problem of a benchmark."""

    benchmark: str
    number: int
    text: str


@dataclass(frozen=True)
class Hit:
    """A row and one benchmark that it overlaps with.

    The row's number counts from 1. `items` are the benchmark items with the most shared n-grams,
    `item_count` is how many share any.
    """

    row: int
    text: str
    benchmark: str
    items: list[dict[str, Any]]
    item_count: int


@dataclass
class Tally:
    """What a pass over the rows came to. `contaminated` counts rows per benchmark, 0 included."""

    contaminated: dict[str, int]
    rows: int = 0
    rows_hit: int = 0
    duplicates: int = 0
    kept: int = 0
    no_text: int = 0


def decontaminate(
    rows: Iterable[Row],
    items: Sequence[Item],
    index: Index,
    *,
    column: str,
    mode: Literal["flag", "remove"],
    dedup: bool = False,
    workers: Workers,
    tally: Tally,
    found: Callable[[Hit], None] = lambda hit: None,
) -> Iterator[Row]:
    """The rows to keep, in order; `tally` is counted up, `found` is told of every hit.

    `flag` keeps all rows and adds `contaminated_<benchmark>` to each, and `duplicate` with `dedup`;
    `remove` leaves out those where it would be true. Of texts that are equal, blanks and case
    aside, all but the first are duplicates, unless they say nothing; eight bytes of each text are
    held for that, and nothing else of any row.
    """
    seen: set[bytes] = set()
    batches = (_Batch(some, _texts(some, column)) for some in _some(rows))
    looked = in_order(
        _look, (index, dedup), batches, send=lambda batch: batch.texts, workers=workers
    )
    for (batch, texts), (overlaps, digests) in looked:
        first = tally.rows + 1
        tally.rows += len(batch)
        tally.no_text += texts.count("")
        hits = {
            place: _hits(first + place, texts[place], shared, items)
            for place, shared in overlaps.items()
        }
        for hit in chain.from_iterable(hits.values()):
            tally.contaminated[hit.benchmark] += 1
            found(hit)
        tally.rows_hit += len(hits)
        again = set()
        for place, digest in enumerate(digests):
            if texts[place].strip() and digest in seen:
                again.add(place)
            seen.add(digest)
        tally.duplicates += len(again)
        if mode == "remove":
            wanted = bytearray(b"\1") * len(batch)
            for place in again.union(hits):
                wanted[place] = 0
            kept = list(compress(batch, wanted))
        else:
            kept = batch
            for place, row in enumerate(batch):
                there = {hit.benchmark for hit in hits.get(place, ())}
                row.update({f"contaminated_{name}": name in there for name in tally.contaminated})
                if dedup:
                    row["duplicate"] = place in again
        tally.kept += len(kept)
        yield from kept


class _Batch(NamedTuple):
    rows: list[Row]
    texts: list[str]


def _some(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := list(islice(left, BATCH)):
        yield some


def _texts(rows: Iterable[Row], column: str) -> list[str]:
    values = [row.get(column) for row in rows]
    return [value if type(value) is str else text_of(value) for value in values]


def _look(
    shared: tuple[Index, bool], texts: Sequence[str]
) -> tuple[dict[int, list[Overlap]], list[bytes]]:
    """What the texts of a batch share, and a digest of each; runs in a worker."""
    index, dedup = shared
    digests = [_digest(words_of(text)) for text in texts] if dedup else []
    return index.find(texts), digests


def _digest(words: str) -> bytes:
    return hashlib.blake2b(words.encode(errors="surrogatepass"), digest_size=8).digest()


def _hits(row: int, text: str, overlaps: Iterable[Overlap], items: Sequence[Item]) -> list[Hit]:
    by_benchmark: dict[str, list[Overlap]] = {}
    for overlap in overlaps:
        by_benchmark.setdefault(items[overlap.item].benchmark, []).append(overlap)
    hits = []
    for benchmark, several in by_benchmark.items():
        several.sort(key=lambda overlap: -overlap.count)
        best = [
            {
                "item": items[overlap.item].number,
                "text": items[overlap.item].text,
                "ngram": overlap.ngram,
                "shared": overlap.count,
            }
            for overlap in several[:SHOWN]
        ]
        hits.append(Hit(row, text, benchmark, best, len(several)))
    return hits
