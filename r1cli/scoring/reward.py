"""A reward with its arguments, and the contract of one call checked at its boundary."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1cli import signature
from r1cli.errors import PluginError, R1Error, UsageError
from r1cli.plugins import Plugins
from r1cli.recipe import Recipe
from r1cli.types import Completion, Outcome, Prompt


@dataclass(frozen=True)
class BoundReward:
    """One reward of a recipe, ready to be called."""

    name: str
    function: Callable[..., Any]
    args: Mapping[str, Any]
    weight: float = 1.0

    @property
    def columns(self) -> signature.Columns:
        return signature.columns(self.function)

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
        data = self._data(columns)
        if signature.takes_prompts(self.function):
            data["prompts"] = list(prompts)
        try:
            values = self.function(list(completions), **data, **self.args)
        except R1Error:
            raise
        except Exception as error:
            raise PluginError(
                f"reward {self.name!r} raised {type(error).__name__}: {_line(error)}"
                f"{self._culprit(completions, data)}"
            ) from error
        return self._outcomes(values, completions)

    def _data(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The columns that this reward reads; one that is called like an argument is not data."""
        known = self.columns
        wanted = {*known.required, *known.optional}
        if signature.collects_columns(self.function):
            wanted |= {*columns} - {*signature.parameters(self.function), *signature.GIVEN}
        return {name: list(values) for name, values in columns.items() if name in wanted}

    def _culprit(self, completions: Sequence[Completion], data: Mapping[str, list[Any]]) -> str:
        """The first sample on which the reward raises by itself, for the message."""
        for i, completion in enumerate(completions):
            one = {name: [values[i]] for name, values in data.items()}
            try:
                self.function([completion], **one, **self.args)
            except Exception:
                read = {name: value[0] for name, value in one.items() if name != "prompts"}
                columns = f", columns {reprlib.repr(read)}" if read else ""
                return f" on sample {i} ({str(completion)[:60]!r}{columns})"
        return ""

    def _outcomes(self, values: Any, completions: Sequence[Completion]) -> list[Outcome]:
        if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__len__"):
            raise PluginError(
                f"reward {self.name!r} returned {type(values).__name__}, "
                "expected a list with one number or None per completion"
            )
        if len(values) != len(completions):
            raise PluginError(
                f"reward {self.name!r} returned {len(values)} values "
                f"for {len(completions)} completions"
            )
        return [self._outcome(i, v, completions[i]) for i, v in enumerate(values)]

    def _outcome(self, index: int, value: Any, completion: Completion) -> Outcome:
        if value is None:
            return Outcome("not_applicable")
        number = None if isinstance(value, (str, bytes)) else _number(value)
        if number is None or not math.isfinite(number):
            raise PluginError(
                f"reward {self.name!r} returned {value!r} for sample {index} "
                f"({str(completion)[:60]!r}), expected a finite number or None"
            )
        return Outcome("score", number)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def bind_rewards(recipe: Recipe, plugins: Plugins) -> list[BoundReward]:
    """The rewards of a recipe, names looked up and arguments checked."""
    bound: list[BoundReward] = []
    for number, term in enumerate(recipe.rewards):
        where = recipe.where("rewards", number, "name")
        entry = plugins["rewards"].get(term.name, where)
        if any(reward.name == entry.name for reward in bound):
            raise UsageError(f"reward {entry.name!r} is listed twice, at {where}")
        function = entry.load()
        args = signature.bind(
            function,
            term.args,
            what=f"reward {entry.name!r}",
            where=recipe.where("rewards", number, "args"),
        )
        bound.append(BoundReward(entry.name, function, args, term.weight))
    return bound


def total(outcomes: Sequence[Sequence[Outcome]], weights: Sequence[float]) -> list[float | None]:
    """Weighted sum per completion over the rewards that scored it; None where none did.

    `outcomes[r][i]` is reward r on completion i.
    """
    sums: list[float | None] = []
    for column in zip(*outcomes, strict=True):
        parts = [w * o.value for w, o in zip(weights, column, strict=True) if o.value is not None]
        sums.append(sum(parts) if parts else None)
    return sums
