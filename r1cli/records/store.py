"""The store: attempts and what was said of them, found by what they were asked.

    store.json     the version of the format
    attempts/      one JSONL shard per writer: prompt, text, who sampled it and how
    rewards/       the same for judgements: which attempt, which reward, what came of it

Nothing is ever changed in place. An attempt is sampled once and may be judged many times, so a
judgement is a row of its own. Several processes may write at a time, each to its own shard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from r1cli.errors import UsageError
from r1cli.files import disk_errors
from r1cli.held_files import beside
from r1cli.records.attempt import Attempt, Judgement, text_hash
from r1cli.records.shards import Row, Shards

VERSION = 1
MARK = "store.json"

KEY_START = 4

NEAR = 4096
"""Keys whose samples an engine may have under way, and so in turns in a file, at a time."""

DEFAULT = Path("runs/records")
"""Beside the runs: attempts belong to the project that paid for them, and outlive any one run."""


class Store:
    """The attempts of a folder, which need not exist yet. A context manager; any thread may use it.

    What other processes append is seen after `refresh`.
    """

    def __init__(self, folder: Path = DEFAULT) -> None:
        """Raises UsageError for a store of a newer format, and for what is no store."""
        self.folder = folder
        _check(folder)
        self._attempts = Shards(folder / "attempts")
        self._rewards = Shards(folder / "rewards")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._attempts.close()
        self._rewards.close()

    def refresh(self) -> None:
        """See what others have appended since."""
        self._attempts.refresh()
        self._rewards.refresh()

    def __len__(self) -> int:
        """How many attempts there are; one that two processes stored at a time counts twice."""
        return len(self._attempts)

    # -- writing -----------------------------------------------------------------------------------

    def append(self, attempts: Iterable[Attempt]) -> None:
        """Add attempts, with the judgements they carry; each kind by a single write.

        Raises ProviderError on a full disk: what was appended before is kept, of these none is.
        """
        rows = list(attempts)
        self._mark()
        self._attempts.append(attempt.to_row() for attempt in rows)
        self.judge(judged for attempt in rows for judged in attempt.rewards)

    def judge(self, judgements: Iterable[Judgement]) -> None:
        """Add judgements of attempts that are, or will be, in the store."""
        self._mark()
        self._rewards.append(vars(judged) for judged in judgements)

    def _mark(self) -> None:
        mark = self.folder / MARK
        if not mark.exists():
            with disk_errors(mark):
                self.folder.mkdir(parents=True, exist_ok=True)
                with beside(mark) as here:  # many may begin a store at a time
                    (here / MARK).write_text(json.dumps({"version": VERSION}) + "\n")
                    (here / MARK).replace(mark)

    # -- reading -----------------------------------------------------------------------------------

    def find(self, key: str) -> list[Attempt]:
        """The attempts of a key by index, each index once, with their judgements."""
        firsts: dict[int, Row] = {}
        for row in self._attempts.find(key):
            firsts.setdefault(row["index"], row)
        judged = self._judgements(key) if firsts else {}
        return [Attempt.from_row(row, _of(row, judged)) for row in firsts.values()]

    def indices(self, key: str) -> list[int]:
        """Which samples of a key are there; reads no text."""
        return self._attempts.indices(key)

    def missing(self, key: str, wanted: Iterable[int]) -> list[int]:
        """Those of the wanted indices (`range(n)`) that are not there yet."""
        there = set(self.indices(key))
        return [index for index in wanted if index not in there]

    def scan(self, keep: Callable[[Row], bool] = lambda row: True) -> Iterator[Attempt]:
        """Every attempt, each address once, in the order of writing within a process.

        `keep` sees the stored row (`Attempt.to_row`) before the judgements are looked up.
        """
        judgements = lru_cache(NEAR)(self._judgements)  # each reads those of all samples of a key
        for row in self._attempts.scan(keep):
            yield Attempt.from_row(row, _of(row, judgements(row["key"])))

    def _judgements(self, key: str) -> dict[int, list[Judgement]]:
        """All of them by index, the latest last."""
        found: dict[int, list[Judgement]] = {}
        for row in self._rewards.find(key):
            judged = Judgement.from_row(row)
            found.setdefault(judged.index, []).append(judged)
        return found


def _of(row: Row, judged: dict[int, list[Judgement]]) -> tuple[Judgement, ...]:
    """The latest one of each reward and spec on an attempt, as far as its text was judged."""
    hashes = ("", text_hash(row["text"]))
    several = [one for one in judged.get(row["index"], ()) if one.text_hash in hashes]
    return tuple({(one.reward, one.spec): one for one in several}.values())


def matching(
    *, model: str = "", source: str = "", problem: str = "", before: float | None = None
) -> Callable[[Row], bool]:
    """A filter for `scan`: all that are given must hold.

    `model` is a name, or the start of a key from `KEY_START` digits on: a model may well be called
    "a". `before` is a time in seconds since 1970.
    """
    by_key = len(model) >= KEY_START

    def of_model(row: Row) -> bool:
        return row["model_name"] == model or (by_key and row["model"].startswith(model))

    def keep(row: Row) -> bool:
        return (
            (not model or of_model(row))
            and source in ("", row["source"])
            and row["problem"].startswith(problem)
            and (before is None or row["created"] < before)
        )

    return keep


def _check(folder: Path) -> None:
    mark = folder / MARK
    try:
        version = json.loads(mark.read_text(encoding="utf-8"))["version"]
    except FileNotFoundError:
        strange = _strange(folder)
        if strange:
            raise UsageError(
                f"{folder} holds {strange} and is no attempt store; choose another --records"
            ) from None
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{mark} is not the mark of an attempt store: {error}") from error
    if not isinstance(version, int) or version > VERSION:
        raise UsageError(
            f"{folder} was written by a newer r1 (format {version}, this one reads {VERSION}); "
            "upgrade r1cli, or choose another --records"
        )


def _strange(folder: Path) -> Any:
    """The name of something in a folder that is no part of a store."""
    if folder.is_file():
        return "text"
    names: Sequence[str] = sorted(path.name for path in folder.glob("*"))
    # The mark may be written just now.
    ours = re.compile(rf"attempts|rewards|{re.escape(MARK)}|\.{re.escape(MARK)}\..*")
    return next((name for name in names if not ours.fullmatch(name)), None)
