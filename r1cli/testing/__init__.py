"""The contract of a reward, as a test: what training relies on. See `check_reward`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from r1cli import signature
from r1cli.code.service import CodeService
from r1cli.errors import UsageError
from r1cli.plugins import load_plugins
from r1cli.scoring import BoundReward, bind_reward
from r1cli.testing.contract import Contract
from r1cli.testing.declared_range import declared_range
from r1cli.testing.sample_batch import Batch, sample_batch

__all__ = ["Report", "check_reward"]

__tracebackhide__ = True  # of a failure pytest shows its sentence; these frames say nothing


@dataclass(frozen=True)
class Report:
    """What was measured of a reward that keeps its contract."""

    name: str
    samples: int
    seconds_per_sample: float
    slowest: str
    slowest_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {1e6 * self.seconds_per_sample:.0f} us per sample; "
            f"slowest input: {self.slowest}, {1e3 * self.slowest_seconds:.1f} ms"
        )


def check_reward(
    reward: str | Callable[..., Any],
    *,
    columns: Mapping[str, Sequence[Any]] | None = None,
    args: Mapping[str, Any] | None = None,
    grouped: bool = False,
    seconds: float = 1.0,
) -> Report:
    """Raise AssertionError, with one sentence, where a reward breaks its contract.

    `reward` is a registered name or the function itself. `columns` holds sample values of what it
    reads besides `solution`, one for each of three prompts, repeated as needed; `args` are what a
    recipe would give. A reward that is `grouped` compares the completions of one prompt, and must
    still not depend on other prompts. A sample may take `seconds`, an odd one ten times that.
    """
    where = "reward_contract(args=...)"
    if isinstance(reward, str):
        named = bind_reward(reward, args or {}, load_plugins(), where=where)
        name, function, bound = reward, named.function, dict(named.args)
    else:
        name, function = getattr(reward, "__name__", repr(reward)), reward
        bound = signature.bind(function, args or {}, what=f"reward {name!r}", where=where)
    contract = Contract(name, function, bound, grouped, declared_range(function, bound))
    contract.pickles()
    if grouped and BoundReward(name, function, bound).per_sample:
        raise contract.fail(
            "is called with one completion at a time, so it cannot compare those of one prompt; "
            "let it read `prompts`: name it as a parameter"
        )
    batch = sample_batch(_given(name, function, columns or {}))
    with ExitStack() as held:
        for service in bound.values():
            if isinstance(service, CodeService):
                held.enter_context(service)
        return _tried(contract, batch, seconds)


def _tried(contract: Contract, batch: Batch, seconds: float) -> Report:
    contract.values(batch, "the sample batch")  # what is loaded on first use is not timed
    started = time.perf_counter()
    values = contract.values(batch, "the sample batch")
    each = (time.perf_counter() - started) / len(batch)
    contract.independent(batch, values)
    contract.tolerates_unknown_columns(batch, values)
    slowest, longest = contract.survives_odd_input(batch, 10 * seconds)
    if each > seconds:
        name = contract.name
        raise AssertionError(
            f"reward {name!r} took {each:.2f} s per sample, more than {seconds:g}; make it faster, "
            f"or allow it: reward_contract({name!r}, seconds={math.ceil(2 * each)})"
        )
    return Report(contract.name, len(batch), each, slowest, longest)


def _given(
    name: str, function: Callable[..., Any], columns: Mapping[str, Sequence[Any]]
) -> dict[str, Sequence[Any]]:
    """Sample values for what the reward reads; only `solution` can be thought of here."""
    known = signature.columns(function)
    given = dict(columns)
    for column in known.required:
        if column not in given and column != "solution":
            raise UsageError(
                f"reward {name!r} wants column {column!r}; give sample values: "
                f"reward_contract({name!r}, columns={{{column!r}: [...]}})"
            )
    if "solution" in (*known.required, *known.optional):
        given.setdefault("solution", ("6", "12", "7"))
    return given
