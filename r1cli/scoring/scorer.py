"""Several rewards on one batch: the door through which training and evaluation score.

batch -> units -> calls -> worker processes | event loop | this process -> outcomes
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from r1cli.code.service import CodeService
from r1cli.recipe import Scoring
from r1cli.scoring.coroutines import Coroutines
from r1cli.scoring.judge import Reply, judge
from r1cli.scoring.latency import Meter
from r1cli.scoring.pool import Call, Pool
from r1cli.scoring.reward import BoundReward
from r1cli.scoring.units import Known, chunks, homes, units
from r1cli.scoring.work import Attempt, Work
from r1cli.types import Completion, Outcome, Prompt

log = logging.getLogger(__name__)

REWARD_NAMES = "reward_names"
"""A column of a mixture: the names of the rewards that apply to the row, comma-separated."""

CALL_SECONDS = 0.05  # what a call should take, so that none waits long behind another
FIRST_CHUNK, LARGEST_CHUNK = 16, 128
MOST_WORKERS = 8  # unless the recipe says otherwise

Answers = queue.SimpleQueue[tuple[Call, Reply]]


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
        self._pace: dict[int, float] = {}  # seconds per sample, lately
        self._known, self._lock = Known(), threading.RLock()
        self._definitions = [self._definition(reward) for reward in self.rewards]
        self._services = {
            id(service): service
            for reward in self.rewards
            for service in reward.args.values()
            if isinstance(service, CodeService)
        }
        self._held = ExitStack()
        self._open_pool: Pool | None = None
        self._open_coroutines: Coroutines | None = None

    def __enter__(self) -> Scorer:
        if any(self._definitions):
            self._pool()  # now, so that it starts while the first completions are sampled
        for service in self._services.values():
            self._held.enter_context(service)
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            pool, self._open_pool = self._open_pool, None
            coroutines, self._open_coroutines = self._open_coroutines, None
        if pool:
            pool.close()
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
        answers: Answers = queue.SimpleQueue()
        sent, here, waiting = 0, [], []
        try:
            for work in works:
                if work.reward.is_async:
                    attempts = [Attempt([unit]) for unit in work.units]
                    waiting.append((work, attempts, self._start(work, attempts)))
                elif self._definitions[work.number] and all(unit.pickles for unit in work.units):
                    sent += self._send(work, self._chunked(work), answers)
                else:
                    here.append(work)
            for work in here:
                self._judge_here(work, [Attempt(work.units)])
            while sent:
                sent += self._take(*answers.get(), answers) - 1
            for work, attempts, started in waiting:
                self._await(work, attempts, started)
        finally:
            if sent and self._open_pool:
                self._open_pool.forget(answers)
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
                self.limits.retries,
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

    # -- in worker processes -----------------------------------------------------------------------

    def _definition(self, reward: BoundReward) -> bytes | None:
        """What a worker needs to have the reward; None where it cannot."""
        if reward.is_async:
            return None
        try:
            return pickle.dumps(reward)
        except Exception as error:
            _say_here(reward, f"{type(error).__name__}: {error}")
            return None

    def _pool(self) -> Pool:
        with self._lock:
            if self._open_pool is None:
                self._open_pool = Pool(
                    [definition or b"" for definition in self._definitions],
                    workers=self.limits.workers or default_workers(),
                    memory=int(self.limits.memory_gb * 2**30),
                )
            return self._open_pool

    def _chunked(self, work: Work) -> list[Attempt]:
        pace = self._pace.get(work.number)
        size = FIRST_CHUNK if pace is None else int(CALL_SECONDS / max(pace, 1e-9))
        share = -(-len(work.units) // (2 * self._pool().workers)) if work.units else 1
        return [Attempt(c) for c in chunks(work.units, max(1, min(size, share, LARGEST_CHUNK)))]

    def _send(self, work: Work, attempts: Sequence[Attempt], answers: Answers) -> int:
        """Submit the attempts; return how many answers will come."""
        calls = [
            Call(
                work.number,
                [pickled for unit in attempt.units for pickled in unit.pickles],
                attempt.units[0].home,
                self._seconds(work.reward),
                answers,
                (work, attempt),
            )
            for attempt in attempts
        ]
        if calls:
            self._pool().submit(calls)
        return len(calls)

    def _take(self, call: Call, reply: Reply, answers: Answers) -> int:
        """One answer; returns how many more were asked for because of it."""
        work, attempt = call.about
        if reply.ending == "unloadable":
            if self._definitions[work.number]:
                _say_here(work.reward, reply.reason)
                self._definitions[work.number] = None
            self._judge_here(work, [attempt])
            return 0
        if reply.values and not reply.modules:  # imports are made once
            each = reply.seconds / len(reply.values)
            self._pace[work.number] = (self._pace.get(work.number, each) + each) / 2
        return self._send(work, work.settle(attempt, reply), answers)

    def _seconds(self, reward: BoundReward) -> float:
        return reward.seconds or float(getattr(reward.function, "seconds", self.limits.seconds))

    # -- in this process ---------------------------------------------------------------------------

    def _judge_here(self, work: Work, attempts: list[Attempt]) -> None:
        while attempts:
            attempt = attempts.pop(0)
            if attempt.units:
                attempts += work.settle(attempt, judge(work.reward, attempt.samples))

    def _coroutines(self) -> Coroutines:
        with self._lock:
            if self._open_coroutines is None:
                self._open_coroutines = Coroutines(self.limits.concurrency)
            return self._open_coroutines

    def _start(self, work: Work, attempts: Sequence[Attempt]) -> Any:
        calls = [attempt.samples for attempt in attempts]
        return self._coroutines().start(work.reward, calls, self._seconds(work.reward))

    def _await(self, work: Work, attempts: list[Attempt], started: Any) -> None:
        while attempts:
            replies = started()
            pairs = zip(attempts, replies, strict=True)
            attempts = [again for a, reply in pairs for again in work.settle(a, reply)]
            if attempts:
                started = self._start(work, attempts)


def default_workers() -> int:
    """This process's share of the CPUs it may use, with the other ranks of the machine."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1") or 1)
    return max(1, min(MOST_WORKERS, cpus // ranks))


def _say_here(reward: BoundReward, why: str) -> None:
    log.warning(
        "reward %r is called in this process, where nothing stops it if it hangs: it cannot be "
        "imported by name in a worker (%s)",
        reward.name,
        " ".join(why.split()),
    )
