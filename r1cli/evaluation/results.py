"""What evaluations have left: the samples and the specs of a run, a folder or a file."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from r1cli.errors import UsageError
from r1cli.evaluation.score import Sample
from r1cli.files import read_rows


@dataclass(frozen=True)
class Result:
    """One benchmark on one model: the file of its samples, and what stands beside it."""

    path: Path
    about: dict[str, Any]

    @property
    def benchmark(self) -> str:
        return str(self.about.get("benchmark") or self.path.stem)

    @property
    def spec(self) -> dict[str, Any]:
        return dict(self.about.get("spec") or {})

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples by problem; of one that stands there twice, the later."""
        latest = {(row["problem"], row["sample"]): row for row in read_rows(self.path)}
        return [latest[place] for place in sorted(latest)]

    @cached_property
    def problems(self) -> dict[str, list[Sample]]:
        """The judged samples of each problem, by the hash of its prompt and its number."""
        groups: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            if sample["score"] is not None:
                groups[f"{sample['hash']} {sample['problem']}"].append(sample)
        return dict(groups)

    @property
    def gaps(self) -> str:
        """What an evaluation that did not come to its end lacks, in words; else ""."""
        counts = Counter(sample["problem"] for sample in self.samples)
        count = self.spec.get("problems", {}).get("count", len(counts))
        if len(counts) < count:
            return f"samples of {len(counts)} of {count} problems"
        least, most = min(counts.values()), max(counts.values())
        return f"{least} to {most} samples per problem" if least < most else ""


def read_results(place: Path) -> list[Result]:
    """The results of a run directory, a folder of `r1 eval`, or one file of samples.

    Of several models in one folder, each has a result. Raises UsageError where there is none.
    """
    if place.is_file():
        files = [place]
    else:
        files = sorted((place / "eval").glob("*.jsonl")) or sorted(place.glob("*.jsonl"))
    results = [Result(path, _about(path)) for path in files if _is_samples(path)]
    if not results:
        raise UsageError(
            f"{place} holds no samples of a benchmark; name a run, a folder below runs/eval, or "
            "one .jsonl in it"
        )
    return results


def _about(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_samples(path: Path) -> bool:
    first = next(iter(read_rows(path)), {})
    return {"problem", "sample", "completion", "score"} <= first.keys()
