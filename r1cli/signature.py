"""A function's signature is its schema: which columns it reads, which arguments it takes.

Nothing is declared twice: the keyword-only parameters of a reward are the `args` that a recipe may
give, and their annotations and defaults are what is checked, before any model is loaded.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from r1cli.errors import UsageError

GIVEN = ("completions", "prompts")
"""Positional parameters of a reward that are no dataset columns."""

SERVICES = ("code",)
"""Keyword-only parameters of a reward that r1 supplies and no recipe may give."""


@dataclass(frozen=True)
class Columns:
    required: tuple[str, ...]
    optional: tuple[str, ...]


def columns(reward: Callable[..., Any]) -> Columns:
    """The dataset columns that a reward reads, from its positional parameters."""
    data = [
        p
        for p in inspect.signature(reward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in GIVEN
    ]
    return Columns(
        tuple(p.name for p in data if p.default is p.empty),
        tuple(p.name for p in data if p.default is not p.empty),
    )


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters: what a recipe may give under `args`."""
    return {
        p.name: p
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }


def services(reward: Callable[..., Any]) -> tuple[str, ...]:
    """The services that a reward asks for, by the names of its parameters."""
    return tuple(name for name in parameters(reward) if name in SERVICES)


def bind(
    function: Callable[..., Any],
    args: Mapping[str, Any],
    *,
    what: str,
    where: str,
    services: Mapping[str, Any] | None = None,
    expected: Collection[str] = (),
    also: Collection[str] = (),
) -> dict[str, Any]:
    """`args` checked and converted against the keyword-only parameters of `function`.

    `services` are handed in where a parameter asks for them by name and the recipe is silent (a
    recipe's `seed`, say). `expected` names parameters that the caller supplies; `also`, further
    names that a recipe may give here, for the suggestions.
    Raises UsageError naming `what` (reward 'cosine') and `where` it was said.
    """
    known = parameters(function)
    open_ended = "completions" not in _names(function) and _collects(function)
    for name in args:
        if (name not in known and not open_ended) or name in expected:
            allowed = [k for k in (*known, *also) if k not in expected or k in also]
            near = difflib.get_close_matches(name, allowed, n=1)
            takes = f"it takes: {', '.join(allowed) or 'none'}"
            hint = f"did you mean {near[0]!r}?" if near else takes
            raise UsageError(f"{what} has no argument {name!r}, given at {where}; {hint}")
    offered = {name: value for name, value in (services or {}).items() if name in known}
    values = {**offered, **args}
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in values and name not in expected:
            raise UsageError(f"{what} needs argument {name!r}, missing at {where}")
    return _converted(function, values, what=what, where=where)


def collects_columns(reward: Callable[..., Any]) -> bool:
    """Whether the reward has a `**columns` that takes every column of the dataset."""
    return _collects(reward)


def takes_prompts(reward: Callable[..., Any]) -> bool:
    return "prompts" in _names(reward) or _collects(reward)


def _names(function: Callable[..., Any]) -> Collection[str]:
    return inspect.signature(function).parameters


def _collects(function: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _converted(
    function: Callable[..., Any], values: dict[str, Any], *, what: str, where: str
) -> dict[str, Any]:
    known = parameters(function)
    converted = dict(values)
    for name in [name for name in values if name in known]:
        # A model of one field: a field may be called anything here, `schema` and `_x` included.
        shape = create_model(
            "Argument",
            __config__=ConfigDict(arbitrary_types_allowed=True),
            value=(_hint(function, known[name]), ...),
        )
        try:
            converted[name] = shape.model_validate({"value": values[name]}).value  # type: ignore[attr-defined]
        except ValidationError as error:
            problem = error.errors()[0]
            place = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
            message = problem["msg"][:1].lower() + problem["msg"][1:]
            raise UsageError(
                f"{what}: argument {name + place!r} = {problem['input']!r}, "
                f"given at {where}: {message}"
            ) from error
    return converted


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation as a type; Any where it names what only a type checker imports."""
    if parameter.annotation is parameter.empty:
        return Any
    while isinstance(function, functools.partial):
        function = function.func
    scope = getattr(function, "__globals__", None) or vars(inspect.getmodule(function))
    holder = SimpleNamespace(__annotations__={"hint": parameter.annotation})
    try:
        return get_type_hints(holder, scope)["hint"]
    except NameError:
        return Any
