"""Several rewards on one batch: the door through which training and evaluation score.

batch -> units -> calls -> worker processes | event loop | this process -> outcomes
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from r1cli.code.service import CodeService
from r1cli.recipe import Scoring
from r1cli.scoring.coroutines import Coroutines
from r1cli.scoring.dispatch import Dispatch
from r1cli.scoring.judge import Reply
from r1cli.scoring.latency import Meter
from r1cli.scoring.reward import BoundReward
from r1cli.scoring.units import Known, homes, units
from r1cli.scoring.work import Attempt, Work
from r1cli.types import Completion, Outcome, Prompt

REWARD_NAMES = "reward_names"
"""A column of a mixture: the names of the rewards that apply to the row, comma-separated."""


class Scorer:
    """Scores batches with a set of rewards. A context manager: leaving it ends its workers.

    May be used from any thread. `folder` is where the sample is saved on which a reward raises.
    `failures` counts the samples that a reward failed on, `last_failure` says which and why.
    """

    def __init__(
        self,
        rewards: Sequence[BoundReward],
        *,
        limits: Scoring | None = None,
        folder: Path | None = None,
    ) -> None:
        self.rewards, self.folder = list(rewards), folder
        self.limits = limits or Scoring()
        self.failures, self.last_failure = 0, ""
        self._meters = [Meter() for _ in self.rewards]
        self._known, self._lock = Known(), threading.Lock()
        self._dispatch = Dispatch(self.rewards, self.limits)
        self._open_coroutines: Coroutines | None = None
        self._services = {
            id(service): service
            for reward in self.rewards
            for service in reward.args.values()
            if isinstance(service, CodeService)
        }
        self._held = ExitStack()

    def __enter__(self) -> Scorer:
        self._dispatch.open()  # now, so that it starts while the first completions are sampled
        for service in self._services.values():
            self._held.enter_context(service)
        return self

    def __exit__(self, *exc: object) -> None:
        self._dispatch.close()
        with self._lock:
            coroutines, self._open_coroutines = self._open_coroutines, None
        if coroutines:
            coroutines.close()
        self._held.close()

    def score(
        self,
        completions: Sequence[Completion],
        prompts: Sequence[Prompt],
        columns: Mapping[str, Sequence[Any]],
        *,
        step: int = 0,
    ) -> list[list[Outcome]]:
        """`outcomes[r][i]`: reward r on completion i; `columns` hold one value per completion.

        Raises PluginError when a reward raises or breaks its contract; `step` names the file that
        keeps its sample.
        """
        works = self._works(completions, prompts, columns, step)
        waiting = []
        for work in works:
            if work.reward.is_async:
                attempts = [Attempt([unit]) for unit in work.units]
                waiting.append((work, attempts, self._start(work, attempts)))
        self._dispatch.judge([work for work in works if not work.reward.is_async])
        for work, attempts, started in waiting:
            self._await(work, attempts, started)
        for work in works:
            work.close()
        self._count(works)
        return [work.outcomes for work in works]

    def report(self, *, reset: bool = False) -> dict[str, dict[str, Any]]:
        """Per reward name: seconds per sample, samples per second, shares; see `Meter.report`."""
        return {
            reward.name: meter.report(reset=reset)
            for reward, meter in zip(self.rewards, self._meters, strict=True)
        }

    def _works(
        self,
        completions: Sequence[Completion],
        prompts: Sequence[Prompt],
        columns: Mapping[str, Sequence[Any]],
        step: int,
    ) -> list[Work]:
        applies = columns.get(REWARD_NAMES)
        data = {name: values for name, values in columns.items() if name != REWARD_NAMES}
        home = homes(prompts)
        other = Outcome("not_applicable", reason="the dataset names other rewards")
        works = []
        for number, reward in enumerate(self.rewards):
            rows: Sequence[int] = range(len(completions))
            if applies is not None:
                rows = [i for i in rows if not applies[i] or reward.name in applies[i].split(",")]
            work = Work(
                number,
                reward,
                [other] * len(completions),
                units(reward, rows, completions, prompts, data, home),
                self._known,
                self._meters[number],
                self.limits,
                step,
                self.folder,
            )
            work.recall()
            works.append(work)
        return works

    def _count(self, works: Sequence[Work]) -> None:
        failed = {}
        for work in works:
            for row, outcome in enumerate(work.outcomes):
                if outcome.status == "failed":
                    failed[row] = f"reward {work.reward.name!r}, {outcome.reason}"
        with self._lock:
            self.failures += len(failed)
            self.last_failure = next(reversed(failed.values()), self.last_failure)

    def _start(self, work: Work, attempts: Sequence[Attempt]) -> Callable[[], list[Reply]]:
        with self._lock:
            if self._open_coroutines is None:
                self._open_coroutines = Coroutines(self.limits.concurrency)
            coroutines = self._open_coroutines
        calls = [attempt.samples for attempt in attempts]
        return coroutines.start(work.reward, calls, work.call_seconds)

    def _await(
        self, work: Work, attempts: list[Attempt], started: Callable[[], list[Reply]]
    ) -> None:
        while attempts:
            pairs = zip(attempts, started(), strict=True)
            attempts = [again for a, reply in pairs for again in work.settle(a, reply)]
            if attempts:
                started = self._start(work, attempts)
