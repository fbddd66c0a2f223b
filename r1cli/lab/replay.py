"""A sample on which a reward failed, as the runtime saved it, judged once more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1cli.errors import R1Error, UsageError
from r1cli.lab.table_file import completion_of
from r1cli.plugins import Plugins
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Outcome

KEYS = ("reward", "args", "completions", "prompts", "columns", "error")


@dataclass(frozen=True)
class Replayed:
    """The error of then, and the outcomes or the error of now."""

    reward: str
    then: str
    now: list[Outcome]
    error: str


def replay(path: Path, plugins: Plugins) -> Replayed:
    """Score the saved batch again. Raises UsageError for a file that is no saved failure."""
    saved = _read(path)
    reward = bind_reward(saved["reward"], saved["args"], plugins, where=str(path))
    completions = [completion_of(text, {}, f"{path} completions") for text in saved["completions"]]
    now: list[Outcome] = []
    error = ""
    with Scorer([reward]) as scorer:
        try:
            [now] = scorer.score(completions, saved["prompts"], saved["columns"])
        except UsageError:
            raise
        except R1Error as problem:
            error = str(problem)
    return Replayed(reward.name, str(saved["error"]), now, error)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"no file {path} to replay; runs keep theirs in failures/")
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    missing = [key for key in KEYS if not isinstance(saved, dict) or key not in saved]
    if missing:
        raise UsageError(
            f"{path} is no saved failure: it lacks {', '.join(missing)}; a run saves them as "
            "failures/*.json"
        )
    return dict(saved)
