"""What a GRPO run sampled, read from its `rollouts/` as attempts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1cli.errors import UsageError
from r1cli.extras import require
from r1cli.problem import problem_hash, question
from r1cli.records.attempt import Attempt, Judgement, canonical
from r1cli.types import Outcome

ROWS = 1024  # of a file that are decoded together
REWARD = "reward/"
SAMPLED = ("temperature", "top_p", "top_k")


def rollouts(run: Path) -> Iterator[Attempt]:
    """The attempts of a run, step by step, with the total outcome's reason where a reward failed.

    The policy changes with every step: `model` is `<run>@<step>`, and `index` counts the step's
    samples of one prompt over all ranks. The spec of their judgements is that of the run, "". What
    a lone user's turn asks is the problem, as for a dataset whose prompts are texts.
    """
    require("train", "pyarrow")
    from pyarrow import parquet

    files = sorted((run / "rollouts").glob("step_*.parquet"))
    if not files:
        raise UsageError(f"{run} holds no rollouts: there is no rollouts/step_*.parquet in it")
    sampling = _sampling(run)
    step, seen = -1, dict[str, int]()
    for path in files:
        for batch in parquet.ParquetFile(path).iter_batches(ROWS):
            for row in batch.to_pylist():
                if row["step"] != step:
                    step, seen = row["step"], {}
                yield _attempt(run, row, seen, sampling)


def _attempt(
    run: Path, row: Mapping[str, Any], seen: dict[str, int], sampling: dict[str, Any]
) -> Attempt:
    text = row["prompt"]
    messages = json.loads(text) if text.startswith("[{") else text
    prompt = problem_hash(messages)
    index, seen[prompt] = seen.get(prompt, 0), seen.get(prompt, 0) + 1
    attempt = Attempt(
        problem=problem_hash(question(messages) or messages),
        prompt=prompt,
        messages=messages,
        model=f"{run.name}@{row['step']}",
        model_name=str(run),
        revision="",
        engine="rollout",
        sampler=f"{run.resolve()}@{row['step']}",
        sampling=sampling,
        index=index,
        text=row["completion"],
        prefill=row["prefill"],
        tokens=row["tokens"],
        finish_reason="length" if row["truncated"] else "stop",
        source="rollout",
        created=0.0,
    )
    return replace(attempt, rewards=tuple(_judgements(attempt, row)))


def _judgements(attempt: Attempt, row: Mapping[str, Any]) -> Iterator[Judgement]:
    for column, value in row.items():
        if column.startswith(REWARD):
            outcome = Outcome("score", value) if value is not None else _without(row["outcome"])
            yield Judgement.of(attempt, column.removeprefix(REWARD), "", outcome)


def _without(said: str) -> Outcome:
    """Why there is no score: a rollout tells it of all its rewards together."""
    if said.startswith("failed"):
        return Outcome("failed", reason=said.removeprefix("failed").strip(" ()"))
    return Outcome("not_applicable")


def _sampling(run: Path) -> dict[str, Any]:
    """How the run's recipe sampled, TRL's defaults where it does not say."""
    from r1cli import source
    from r1cli.run import RESOLVED

    path = run / RESOLVED
    recipe = source.read(path).data if path.is_file() else {}
    args = recipe.get("trainer", {}).get("args", {})
    sampling: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
    sampling |= {name: args[name] for name in SAMPLED if args.get(name) is not None}
    limit = args.get("max_completion_length") or 256
    return canonical({**sampling, "max_tokens": limit, "seed": recipe.get("seed", 0)})
