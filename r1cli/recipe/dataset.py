"""The keys under `dataset`: one by name, or a mixture of several."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from r1cli.recipe.parts import Component, Strict


class MixtureItem(Component):
    """One part: `name` and `args`, or `path` of a file, or `id`, `config`, `split` on the hub.

    `weight` is the share of this dataset that is kept, or its part of the whole mixture with
    `dataset.proportions`. `columns` maps wanted names to present ones; a list keeps those alone.
    `rewards` names those of the recipe's rewards that apply to its rows; unset means all.
    """

    columns: dict[str, str] = {}
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rewards: list[str] | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        given = dict(given)
        if isinstance(columns := given.get("columns"), list):
            given["columns"] = {name: name for name in columns}
        if "name" in given or not given.keys() & {"id", "path"}:
            return given
        if {"id", "path"} <= given.keys():
            raise ValueError("give either id, of the hub, or path, of a file")
        kind, names = ("file", FILE_KEYS) if "path" in given else ("hub", HUB_KEYS)
        args = {name: given.pop(name) for name in names if name in given}
        return {**given, "name": kind, "args": {**args, **given.get("args", {})}}

    @property
    def label(self) -> str:
        """What the part is called in a message."""
        return str(self.args.get("path") or self.args.get("id") or self.name)


HUB_KEYS = ("id", "config", "split", "revision")
FILE_KEYS = ("path", "format", "on_error")
"""What a part of a mixture may give without `name` and `args`."""


class Curriculum(Strict):
    """Which rows are trained on, and in which order, by the pass rate of each row's problem.

    That is the mean of `reward` (the recipe's first unless given) over the problem's attempts by
    `model` (the recipe's own unless given) in the store `records`, or over the rollouts of `run`.
    Rows outside `min` and `max` are left out, the bounds are kept. Without an `order` the trainer
    shuffles. `unknown` rows, without a judged attempt, come last where they are kept.
    """

    reward: str | None = None
    model: str | None = None
    records: str = "runs/records"
    run: str | None = None
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    order: Literal["easy_first", "hard_first"] | None = None
    unknown: Literal["keep", "drop"] = "keep"

    @model_validator(mode="after")
    def _says_something(self) -> Curriculum:
        if self.run is not None and self.model is not None:
            raise ValueError("the rollouts of run are all of its own policy: leave out model")
        if (self.min, self.max, self.order) == (None, None, None):
            raise ValueError("give min or max, to leave rows out, or order")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


class Dataset(Strict):
    """One dataset by name, or a mixture of several. `columns` maps wanted names to present ones.

    With `proportions` the weights of a mixture are parts of the whole, of `size` rows or as many as
    there can be; `oversample` lets rows repeat. `seed` is the recipe's unless given.
    `test_split_size`, a share or a number of problems, is held out from training and evaluated.
    `curriculum` chooses and orders the rest by what was ever sampled.
    """

    name: str | None = None
    args: dict[str, Any] = {}
    columns: dict[str, str] = {}
    mixture: list[MixtureItem] = []
    proportions: bool = False
    oversample: bool = False
    size: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    test_split_size: int | float | None = Field(default=None, gt=0)
    curriculum: Curriculum | None = None

    @model_validator(mode="after")
    def _mixture_alone(self) -> Dataset:
        if self.size is not None and not self.proportions:
            raise ValueError("size needs proportions: true; else weights say how many rows")
        if not self.mixture and (self.proportions or self.oversample):
            raise ValueError("proportions and oversample are for a mixture")
        heavy = [item.weight for item in self.mixture if item.weight > 1]
        if heavy and not (self.proportions or self.oversample):
            raise ValueError(
                f"weight {heavy[0]:g} takes rows more than once: say oversample: true, "
                "or proportions: true where weights are parts of the whole"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Dataset:
        if (self.name is None) == (not self.mixture):
            raise ValueError("give either name or mixture")
        return self

    @property
    def items(self) -> list[MixtureItem]:
        """The datasets that make up the rows, one or several."""
        if self.mixture:
            return self.mixture
        assert self.name is not None
        return [MixtureItem(name=self.name, args=self.args, columns=self.columns)]
