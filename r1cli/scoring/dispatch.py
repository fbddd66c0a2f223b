"""From works to calls of the pool: what can be sent there, how much at once, what comes of it."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
from collections.abc import Sequence

from r1cli.recipe import Scoring
from r1cli.scoring.judge import Reply
from r1cli.scoring.pool import Pool
from r1cli.scoring.reward import BoundReward
from r1cli.scoring.seat import Call
from r1cli.scoring.units import chunks
from r1cli.scoring.work import Attempt, Work

log = logging.getLogger(__name__)

CALL_SECONDS = 0.05  # what a call should take, so that none waits long behind another
FIRST_CHUNK, LARGEST_CHUNK = 16, 128
MOST_WORKERS = 8  # unless the recipe says otherwise

Answers = queue.SimpleQueue[tuple[Call, Reply]]


class Dispatch:
    """The way to a pool, which is started when it is first needed. Used from any thread."""

    def __init__(self, rewards: Sequence[BoundReward], limits: Scoring) -> None:
        self._limits = limits
        self._definitions = [_definition(reward) for reward in rewards]
        self._pace: dict[int, float] = {}  # seconds per sample, lately
        self._lock = threading.Lock()
        self._opened: Pool | None = None

    def open(self) -> None:
        """Start the workers if a reward can be called there."""
        if any(self._definitions):
            self.pool()

    def close(self) -> None:
        with self._lock:
            pool, self._opened = self._opened, None
        if pool:
            pool.close()

    def pool(self) -> Pool:
        with self._lock:
            if self._opened is None:
                self._opened = Pool(
                    [definition or b"" for definition in self._definitions],
                    workers=self._limits.workers or default_workers(),
                    memory=int(self._limits.memory_gb * 2**30),
                )
            return self._opened

    def judge(self, works: Sequence[Work]) -> None:
        """Settle all of the works: in workers what can be sent there, the rest here meanwhile."""
        answers: Answers = queue.SimpleQueue()
        sent, here = 0, []
        try:
            for work in works:
                if self._definitions[work.number] and all(unit.pickles for unit in work.units):
                    sent += self._send(work, self._portions(work), answers)
                else:
                    here.append(work)
            for work in here:
                work.judge_here(Attempt(work.units))
            while sent:
                sent += self._take(*answers.get(), answers) - 1
        finally:
            if sent and self._opened:
                self._opened.forget(answers)

    def _portions(self, work: Work) -> list[Attempt]:
        if not work.units:
            return []
        pace = self._pace.get(work.number)
        size = FIRST_CHUNK if pace is None else int(CALL_SECONDS / max(pace, 1e-9))
        share = -(-len(work.units) // (2 * self.pool().workers))
        return [Attempt(c) for c in chunks(work.units, max(1, min(size, share, LARGEST_CHUNK)))]

    def _send(self, work: Work, attempts: Sequence[Attempt], answers: Answers) -> int:
        """Submit the attempts; return how many answers will come."""
        calls = [
            Call(
                work.number,
                [pickled for unit in attempt.units for pickled in unit.pickles],
                attempt.units[0].home,
                work.call_seconds,
                answers,
                (work, attempt),
            )
            for attempt in attempts
        ]
        if calls:
            self.pool().submit(calls)
        return len(calls)

    def _take(self, call: Call, reply: Reply, answers: Answers) -> int:
        """One answer; returns how many more were asked for because of it."""
        work, attempt = call.about
        if reply.ending == "unloadable":
            if self._definitions[work.number]:
                _say_here(work.reward, reply.reason)
                self._definitions[work.number] = None
            work.judge_here(attempt)
            return 0
        if reply.values and not reply.modules:  # imports are made once
            each = reply.seconds / len(reply.values)
            self._pace[work.number] = (self._pace.get(work.number, each) + each) / 2
        return self._send(work, work.settle(attempt, reply), answers)


def default_workers() -> int:
    """This process's share of the CPUs it may use, with the other ranks of the machine."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1") or 1)
    return max(1, min(MOST_WORKERS, cpus // ranks))


def _definition(reward: BoundReward) -> bytes | None:
    """What a worker needs to have the reward; None where it cannot."""
    if reward.is_async:
        return None
    try:
        return pickle.dumps(reward)
    except Exception as error:
        _say_here(reward, f"{type(error).__name__}: {error}")
        return None


def _say_here(reward: BoundReward, why: str) -> None:
    log.warning(
        "reward %r is called in this process, where nothing stops it if it hangs: it cannot be "
        "imported by name in a worker (%s)",
        reward.name,
        " ".join(why.split()),
    )
