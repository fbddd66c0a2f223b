"""A batch as one reward sees it: what is judged together, what only once, what is known already."""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from r1cli.scoring.judge import Sample
from r1cli.scoring.reward import BoundReward
from r1cli.types import Completion, Prompt

KNOWN = 65_536  # results that are remembered, about 15 MB


@dataclass
class Unit:
    """Samples that must be judged in one call: a single one, or a group.

    `rows[k]` are the rows of the batch that sample k stands for; `pickles` is empty where a sample
    cannot be sent anywhere; `key` identifies the content of a single sample.
    """

    samples: list[Sample]
    rows: list[list[int]]
    home: int
    pickles: list[bytes]
    key: bytes | None = None


class Known:
    """Bounded memory of results by content, the least recently used going first."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[int, bytes], float | None] = OrderedDict()
        self._lock = Lock()

    def get(self, reward: int, key: bytes) -> tuple[float | None] | None:
        """The value in a tuple, for None is one; None where nothing is known."""
        with self._lock:
            if (reward, key) not in self._values:
                return None
            self._values.move_to_end((reward, key))
            return (self._values[reward, key],)

    def put(self, reward: int, key: bytes, value: float | None) -> None:
        with self._lock:
            self._values[reward, key] = value
            if len(self._values) > KNOWN:
                self._values.popitem(last=False)


def homes(prompts: Sequence[Prompt]) -> list[int]:
    """A number per prompt, equal for equal ones."""
    seen: dict[int, int] = {}  # by identity: a group shares one list, and hashing it takes time
    for prompt in prompts:
        if id(prompt) not in seen:
            seen[id(prompt)] = hash(repr(prompt))
    return [seen[id(prompt)] for prompt in prompts]


def units(
    reward: BoundReward,
    rows: Sequence[int],
    completions: Sequence[Completion],
    prompts: Sequence[Prompt],
    columns: Mapping[str, Sequence[Any]],
    home: Sequence[int],
) -> list[Unit]:
    """The units of the batch's `rows`. Equal samples become one where each is judged alone."""
    data = reward.data(prompts, columns)
    found: dict[Any, Unit] = {}
    alone = reward.per_sample
    for row in rows:
        sample = completions[row], {name: values[row] for name, values in data.items()}
        pickled = _pickled(sample)
        key = hashlib.blake2b(pickled, digest_size=16).digest() if alone and pickled else None
        place: Any = (key or row) if alone else ("group", home[row])
        unit = found.get(place)
        if unit is None:
            found[place] = Unit([sample], [[row]], home[row], [pickled] if pickled else [], key)
        elif alone:
            unit.rows[0].append(row)
        else:
            unit.samples.append(sample)
            unit.rows.append([row])
            unit.pickles += [pickled] if pickled else []
    return list(found.values())


def _pickled(sample: Sample) -> bytes | None:
    try:
        return pickle.dumps(sample, pickle.HIGHEST_PROTOCOL)
    except Exception:
        return None


def chunks(found: Sequence[Unit], size: int) -> list[list[Unit]]:
    """Units in calls of about `size` samples, those of one problem next to each other."""
    calls: list[list[Unit]] = []
    room = 0
    for unit in sorted(found, key=lambda unit: unit.home):
        if room < len(unit.samples) and (room <= 0 or len(unit.samples) > 1):
            calls.append([])
            room = size
        calls[-1].append(unit)
        room -= len(unit.samples)
    return calls
