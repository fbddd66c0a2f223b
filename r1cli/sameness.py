"""Whether two runs of one recipe came to the same, bit for bit: weights, metrics, rollouts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1cli.errors import UsageError
from r1cli.files import read_rows

OF_THE_PROCESS = re.compile("time|second|/known$")
"""Metrics that no two runs share: times, and what rewards remembered of samples seen before."""


@dataclass(frozen=True)
class Compared:
    """`first` is the name of the first of `count` things that differs, "" where all are equal."""

    what: str
    count: int
    differing: int
    first: str


def compare(one: Path, other: Path) -> list[Compared]:
    """Two finished run directories; raises UsageError where one has no safetensors."""
    return [
        _compared("tensors", _tensors(one), _tensors(other)),
        _compared("metric rows", _metrics(one), _metrics(other)),
        _compared("rollout files", _rollouts(one), _rollouts(other)),
    ]


def _compared(what: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Compared:
    names = list(dict.fromkeys([*one, *other]))
    differing = [name for name in names if one.get(name) != other.get(name)]
    return Compared(what, len(names), len(differing), differing[0] if differing else "")


def _tensors(run: Path) -> dict[str, tuple[Any, ...]]:
    """Type, shape and a hash of the bytes of every tensor of the final policy."""
    files = sorted((run / "model").glob("*.safetensors"))
    if not files:
        raise UsageError(f"{run / 'model'} holds no safetensors to compare")
    return {name: tensor for path in files for name, tensor in _read(path)}


def _read(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The format: 8 bytes of length, a JSON header, the data (huggingface.co/docs/safetensors)."""
    with path.open("rb") as file:
        start = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start))
        for name, tensor in sorted(header.items()):
            if name != "__metadata__":
                begin, end = tensor["data_offsets"]
                file.seek(8 + start + begin)
                digest = hashlib.sha256(file.read(end - begin)).hexdigest()
                yield name, (tensor["dtype"], tensor["shape"], digest)


def _metrics(run: Path) -> dict[str, str]:
    """Every row as text, NaN being equal to itself there."""
    rows = {}
    for number, row in enumerate(read_rows(run / "metrics.jsonl"), 1):
        kept = {key: value for key, value in row.items() if not OF_THE_PROCESS.search(key)}
        rows[f"row {number} (step {row.get('step', '?')})"] = json.dumps(kept, sort_keys=True)
    return rows


def _rollouts(run: Path) -> dict[str, str]:
    files = sorted((run / "rollouts").glob("*.parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
