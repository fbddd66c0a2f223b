"""One reward's share of a batch: from the units it must judge to an outcome per completion."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from r1cli.recipe import Scoring
from r1cli.scoring import failures
from r1cli.scoring.judge import Reply, Sample, judge
from r1cli.scoring.latency import Meter
from r1cli.scoring.reward import BoundReward, RewardError
from r1cli.scoring.units import Known, Unit
from r1cli.types import Outcome


@dataclass(frozen=True)
class Attempt:
    """Units to be judged by one call; `number` counts how often they were tried before."""

    units: Sequence[Unit]
    number: int = 0

    @property
    def samples(self) -> list[Sample]:
        return [sample for unit in self.units for sample in unit.samples]


@dataclass
class Work:
    """One reward on one batch, while it is being judged."""

    number: int
    reward: BoundReward
    outcomes: list[Outcome]
    units: list[Unit]
    known: Known
    meter: Meter
    limits: Scoring
    step: int = 0
    folder: Path | None = None
    judged: int = 0
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    @property
    def call_seconds(self) -> float:
        """How long a call may take."""
        usual = getattr(self.reward.function, "seconds", self.limits.seconds)
        return self.reward.seconds or float(usual)

    def recall(self) -> None:
        """Take what is known from earlier batches out of the work."""
        left = []
        for unit in self.units:
            remembered = self.known.get(self.number, unit.key) if unit.key else None
            if remembered is None:
                left.append(unit)
            else:
                self._give(unit, 0, remembered[0])
        self.units = left

    def judge_here(self, *attempts: Attempt) -> None:
        """Settle the attempts in this process, one call after the other."""
        left = list(attempts)
        while left:
            attempt = left.pop(0)
            if attempt.units:
                left += self.settle(attempt, judge(self.reward, attempt.samples))

    def settle(self, attempt: Attempt, reply: Reply) -> list[Attempt]:
        """Take a reply in; return what has to be tried again.

        Of several units that failed together each is tried alone, so that the guilty one fails by
        itself. Raises the reward's error.
        """
        self.seconds = time.perf_counter() - self.started
        if reply.ending == "bug":
            assert reply.error is not None
            raise (
                self._bug(attempt, reply.error)
                if isinstance(reply.error, RewardError)
                else reply.error
            )
        if reply.ending == "failed":
            if len(attempt.units) > 1:
                return [Attempt([unit], attempt.number + 1) for unit in attempt.units]
            if attempt.number < self.limits.retries:
                return [Attempt(attempt.units, attempt.number + 1)]
            for rows in attempt.units[0].rows:
                for row in rows:
                    self.outcomes[row] = Outcome("failed", reason=reply.reason)
            return []
        values = iter(reply.values)
        for unit in attempt.units:
            for place in range(len(unit.samples)):
                value = next(values)
                self._give(unit, place, value)
                if unit.key:
                    self.known.put(self.number, unit.key, value)
        self.judged += len(reply.values)
        self.meter.timed(len(reply.values), reply.seconds)
        return []

    def close(self) -> None:
        """Report to the meter how the batch ended."""
        statuses = Counter[str](outcome.status for outcome in self.outcomes)
        self.meter.batch(statuses, self.judged, self.seconds)

    def _give(self, unit: Unit, place: int, value: float | None) -> None:
        outcome = Outcome("not_applicable") if value is None else Outcome("score", value)
        for row in unit.rows[place]:
            self.outcomes[row] = outcome

    def _bug(self, attempt: Attempt, error: RewardError) -> RewardError:
        """The error with the number that the sample has in the batch, its sample saved."""
        rows = [row for unit in attempt.units for row, *_ in unit.rows]
        samples = attempt.samples
        if error.index is not None:
            samples = [samples[error.index]]
            error = error.at(rows[error.index])
        if self.folder is None:
            return error
        path = failures.save(self.folder, self.reward, samples, error, self.step)
        return error.at(error.index, f"; see it again with: r1 reward test --replay {path}")
