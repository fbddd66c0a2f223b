"""A reward with its arguments, and the contract of one call checked at its boundary."""

from __future__ import annotations

import asyncio
import inspect
import math
import reprlib
import traceback
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from r1cli import signature
from r1cli.errors import PluginError, R1Error, UsageError
from r1cli.types import Completion, Outcome, Prompt


class RewardError(PluginError):
    """A bug in a reward or its data: `index` is the first sample that shows it, if one alone does.

    `trace` is the traceback, which other processes do not see.
    """

    def __init__(
        self, what: str, index: int | None = None, shown: str = "", hint: str = "", trace: str = ""
    ) -> None:
        self.index, self.trace = index, trace
        self._parts = (what, shown, hint)
        super().__init__(what + (f" sample {index} ({shown})" if index is not None else "") + hint)

    def __reduce__(self) -> tuple[Any, ...]:
        what, shown, hint = self._parts
        return RewardError, (what, self.index, shown, hint, self.trace)

    def at(self, index: int | None, more: str = "") -> RewardError:
        """The same error where the sample has another number, with more said."""
        what, shown, hint = self._parts
        if self.index is not None and index is None:
            what = what.removesuffix(" on").removesuffix(" for")
        return RewardError(what, index, shown, hint + more, self.trace)


@dataclass(frozen=True)
class BoundReward:
    """One reward of a recipe, ready to be called.

    `seconds` overrides the time limit of a call, and so does an attribute `seconds` of the
    function, for a reward that waits for what has limits of its own.
    """

    name: str
    function: Callable[..., Any]
    args: Mapping[str, Any]
    weight: float = 1.0
    seconds: float | None = None

    @property
    def columns(self) -> signature.Columns:
        return signature.columns(self.function)

    @property
    def per_sample(self) -> bool:
        """Whether a completion may be judged without the others of its prompt.

        A reward that names `prompts` may compare within a group, unless it says
        `reward.per_sample = True`.
        """
        named = "prompts" in inspect.signature(self.function).parameters
        return bool(getattr(self.function, "per_sample", not named))

    @property
    def is_async(self) -> bool:
        call = getattr(self.function, "__call__", None)  # noqa: B004 - an object with async __call__
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    def check_columns(self, present: Sequence[str], where: str = "dataset.columns") -> None:
        """Raise UsageError if a column that this reward cannot do without is absent."""
        for column in self.columns.required:
            if column not in present:
                raise UsageError(
                    f"reward {self.name!r} wants column {column!r}; the dataset has "
                    f"{', '.join(present)}; rename one with {where}: {{{column}: ...}}"
                )

    def score(
        self,
        completions: Sequence[Completion],
        prompts: Sequence[Prompt],
        columns: Mapping[str, Sequence[Any]],
    ) -> list[Outcome]:
        """One outcome per completion; `columns` hold one value per completion.

        Raises PluginError when the reward raises or breaks its contract: an exception is a bug in
        the reward or its data, and a bug must never be learned from as a zero.
        """
        return self.call(completions, self.data(prompts, columns))

    def data(
        self, prompts: Sequence[Prompt], columns: Mapping[str, Sequence[Any]]
    ) -> dict[str, list[Any]]:
        """The columns that this reward reads; one that is called like an argument is not data."""
        known = self.columns
        wanted = {*known.required, *known.optional}
        if signature.collects_columns(self.function):
            wanted |= {*columns} - {*signature.parameters(self.function), *signature.GIVEN}
        data = {name: list(values) for name, values in columns.items() if name in wanted}
        if signature.takes_prompts(self.function):
            data["prompts"] = list(prompts)
        return data

    def call(
        self, completions: Sequence[Completion], data: Mapping[str, list[Any]]
    ) -> list[Outcome]:
        """Judge `completions`; `data` is what `data()` chose, one value per completion."""
        try:
            values = self.function(list(completions), **data, **self.args)
            if inspect.iscoroutine(values):
                values = asyncio.run(values)
        except (R1Error, MemoryError):
            raise
        except Exception as error:
            raise self._raised(
                error, self._culprit(completions, data), completions, data
            ) from error
        return self._outcomes(values, completions)

    async def call_async(
        self, completions: Sequence[Completion], data: Mapping[str, list[Any]]
    ) -> list[Outcome]:
        """`call` for an `async def` reward, awaited."""
        try:
            values = await self.function(list(completions), **data, **self.args)
        except (R1Error, MemoryError):
            raise
        except Exception as error:
            alone = 0 if len(completions) == 1 else None
            raise self._raised(error, alone, completions, data) from error
        return self._outcomes(values, completions)

    def _culprit(
        self, completions: Sequence[Completion], data: Mapping[str, list[Any]]
    ) -> int | None:
        """The first sample on which the reward raises by itself."""
        for i, completion in enumerate(completions):
            one = {name: [values[i]] for name, values in data.items()}
            try:
                self.function([completion], **one, **self.args)
            except Exception:
                return i
        return None

    def _raised(
        self,
        error: Exception,
        index: int | None,
        completions: Sequence[Completion],
        data: Mapping[str, list[Any]],
    ) -> RewardError:
        what = f"reward {self.name!r} raised {type(error).__name__}: {' '.join(str(error).split())}"
        trace = "".join(traceback.format_exception(error))
        if index is None:
            return RewardError(what, trace=trace)
        read = {name: values[index] for name, values in data.items() if name != "prompts"}
        shown = f"{str(completions[index])[:60]!r}"
        shown += f", columns {reprlib.repr(read)}" if read else ""
        return RewardError(f"{what} on", index, shown, trace=trace)

    def _outcomes(self, values: Any, completions: Sequence[Completion]) -> list[Outcome]:
        count = None if isinstance(values, (str, bytes, dict, Set)) else _length(values)
        if count is None:
            raise RewardError(
                f"reward {self.name!r} returned {type(values).__name__}, "
                "expected a list with one number or None per completion"
            )
        if count != len(completions):
            raise RewardError(
                f"reward {self.name!r} returned {count} values for {len(completions)} completions"
            )
        return [self._outcome(i, v, completions[i]) for i, v in enumerate(values)]

    def _outcome(self, index: int, value: Any, completion: Completion) -> Outcome:
        if value is None:
            return Outcome("not_applicable")
        number = None if isinstance(value, (str, bytes)) else _number(value)
        if number is None or not math.isfinite(number):
            raise RewardError(
                f"reward {self.name!r} returned {value!r} for",
                index,
                f"{str(completion)[:60]!r}",
                ", expected a finite number or None",
            )
        return Outcome("score", number)


def _length(values: Any) -> int | None:
    """None for what has none: a number, a generator, a tensor without dimensions."""
    try:
        return len(values)
    except TypeError:
        return None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def total(outcomes: Sequence[Sequence[Outcome]], weights: Sequence[float]) -> list[float | None]:
    """Weighted sum per completion over the rewards that scored it; None where none did.

    `outcomes[r][i]` is reward r on completion i. A completion that any reward failed on has none:
    a sum without that part would be another reward.
    """
    sums: list[float | None] = []
    for column in zip(*outcomes, strict=True):
        failed = any(outcome.status == "failed" for outcome in column)
        parts = [w * o.value for w, o in zip(weights, column, strict=True) if o.value is not None]
        sums.append(sum(parts) if parts and not failed else None)
    return sums
