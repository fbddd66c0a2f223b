"""Evaluation: a benchmark's problems through an engine and a scorer, to a score with its interval.

Every sample is a row of `eval/<benchmark>-<spec>-<model>.jsonl`, written as it comes; asked again,
only what is missing is sampled. The spec hash covers all that decides the number but the weights,
which have a key of their own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from r1cli import stats
from r1cli.dataset import load_rows, pick_columns, problem_hash, rename
from r1cli.errors import ProviderError, UsageError
from r1cli.files import append_row, read_rows
from r1cli.plugins import Plugins
from r1cli.recipe import BenchmarkRun
from r1cli.sampling import messages, sample
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Benchmark, Completion, Engine

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Score:
    """A benchmark's number and all that belongs beside it. Shares and scores are in 0..1.

    `not_applicable` counts problems without a readable gold, `failed` samples that the scorer
    failed on; neither is in the score.
    """

    benchmark: str
    label: str
    spec: str
    problems: int
    samples: int
    mean: float
    low: float
    high: float
    tokens: float
    truncated: float
    not_applicable: int
    failed: int
    measures: dict[str, float]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Evaluation:
    """One benchmark with its problems loaded and its scorer bound; no model yet."""

    def __init__(self, run: BenchmarkRun, benchmark: Benchmark, plugins: Plugins) -> None:
        self.name, self.benchmark = run.name, benchmark
        rows = load_rows(benchmark.dataset, benchmark.args, plugins, where=f"benchmark {run.name}")
        wanted = pick_columns(rows, benchmark.columns, f"benchmark {run.name!r}")
        rows = rename(rows, wanted, f"benchmark {run.name}")
        self.rows = rows.select(range(min(run.limit or len(rows), len(rows))))
        self.scorer = bind_reward(
            benchmark.scorer, benchmark.scorer_args, plugins, where="the benchmark"
        )
        self.measures = [
            bind_reward(name, args, plugins, where="the benchmark")
            for name, args in benchmark.measures.items()
        ]
        self.scorer.check_columns(self.rows.column_names, f"benchmark {run.name!r} columns")
        self.prompts = [
            messages(benchmark.prompt.format(**row), benchmark.system_prompt) for row in self.rows
        ]

    @cached_property
    def spec(self) -> str:
        """A hash of problems, golds, prompt, sampling, scorer and measures.

        Equal specs make comparable scores.
        """
        b = self.benchmark
        parts = [
            [problem_hash(prompt) for prompt in self.prompts],
            [[row[name] for name in b.columns] for row in self.rows],
            b.sampling.to_dict(),
            [b.scorer, dict(b.scorer_args)],
            {name: dict(args) for name, args in b.measures.items()},
        ]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def run(
        self,
        engine: Engine,
        directory: Path,
        *,
        model_key: str,
        progress: Progress = lambda done, total: None,
    ) -> Score:
        """Sample what the directory does not hold yet of this model, score it, return the score."""
        path = directory / f"{self.name}-{self.spec}-{model_key}.jsonl"
        stored = [row for row in read_rows(path) if not any(row.get("failed", ()))]
        rows = {row["problem"]: row for row in stored}  # what failed is tried again
        started = time.perf_counter()
        progress(len(rows), len(self.prompts))
        with Scorer([self.scorer, *self.measures], folder=directory / "failures") as scorer:
            sampling = self.benchmark.sampling
            for index, completions in sample(engine, self.prompts, sampling, done=rows):
                row = self._row(index, completions, scorer)
                append_row(path, row)
                rows[index] = row
                progress(len(rows), len(self.prompts))
        seconds = time.perf_counter() - started
        return self._score([rows[index] for index in range(len(self.prompts))], seconds)

    def _row(self, index: int, completions: Sequence[Completion], scorer: Scorer) -> dict[str, Any]:
        columns = {name: [value] * len(completions) for name, value in self.rows[index].items()}
        prompts = [self.prompts[index]] * len(completions)
        outcomes, *measured = scorer.score(completions, prompts, columns, step=index)
        return {
            "problem": index,
            "hash": problem_hash(self.prompts[index]),
            "prompt": self.prompts[index],
            "completions": [str(c) for c in completions],
            "tokens": [c.tokens for c in completions],
            "truncated": [c.truncated for c in completions],
            "scores": [outcome.value for outcome in outcomes],
            "failed": [
                outcome.reason if outcome.status == "failed" else "" for outcome in outcomes
            ],
            "measures": {
                reward.name: [outcome.value for outcome in column]
                for reward, column in zip(self.measures, measured, strict=True)
            },
        }

    def _score(self, rows: Sequence[dict[str, Any]], seconds: float) -> Score:
        judged = [[s for s in row["scores"] if s is not None] for row in rows]
        kept = [scores for scores in judged if scores]
        failed = [reason for row in rows for reason in row.get("failed", ()) if reason]
        if failed:
            log.warning(
                "benchmark %s: %d samples could not be scored and are left out (%s)",
                *(self.name, len(failed), failed[0]),
            )
        if failed and not kept:
            raise ProviderError(
                f"benchmark {self.name!r}: no sample could be scored; the first: {failed[0]}"
            )
        if not kept:
            raise UsageError(
                f"benchmark {self.name!r}: no problem has a gold answer that "
                f"{self.benchmark.scorer!r} can judge; check the columns of its data"
            )
        samples = max(len(row["scores"]) for row in rows)
        greedy = self.benchmark.sampling.temperature == 0
        low, high = stats.interval(kept)
        measures = {}
        for reward in self.measures:
            values = [v for row in rows for v in row["measures"][reward.name] if v is not None]
            if values:
                measures[reward.name] = fmean(values)
        return Score(
            benchmark=self.name,
            label="greedy" if greedy else f"avg@{samples}",
            spec=self.spec,
            problems=len(rows),
            samples=samples,
            mean=stats.avg_at_n(kept),
            low=low,
            high=high,
            tokens=fmean(t for row in rows for t in row["tokens"]),
            truncated=fmean(float(t) for row in rows for t in row["truncated"]),
            not_applicable=sum(
                not scores and not any(row.get("failed", ()))
                for row, scores in zip(rows, judged, strict=True)
            ),
            failed=len(failed),
            measures=measures,
            seconds=seconds,
        )


def stored_engine(path: Path, evaluation: Evaluation) -> Engine:
    """An engine that replays completions from a JSONL file, matched by prompt or by order.

    A row holds `completion` (text) or `completions` (texts), and may hold `prompt`, the messages
    or the user's text. Without prompts there must be one row per problem, in their order.
    """
    rows = _strict_rows(path)
    texts: list[list[str]] = []
    for number, row in rows.items():
        found = row.get("completions", row.get("completion"))
        several = [found] if isinstance(found, str) else found
        if not isinstance(several, list) or not all(isinstance(text, str) for text in several):
            raise UsageError(f"{path}:{number} has no text 'completion' and no list 'completions'")
        texts.append(several)
    if all("prompt" in row for row in rows.values()):
        keys = [_key(row["prompt"]) for row in rows.values()]
    elif len(rows) == len(evaluation.prompts):
        keys = [_key(prompt) for prompt in evaluation.prompts]
    else:
        raise UsageError(
            f"{path} has {len(rows)} rows without 'prompt' for "
            f"{len(evaluation.prompts)} problems; give every row its prompt, or one row each"
        )
    stored: dict[str, list[str]] = {}
    for key, completions in zip(keys, texts, strict=True):
        stored.setdefault(key, []).extend(completions)
    missing = [p for p in evaluation.prompts if _key(p) not in stored]
    if missing:
        raise UsageError(
            f"{path} has no completion for {len(missing)} of {len(evaluation.prompts)} problems; "
            f"the first: {missing[0][-1]['content'][:80]!r}"
        )
    return _Stored(stored)


def _strict_rows(path: Path) -> dict[int, dict[str, Any]]:
    """The rows of a user's JSONL file by line number; none may be left out, for order matters."""
    rows = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows[number] = json.loads(line)
            except json.JSONDecodeError as error:
                raise UsageError(f"{path}:{number} is no JSON: {error.msg}") from error
            if not isinstance(rows[number], dict):
                raise UsageError(f"{path}:{number} is no JSON object with 'completion'")
    if not rows:
        raise UsageError(f"{path} holds no JSON rows; expected one per problem with 'completion'")
    return rows


class _Stored:
    def __init__(self, completions: dict[str, list[str]]) -> None:
        self.completions = completions

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def generate(self, prompts: Sequence[Any], sampling: Any) -> list[list[Completion]]:
        return [
            [Completion(text, tokens=len(text.split())) for text in self.completions[_key(prompt)]]
            for prompt in prompts
        ]


def _key(prompt: Any) -> str:
    """A prompt by its user's text, whichever shape it is stored in."""
    try:
        return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
    except (IndexError, KeyError, TypeError):
        raise UsageError(f"prompt {prompt!r} is neither text nor a list of messages") from None
