"""Reasoning Gym (arXiv:2505.24760): problems of a hundred procedural tasks, and their verifiers.

A problem goes with everything its task's own verifier reads, in the column `entry`, so that what is
scored is what was asked, whatever was shuffled, filtered or written to a file in between.
"""

from __future__ import annotations

import ast
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from r1cli import Completion, UsageError, problem_hash, require, suggest

HELD_OUT_PERCENT = 10
ROUND = 100  # problems made with one seed
PATIENCE = 1000  # draws in a row without a new problem before the settings are given up on

PROMPT = (
    "{question}\n\nThink inside <think> </think> tags, then give the answer alone inside "
    "<answer> </answer> tags."
)
_ANSWER = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.DOTALL)


def reasoning_gym(
    *,
    tasks: Sequence[str],
    split: Literal["train", "test"] = "train",
    size: int = 1000,
    difficulty: int | None = None,
    config: dict[str, Any] | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return `size` distinct problems, in turn from each of `tasks` (`chain_sum`, `sudoku`, ...).

    Columns: `prompt`, `question`, `answer` (empty where a task has no single one), `task`, and
    `entry` for the reward `reasoning_gym`. `difficulty` is a level of each task's own curriculum,
    0 the easiest; a level beyond its last is the last. `config` are arguments of the tasks' own
    configs. Which split a problem belongs to is decided by a hash of its question, so no test
    problem is ever a training problem, whatever the seeds. Raises UsageError for a task, level or
    argument that does not exist, and where a task has not enough problems.
    """
    if not tasks:
        raise UsageError("reasoning_gym needs tasks: [chain_sum], say")
    if size < 1:
        raise UsageError(f"reasoning_gym cannot draw size={size} rows: use 1 or more")
    share, more = divmod(size, len(tasks))
    rows = [
        _problems(task, split, share + (number < more), difficulty, config or {}, seed)
        for number, task in enumerate(tasks)
        if share + (number < more)
    ]
    turns = max(map(len, rows))
    return [some[turn] for turn in range(turns) for some in rows if turn < len(some)]


def _problems(
    task: str, split: str, count: int, difficulty: int | None, config: dict[str, Any], seed: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    idle = 0
    for entry in _drawn(task, difficulty, config, seed):
        question = entry["question"]
        if question in seen or is_held_out(question) != (split == "test"):
            idle += 1
            if idle > PATIENCE:
                raise UsageError(
                    f"reasoning_gym task {task!r} gave {len(rows)} different {split} problems, not "
                    f"{count}: lower size, raise difficulty or change its config"
                )
            continue
        idle = 0
        seen.add(question)
        rows.append(
            {
                "prompt": PROMPT.format(question=question),
                "question": question,
                "answer": str(entry["answer"] or ""),
                "task": task,
                "entry": packed(entry),
            }
        )
        if len(rows) == count:
            break
    return rows


def _drawn(
    task: str, difficulty: int | None, config: dict[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Items of the task without end: its dataset with one seed after the other."""
    require("gym", "reasoning_gym")
    from reasoning_gym.factory import CURRICULA, DATASETS, create_curriculum, create_dataset

    if task not in DATASETS or task == "composite":
        raise UsageError(f"reasoning_gym has no task {task!r}; {suggest(task, DATASETS)}")
    given: dict[str, Any] = {"size": ROUND, **config}
    try:
        if difficulty is not None:
            if task not in CURRICULA:
                raise UsageError(f"reasoning_gym task {task!r} has no levels of difficulty")
            curriculum = create_curriculum(task)
            for name, attribute in curriculum.attributes.items():
                curriculum.set_attr_level(name, min(difficulty, len(attribute.levels) - 1))
            given = {**vars(curriculum.generate_configuration()), **given}
        for turn in itertools.count():
            # An item's own seed is seed + index: seeds next to each other would share problems.
            given["seed"] = int(problem_hash([task, seed, turn]), 16) % 2**31
            made = create_dataset(task, **given)
            yield from (made[index] for index in range(len(made)))
    except (TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"reasoning_gym task {task!r} refuses its config: {error}") from error


def is_held_out(question: str) -> bool:
    """Whether a problem belongs to the test split."""
    return int(problem_hash(question), 16) % 100 < HELD_OUT_PERCENT


def packed(entry: dict[str, Any]) -> str:
    """An entry as text: a Python literal, which keeps tuples and numbers as keys, else JSON."""
    text = repr(entry)
    try:
        if ast.literal_eval(text) == entry:
            return text
    except (ValueError, SyntaxError):
        pass
    return json.dumps(entry, default=str)


def unpacked(text: str) -> dict[str, Any]:
    try:
        entry = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        entry = json.loads(text)
    return dict(entry)


def score(
    completions: list[Completion], task: list[str | None], entry: list[str | None]
) -> list[float | None]:
    """What the task's own verifier gives the text of the last `<answer>`; without one 0.0.

    Columns: `task`, the name of a Reasoning Gym task; `entry`, its problem as the dataset
    `reasoning_gym` made it; None where a row is of another kind.

    An answer that the verifier cannot read, and raises on, is wrong.

    Pays:
        any: verifiers are the tasks' own; many pay in part for a text that holds the answer.

    Range: [0.0, 1.0], None. Source: Reasoning Gym, arXiv:2505.24760.
    """
    return [
        None if name is None or text is None else _score(completion, name, text)
        for completion, name, text in zip(completions, task, entry, strict=True)
    ]


def _score(completion: str, task: str, text: str) -> float:
    whole = completion if isinstance(completion, Completion) else Completion(completion)
    answers = _ANSWER.findall(whole.answer)
    if not answers:
        return 0.0
    verify, entry = _verifier(task), unpacked(text)
    try:
        return float(verify(answers[-1], entry))
    except Exception:
        verify(entry["answer"], entry)  # raises too where it is not the answer's fault
        return 0.0


@functools.cache
def _verifier(task: str) -> Callable[[str, dict[str, Any]], float]:
    require("gym", "reasoning_gym")
    from reasoning_gym import get_score_answer_fn

    verify: Callable[[str, dict[str, Any]], float] = get_score_answer_fn(task)
    return verify
