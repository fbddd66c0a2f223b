"""Rewards on stored attempts, each once, on a thread beside the sampling."""

from __future__ import annotations

import queue
import threading
from collections import Counter, defaultdict
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
        calls: defaultdict[int, list[tuple[Attempt, Item]]] = defaultdict(list)
        alone, times = all(reward.per_sample for reward in self.rewards), Counter[str]()
        for (item, key), attempts in zip(items, found, strict=True):
            said = zip(attempts, self.outcomes(attempts, item), strict=True)
            new = [one for one, outcomes in said if any(o.status == "failed" for o in outcomes)]
            if new:
                # A reward that compares the samples of a prompt must see them all, and by its side
                # in one call none of another row that asks the same.
                several = new if alone else attempts
                calls[0 if alone else times[key]] += [(attempt, item) for attempt in several]
            times[key] += 1
        if not calls:
            return found
        for call in calls.values():
            self._score(call)
        return [attempts_of(item, self.store.find(key)) for item, key in items]

    def outcomes(self, attempts: Sequence[Attempt], item: Item) -> list[list[Outcome]]:
        """What each reward says of each; `failed` where it has not said anything yet, or failed."""
        unknown, specs = Outcome("failed", reason="not judged"), self._specs(item)
        return [
            [
                attempt.outcome(reward.name, spec) or unknown
                for reward, spec in zip(self.rewards, specs, strict=True)
            ]
            for attempt in attempts
        ]

    def _specs(self, item: Item) -> list[str]:
        row = self.rows[item.row]
        return [spec(reward, row, item.samples) for reward in self.rewards]

    def _score(self, call: Sequence[tuple[Attempt, Item]]) -> None:
        items = {item.row: item for _, item in call}
        rows = {number: self.rows[number] for number in items}
        specs = {number: self._specs(item) for number, item in items.items()}
        scored = self._scorer.score(
            [attempt.completion for attempt, _ in call],
            [attempt.messages for attempt, _ in call],
            {name: [rows[item.row][name] for _, item in call] for name in self.rows.column_names},
        )
        self.store.judge(
            Judgement.of(attempt, reward.name, specs[item.row][place], outcome)
            for place, (reward, outcomes) in enumerate(zip(self.rewards, scored, strict=True))
            for (attempt, item), outcome in zip(call, outcomes, strict=True)
        )


def attempts_of(item: Item, attempts: Sequence[Attempt]) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.index in item.samples]


def spec(reward: BoundReward, row: Mapping[str, Any], samples: range | None = None) -> str:
    """Under which a judgement of this reward on this row is kept.

    A reward that compares says something else of a sample among others: their range is part of it.
    """
    services = signature.services(reward.function)
    args = {name: value for name, value in reward.args.items() if name not in services}
    if not reward.per_sample:
        args["compared with"] = samples
    known = reward.columns
    read = (*known.required, *known.optional)
    if signature.collects_columns(reward.function):
        read = tuple(row)
    return reward_spec(args, {name: row[name] for name in read if name in row})
