"""Completions that are there already: JSONL or Parquet, ours, TRL's, LightEval's details.

A row is matched to a problem by what it says of its question: `prompt` (messages or text), or a
column that holds the problem's own text; without either, rows go by their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1cli.errors import UsageError
from r1cli.evaluation.evaluation import Evaluation, Place, Progress
from r1cli.evaluation.problems import QUESTIONS, question
from r1cli.evaluation.score import Score
from r1cli.lab.table_file import COMPLETION_COLUMNS, completion_of, read_rows
from r1cli.types import Completion

if TYPE_CHECKING:
    from r1cli.evaluation.during import Bound
    from r1cli.plugins import Plugins
    from r1cli.recipe import Component

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """The completions of a file, by place."""

    completions: dict[Place, Completion]

    @property
    def places(self) -> set[Place]:
        return set(self.completions)

    def draw(self, places: Iterable[Place]) -> Iterator[tuple[Place, Completion]]:
        return ((place, self.completions[place]) for place in sorted(places))


def read_stored(path: Path, evaluation: Evaluation, *, column: str = "") -> Stored:
    """The completions of a file for the problems of an evaluation; `column` names theirs.

    Rows of other problems are left out; several rows of one problem are samples of it, and of all
    that ask the same. Raises UsageError where a problem has no completion, or rows cannot be
    matched.
    """
    rows = [_plain(row) for row in read_rows(path)]
    present = list(dict.fromkeys(name for row in rows for name in row))
    name = column or next((n for n in COMPLETION_COLUMNS if n in present), "")
    if name not in present:
        said = f"no column {name!r}" if name else "no column of completions"
        raise UsageError(
            f"{said} in {path}, which has {', '.join(present)}; name it with --completion-column"
        )
    found: dict[Place, Completion] = {}
    counts = [0] * len(evaluation.problems)
    numbers = _matched(rows, evaluation, path)
    for line, (row, several) in enumerate(zip(rows, numbers, strict=True), start=1):
        completions = _completions(row, name, f"row {line} of {path}") if several else []
        for number, completion in product(several, completions):
            found[number, counts[number]] = completion
            counts[number] += 1
    missing = [number for number, count in enumerate(counts) if not count]
    if missing:
        question = evaluation.prompts[missing[0]][-1]["content"]
        raise UsageError(
            f"{path} has no completion for {len(missing)} of {len(counts)} problems; "
            f"the first: {question[:80]!r}"
        )
    return Stored(found)


def measure_stored(
    path: Path,
    benchmarks: Sequence[Bound],
    plugins: Plugins,
    out: Path | None,
    *,
    column: str = "",
    code: Component | None = None,
    ks: Sequence[int] = (),
    progress: Progress,
) -> tuple[list[Score], Path]:
    """The scores of stored completions, and the folder that they went to: `out`, or one by name and
    content of the file. `column` names that of the completions."""
    if not path.is_file():
        raise UsageError(f"no file {path} of completions")
    key = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
    folder = out or Path("runs") / "eval" / f"{path.stem}-{key}"
    scores = []
    for run, benchmark in benchmarks:
        evaluation = Evaluation(run, benchmark, plugins, code=code)
        stored = read_stored(path, evaluation, column=column)
        scores.append(
            evaluation.run(
                stored.draw,
                folder / "eval",
                model_key=key,
                places=stored.places,
                ks=ks,
                progress=progress,
            )
        )
    return scores, folder


def _plain(row: Row) -> Row:
    """A row of LightEval's details as one with `prompt` and `completion`; others as they are.

    From 0.11 on: `doc`, `model_response` and `metric`; before: `full_prompt` and `predictions`.
    """
    if "doc" in row and "model_response" in row:
        reply = row["model_response"]
        tokens = [len(ids) for ids in reply.get("output_tokens") or ()]
        return {"prompt": row["doc"]["query"], "completion": reply["text"], "tokens": tokens}
    if "full_prompt" in row and "predictions" in row:
        return {"prompt": row["full_prompt"], "completion": row["predictions"]}
    return row


def _completions(row: Row, name: str, where: str) -> list[Completion]:
    """The samples of a row: one, or a list of texts with lists of what is known of each."""
    value = row[name]
    if not (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
        return [_counted(completion_of(value, dict(row), where))]
    each = []
    for number, text in enumerate(value):
        along = {
            key: known[number]
            for key in ("prefill", "tokens", "truncated")
            if isinstance(known := row.get(key), list) and len(known) == len(value)
        }
        each.append(_counted(completion_of(text, along, where)))
    return each


def _counted(completion: Completion) -> Completion:
    """With words for tokens where the file does not say their number."""
    completion.tokens = completion.tokens or len(completion.split())
    return completion


def _matched(rows: Sequence[Row], evaluation: Evaluation, path: Path) -> list[list[int]]:
    """For each row the numbers of the problems that ask what it answers; none for another's row."""
    asked = [next((row[q] for q in ("prompt", *QUESTIONS) if row.get(q)), None) for row in rows]
    if not all(asked):
        if len(rows) != len(evaluation.problems):
            raise UsageError(
                f"{path} has {len(rows)} rows, not all with their prompt, for "
                f"{len(evaluation.problems)} problems; give every row its prompt, or one row each"
            )
        return [[number] for number in range(len(rows))]
    texts = [_squeezed(p[-1]["content"]) for p in evaluation.prompts]
    questions = [_squeezed(text) for text in map(question, evaluation.problems)]
    numbers: dict[str, list[int]] = {}
    for number, known in enumerate(zip(texts, questions, strict=True)):
        for text in {*known} - {""}:
            numbers.setdefault(text, []).append(number)
    for text in map(_question, asked):
        if text not in numbers:  # another template around the same question
            inside = [known for known in questions if known and known in text]
            numbers[text] = numbers[max(inside, key=len)] if inside else []
    return [numbers[_question(prompt)] for prompt in asked]


def _question(prompt: Any) -> str:
    """What the user asked, whichever shape it is stored in."""
    try:
        text = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
    except (IndexError, KeyError, TypeError):
        raise UsageError(f"prompt {prompt!r} is neither text nor a list of messages") from None
    if text.startswith("[{"):
        with suppress(ValueError, IndexError, KeyError, TypeError):
            text = str(json.loads(text)[-1]["content"])
    return _squeezed(text)


def _squeezed(text: str) -> str:
    return " ".join(text.split())
