"""One call of a reward and every way it can end: the same in a worker and in process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from r1cli.errors import ProviderError, R1Error
from r1cli.scoring.reward import BoundReward, RewardError
from r1cli.types import Completion, Outcome

Sample = tuple[Completion, dict[str, Any]]
"""A completion and what the reward reads beside it, by column."""

Ending = Literal["outcomes", "failed", "bug", "unloadable"]


@dataclass(frozen=True)
class Reply:
    """How a call ended; `reason` of a failure starts with its kind (timeout, crash, memory, ...).

    `values` has one float or None per sample, `seconds` is the call's own time, `modules` what it
    was the first to import.
    """

    ending: Ending
    values: Sequence[float | None] = ()
    reason: str = ""
    error: R1Error | None = None
    seconds: float = 0.0
    modules: Sequence[str] = ()


def judge(reward: BoundReward, samples: Sequence[Sample]) -> Reply:
    """Call the reward on samples. Raises nothing but what ends a process anyway."""
    started = time.perf_counter()
    try:
        outcomes = reward.call(*columnar(samples))
    except Exception as error:
        return ended(error, time.perf_counter() - started)
    except SystemExit as error:
        return Reply("bug", error=_exited(reward, error))
    return scored(outcomes, time.perf_counter() - started)


def columnar(samples: Sequence[Sample]) -> tuple[list[Completion], dict[str, list[Any]]]:
    """Samples as a reward takes them: completions, and a list per column."""
    completions = [completion for completion, _ in samples]
    names = samples[0][1] if samples else {}
    return completions, {name: [data[name] for _, data in samples] for name in names}


def scored(outcomes: Sequence[Outcome], seconds: float) -> Reply:
    return Reply("outcomes", [outcome.value for outcome in outcomes], seconds=seconds)


def ended(error: Exception, seconds: float = 0.0) -> Reply:
    """The reply for a call that raised."""
    if isinstance(error, MemoryError):
        return Reply("failed", reason="memory: the limit was reached", seconds=seconds)
    if isinstance(error, ProviderError):
        return Reply("failed", reason=f"provider: {error}", seconds=seconds)
    if isinstance(error, R1Error):
        return Reply("bug", error=error)
    text = "".join(traceback.format_exception(error))
    return Reply("bug", error=RewardError(f"scoring broke: {error!r}", trace=text))


def _exited(reward: BoundReward, error: SystemExit) -> RewardError:
    return RewardError(f"reward {reward.name!r} raised SystemExit: {error}")
