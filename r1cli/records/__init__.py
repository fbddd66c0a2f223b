"""The attempt store: every completion ever sampled, found again by what it was asked.

    with Store(folder) as store:
        key = attempt_key(problem_hash(messages), sampler, sampling)
        store.missing(key, range(8))     # which samples are still to be drawn
        store.append([Attempt(...)])     # kept, whatever happens to this process next
        store.find(key)                  # by index, with all judgements

`r1cli.collecting.collect` does all of that for a list of prompts.
"""

from __future__ import annotations

from r1cli.records.attempt import Attempt, Judgement, attempt_key, canonical, reward_spec
from r1cli.records.rollouts import rollouts
from r1cli.records.store import DEFAULT, Store, matching

__all__ = [
    "DEFAULT",
    "Attempt",
    "Judgement",
    "Store",
    "attempt_key",
    "canonical",
    "matching",
    "reward_spec",
    "rollouts",
]
