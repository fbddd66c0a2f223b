"""Which texts share n words in a row with a benchmark, at a few microseconds per text.

Every window of n words of a batch is hashed with numpy, and nearly all of them end there: a window
whose hash no benchmark has is shared with none. The few others are compared word by word, so that
the answer never depends on a hash. A hash sees of a word its length and its first eight bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from r1cli.data.normalisation import Level

CHARACTERS = 2**17
"""Of text per batch: its arrays stay in a core's cache."""

BITS = 22
"""2**22 flags answer for nearly every window before a hash is looked up."""

_MIX = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: spreads a word's bytes to the upper half
_RADIX = 0x85EBCA6B


@dataclass(frozen=True)
class Overlap:
    """What a text shares with one benchmark item: the first n-gram, and how many there are."""

    item: int
    ngram: str
    count: int


class Index:
    """The n-grams of benchmark items, by the items' numbers."""

    def __init__(self, texts: Sequence[str], n: int, level: Level) -> None:
        import numpy as np

        self.n, self.level = n, level
        texts = self._prepared(texts)
        self._whole: dict[str, list[int]] = {}
        for number, text in enumerate(texts if level.whole else ()):
            if text and text.count(" ") < n - 1:
                self._whole.setdefault(text, []).append(number)
        self._text, starts, ends, hashes, rows = self._inside(texts, lambda hashes: slice(None))
        self._grams: dict[int, dict[bytes, dict[int, None]]] = {}  # those that were met
        order = np.argsort(hashes)
        self._starts, self._ends, self._hashes, self._items = (
            column[order] for column in (starts, ends, hashes, rows)
        )
        seen = np.zeros(2**BITS, dtype=bool)
        seen[hashes >> np.uint32(32 - BITS)] = True
        self._seen = np.packbits(seen, bitorder="little")  # small enough for a core's cache

    def find(self, texts: Sequence[str]) -> dict[int, list[Overlap]]:
        """For each text that shares an n-gram, by its place: one overlap per item shared with."""
        found: dict[int, dict[int, dict[bytes, None]]] = {}
        for first, chunk in _chunks(self._prepared(texts)):
            for row, gram, items in self._shared(chunk):
                overlaps = found.setdefault(first + row, {})
                for item in items:
                    overlaps.setdefault(item, {})[gram] = None
        return {
            row: [Overlap(item, _decoded(next(iter(g))), len(g)) for item, g in overlaps.items()]
            for row, overlaps in sorted(found.items())
        }

    def _shared(self, texts: Sequence[str]) -> Iterator[tuple[int, bytes, Iterable[int]]]:
        """(row, n-gram, items) of each window of a row that items have too."""
        text, *columns = self._inside(texts, self._known)
        for start, end, hashed, row in zip(*(c.tolist() for c in columns), strict=True):
            gram = _spaced(text[start:end])
            if items := self._with(hashed).get(gram):
                yield row, gram, items
        if self._whole:
            for row, whole in enumerate(texts):
                if whole in self._whole:
                    yield row, whole.encode(errors="surrogatepass"), self._whole[whole]

    def _with(self, hashed: int) -> dict[bytes, dict[int, None]]:
        """The n-grams of a hash, of which there is one but for a collision, and who has them."""
        import numpy as np

        if hashed not in self._grams:
            grams = self._grams[hashed] = {}
            place = self._hashes.searchsorted(np.uint32(hashed))
            while place < len(self._hashes) and self._hashes[place] == hashed:
                gram = _spaced(self._text[self._starts[place] : self._ends[place]])
                grams.setdefault(gram, {})[int(self._items[place])] = None
                place += 1
        return self._grams[hashed]

    def _prepared(self, texts: Sequence[str]) -> Sequence[str]:
        return texts if self.level.joined else [self.level.normalise(text) for text in texts]

    def _inside(
        self, texts: Sequence[str], select: Callable[[Any], Any]
    ) -> tuple[bytes, Any, Any, Any, Any]:
        """The texts joined, and of each window inside one of them: start, end, hash, text's number.

        Of all hashes `select` chooses the places that are wanted.
        """
        import numpy as np

        joined = " ".join(texts)
        normalise = self.level.normalise if self.level.joined else str
        if joined.isascii():
            text, lengths = normalise(joined).encode("ascii"), list(map(len, texts))
        else:  # blanks beyond ASCII are none to what looks at bytes
            encoded = [
                (one if one.isascii() else " ".join(one.split())).encode(errors="surrogatepass")
                for one in map(normalise, texts)
            ]
            text, lengths = b" ".join(encoded), list(map(len, encoded))
        starts, ends, hashes = _windows(text, self.n)
        wanted = select(hashes)
        starts, ends, hashes = starts[wanted], ends[wanted], hashes[wanted]
        stops = np.cumsum(lengths) + np.arange(len(lengths))
        rows = stops.searchsorted(starts, side="right")
        inside = ends <= stops[rows]
        return text, starts[inside], ends[inside], hashes[inside], rows[inside]

    def _known(self, hashes: Any) -> Any:
        """The places of the hashes that the benchmark has."""
        import numpy as np

        bits = (hashes >> np.uint32(32 - BITS)).astype(np.intp)
        flags = self._seen.take(bits >> 3) >> (bits & 7).astype(np.uint8) & np.uint8(1)
        places = np.flatnonzero(flags.view(bool))
        found = self._hashes.take(self._hashes.searchsorted(hashes[places]), mode="clip")
        return places[found == hashes[places]]


