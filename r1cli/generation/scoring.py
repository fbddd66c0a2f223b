"""Rewards on stored attempts, each once, on a thread beside the sampling."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1cli import signature
from r1cli.generation.prompts import Item
from r1cli.records import Attempt, Judgement, Store, reward_spec
from r1cli.scoring import BoundReward, Scorer
from r1cli.types import Outcome

if TYPE_CHECKING:
    from datasets import Dataset

TOGETHER = 32
"""Prompts that are scored by one call, where so many wait."""


class Judging:
    """Scores what it is given in the background; what is judged already costs nothing.

    A context manager. `check` raises what went wrong there: a reward's own error, a full disk.
    """

    def __init__(self, rewards: Sequence[BoundReward], rows: Dataset, store: Store) -> None:
        self.rewards, self.rows, self.store = list(rewards), rows, store
        self._scorer = Scorer(self.rewards)
        self._waiting: queue.SimpleQueue[tuple[Item, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="r1-judging", daemon=True)
        self._error: BaseException | None = None
        self._stopped = False

    def __enter__(self) -> Judging:
        if self.rewards:
            self._scorer.__enter__()
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.rewards:
            self._stopped = True
            self._end()
            self._scorer.__exit__(*exc)

    def finish(self) -> None:
        """Wait until all that was added is judged."""
        self._end()
        self.check()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def add(self, item: Item, key: str) -> None:
        """Score the item's attempts: all that will come of it are stored under `key`."""
        self.check()
        if self.rewards:
            self._waiting.put((item, key))

    def check(self) -> None:
        if self._error:
            raise self._error

    def _work(self) -> None:
        try:
            more = True
            while more and not self._stopped:
                several = [self._waiting.get()]
                while len(several) < TOGETHER and not self._waiting.empty():
                    several.append(self._waiting.get())
                more = None not in several
                self.judge([one for one in several if one is not None])
        except BaseException as error:
            self._error = error

    def judge(self, items: Sequence[tuple[Item, str]]) -> list[list[Attempt]]:
        """The stored attempts of each item, judged by every reward, now where need be."""
        found = [attempts_of(item, self.store.find(key)) for item, key in items]
        if not self.rewards:
            return found
        rows = [self.rows[item.row] for item, _ in items]
        lacking: list[tuple[Attempt, Mapping[str, Any]]] = []
        for attempts, row in zip(found, rows, strict=True):
            new = [attempt for attempt in attempts if self._lacks(attempt, row)]
            # A reward that compares the samples of a prompt must see them all.
            several = new if all(reward.per_sample for reward in self.rewards) else attempts
            lacking += [(attempt, row) for attempt in several if new]
        if not lacking:
            return found
        self._score(lacking)
        return [attempts_of(item, self.store.find(key)) for item, key in items]

    def _lacks(self, attempt: Attempt, row: Mapping[str, Any]) -> bool:
        return any(outcome.status == "failed" for outcome in self.outcomes(attempt, row))

    def outcomes(self, attempt: Attempt, row: Mapping[str, Any]) -> list[Outcome]:
        """What each reward says of it; one that has not said anything yet, or failed, `failed`."""
        said = (attempt.outcome(reward.name, spec(reward, row)) for reward in self.rewards)
        return [outcome or Outcome("failed", reason="not judged") for outcome in said]

    def _score(self, flat: Sequence[tuple[Attempt, Mapping[str, Any]]]) -> None:
        columns = {name: [row[name] for _, row in flat] for name in self.rows.column_names}
        scored = self._scorer.score(
            [attempt.completion for attempt, _ in flat],
            [attempt.messages for attempt, _ in flat],
            columns,
        )
        self.store.judge(
            Judgement.of(attempt, reward.name, spec(reward, row), outcome)
            for reward, outcomes in zip(self.rewards, scored, strict=True)
            for (attempt, row), outcome in zip(flat, outcomes, strict=True)
        )


def attempts_of(item: Item, attempts: Sequence[Attempt]) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.index in item.samples]


def spec(reward: BoundReward, row: Mapping[str, Any]) -> str:
    """Under which a judgement of this reward on this row is kept."""
    services = signature.services(reward.function)
    args = {name: value for name, value in reward.args.items() if name not in services}
    known = reward.columns
    read = (*known.required, *known.optional)
    if signature.collects_columns(reward.function):
        read = tuple(row)
    return reward_spec(args, {name: row[name] for name in read if name in row})
