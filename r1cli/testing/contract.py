"""Each promise of a reward, tried on it. What is broken is an AssertionError of one sentence."""

from __future__ import annotations

import math
import pickle
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1cli import signature
from r1cli.errors import MissingExtra, ProviderError
from r1cli.testing.declared_range import Range
from r1cli.testing.sample_batch import Batch, odd_completions

__tracebackhide__ = True

UNKNOWN = "a_column_that_no_reward_knows"


@dataclass(frozen=True)
class Contract:
    """A reward with its arguments, and what it declares of itself."""

    name: str
    function: Callable[..., Any]
    args: Mapping[str, Any]
    grouped: bool
    range: Range | None

    def fail(self, said: str) -> AssertionError:
        return AssertionError(f"reward {self.name!r} {said}")

    def values(self, batch: Batch, what: str) -> list[float | None]:
        """One call, made as a run makes it; its values are numbers, or None, in the range."""
        data: dict[str, Any] = {name: list(values) for name, values in batch.columns.items()}
        if signature.takes_prompts(self.function):
            data["prompts"] = list(batch.prompts)
        completions = list(batch.completions)
        try:
            values = _finished(self.function(completions, **data, **self.args))
        except (MissingExtra, ProviderError):
            raise
        except Exception as error:
            raise self.fail(
                f"raised {type(error).__name__} for {what}: {' '.join(str(error).split())}; "
                "return None for what cannot be judged"
            ) from error
        if completions != list(batch.completions):
            raise self.fail("changed the list of completions, which other rewards read too")
        if not isinstance(values, (list, tuple)) or len(values) != len(batch):
            size = f" of {len(values)}" if isinstance(values, (list, tuple)) else ""
            raise self.fail(
                f"returned {type(values).__name__}{size} for {what} with {len(batch)} completions, "
                "expected a list with one number or None for each"
            )
        return [self._number(value, i, what) for i, value in enumerate(values)]

    def _number(self, value: Any, index: int, what: str) -> float | None:
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, (str, bytes)) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.fail(
                f"returned {value!r} for completion {index} of {what}, "
                "expected a finite number or None"
            )
        if self.range and number not in self.range:
            raise self.fail(
                f"returned {number:g} for completion {index} of {what}, "
                f"outside of the range it declares, {self.range}"
            )
        return number

    def independent(self, batch: Batch, values: list[float | None]) -> None:
        """The same again, in another order, and in smaller batches, gives the same."""
        again = self.values(batch, "the sample batch")
        self._same(values, again, range(len(batch)), "when called again with the same", "")
        order = random.Random(0).sample(range(len(batch)), len(batch))
        shuffled = self.values(batch.take(order), "the sample batch in another order")
        expected = [values[i] for i in order]
        self._same(expected, shuffled, order, "in another order of the batch", "")
        hint = (
            ""
            if self.grouped
            else f"; if it compares the completions of one prompt, say "
            f"reward_contract({self.name!r}, grouped=True)"
        )
        for part in batch.groups() if self.grouped else [[i] for i in range(len(batch))]:
            alone = self.values(batch.take(part), f"completions {part} alone")
            where = "with its prompt alone" if self.grouped else "alone"
            self._same([values[i] for i in part], alone, part, where, hint)

    def _same(
        self,
        before: Sequence[float | None],
        after: Sequence[float | None],
        indices: Sequence[int],
        where: str,
        hint: str,
    ) -> None:
        for index, one, two in zip(indices, before, after, strict=True):
            if one != two and (
                one is None or two is None or not math.isclose(one, two, abs_tol=1e-9)
            ):
                raise self.fail(
                    f"gave completion {index} {one} in the sample batch and {two} {where}{hint}"
                )

    def tolerates_unknown_columns(self, batch: Batch, values: list[float | None]) -> None:
        if not signature.collects_columns(self.function):
            return  # a run then hands over nothing but the columns it names
        more = batch.with_column(UNKNOWN, [f"value {i}" for i in range(len(batch))])
        found = self.values(more, "a batch with a column that it does not know")
        self._same(values, found, range(len(batch)), "beside a column that it does not know", "")

    def survives_odd_input(self, batch: Batch, limit: float) -> tuple[str, float]:
        """What took longest of all odd input, and how long."""
        slowest = ("", 0.0)
        one = batch.take([0])
        odd = {what: one.with_completion(text) for what, text in odd_completions().items()}
        odd |= {
            f"a row whose {name!r} is None": one.with_column(name, [None]) for name in one.columns
        }
        for what, sample in odd.items():
            started = time.perf_counter()
            self.values(sample, what)
            took = time.perf_counter() - started
            slowest = max(slowest, (what, took), key=lambda pair: pair[1])
            if took > limit:
                raise self.fail(f"took {took:.1f} s for {what}, more than {limit:g}")
        return slowest

    def pickles(self) -> None:
        """Workers and AsyncGRPO get a reward by its name."""
        try:
            pickle.dumps(self.function)  # finds it by its name
        except Exception as error:
            raise self.fail(
                f"cannot be sent to a worker ({type(error).__name__}: {error}); "
                "define it at the top of a module, not inside a function"
            ) from error


def _finished(values: Any) -> Any:
    """The values of an async reward; any others as they are."""
    import asyncio
    import inspect

    return asyncio.run(_awaited(values)) if inspect.isawaitable(values) else values


async def _awaited(values: Any) -> Any:
    return await values