def _spaced(text: bytes) -> bytes:
    return b" ".join(text.split())


def _decoded(text: bytes) -> str:
    return text.decode(errors="surrogatepass")


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Consecutive texts of about CHARACTERS together, with the place of the first."""
    size = max(1, CHARACTERS * len(texts) // (sum(map(len, texts)) + 1))
    for first in range(0, len(texts), size):
        yield first, texts[first : first + size]


def _windows(text: bytes, n: int) -> tuple[Any, Any, Any]:
    """Where each window of n words starts and ends in `text`, and its 32-bit hash."""
    import numpy as np

    padded = b" " + text + b" " * 8
    codes = np.frombuffer(padded, dtype=np.uint8, count=len(text) + 2)
    word = codes > 32
    if codes.min() < 32:  # to str.split() these are blanks but for 0 to 8 and 14 to 27
        word |= (codes < 9) | (codes - np.uint8(14) < 14)
    edges = np.flatnonzero(word[1:] != word[:-1])
    starts, ends = edges[0::2], edges[1::2]
    lengths = ends - starts
    eights = np.ndarray(len(text) + 1, "<u8", buffer=padded, offset=1, strides=(1,))
    words = (eights[starts] & _masks().take(lengths, mode="clip")) + lengths.view(np.uint64)
    words *= np.uint64(_MIX)
    hashes = _rolled((words >> np.uint64(32)).astype(np.uint32), n)
    return starts[: len(hashes)], ends[n - 1 :], hashes


def _rolled(words: Any, n: int) -> Any:
    """The polynomial of each n words in a row, put together from those of 1, 2, 4 ... words."""
    import numpy as np

    rolled, width = words[:0], 0
    block, size, power = words, 1, _RADIX  # `power` is the radix to the `size`
    while n:
        if n & 1:
            after = block[width:]
            rolled = rolled[: len(after)] * np.uint32(power) + after if width else block
            width += size
        n >>= 1
        if n:
            block = block[:-size] * np.uint32(power) + block[size:]
            size, power = 2 * size, power * power % 2**32
    return rolled


@functools.cache
def _masks() -> Any:
    """What leaves 0 to 8 of eight bytes."""
    import numpy as np

    return np.array([(1 << 8 * size) - 1 for size in range(9)], dtype=np.uint64)
