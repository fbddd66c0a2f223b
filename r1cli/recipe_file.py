"""A recipe from its file: where recipes are found, how one is read, what is wrong with it.

Every message names the dotted key, its file and line, and the nearest valid name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from r1cli import source
from r1cli.errors import UsageError
from r1cli.recipe import Pipeline, Recipe
from r1cli.source import Source

Named = TypeVar("Named", Recipe, Pipeline)
Shape = TypeVar("Shape", bound=BaseModel)

Name = re.compile(r"\w[\w.+-]*")
"""A recipe's name is that of its run directory, so it leads nowhere else."""

STAGE_SET = re.compile(r"stages\.\d+\.set\.")
"""What follows is a dotted key itself: `stages.1.set.trainer.args.max_steps=40`."""


def recipes_folder() -> Path:
    """The shipped recipes: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent
    inside = here / "recipes"
    return inside if inside.is_dir() else here.parent / "recipes"


def shipped() -> dict[str, Path]:
    """Name to path of every shipped recipe: `tiny/grpo`."""
    folder = recipes_folder()
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*.yaml"))
        if path.relative_to(folder).parts[0] != "accelerate"
    }


def find(name: str, beside: Path | None = None) -> Path:
    """The file of a recipe: a path, a path beside another recipe, or a shipped name."""
    near = [beside.parent / name, beside.parent / f"{name}.yaml"] if beside else []
    for path in (*near, Path(name)):
        if _is_file(path):
            return path
    if _is_file(Path(name), folder=True):
        raise UsageError(f"{name} is a folder; name a recipe file in it")
    known = shipped()
    if name.removesuffix(".yaml") in known:
        return known[name.removesuffix(".yaml")]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "see: r1 recipe list"
    raise UsageError(f"no recipe {name!r}: no such file and no shipped recipe; {hint}")


def _is_file(path: Path, folder: bool = False) -> bool:
    try:
        return path.is_dir() if folder else path.is_file()
    except OSError:  # a name too long for a file's, a folder that may not be entered
        return False


def load(
    name: str, overrides: Sequence[str] = (), *, values: Mapping[str, Any] | None = None
) -> Recipe:
    """The training recipe called `name`, with `values` by dotted key, then `dotted.key=value`."""
    return _read(Recipe, find(name), overrides, values or {})


def load_pipeline(name: str, overrides: Sequence[str] = ()) -> Pipeline:
    return _read(Pipeline, find(name), overrides, {})


def is_pipeline(path: Path) -> bool:
    data = source.read(path).data
    return isinstance(data, dict) and "stages" in data


def _read(
    shape: type[Named], path: Path, overrides: Sequence[str], values: Mapping[str, Any]
) -> Named:
    text = source.read(path)
    if not isinstance(text.data, dict):
        raise UsageError(f"{path} holds no recipe: expected keys such as model, dataset, trainer")
    if shape is Recipe and "stages" in text.data:
        raise UsageError(f"{path} is a pipeline; run it with: r1 pipeline --recipe {path}")
    for key, value in values.items():
        text.set(key, value)
    for assignment in overrides:
        of_stage = shape is Pipeline and STAGE_SET.match(assignment)
        text.override(assignment, depth=3 if of_stage else -1)
    recipe = validate(shape, text)
    if not recipe.name:
        recipe = recipe.model_copy(update={"name": _default_name(path)})
    elif not Name.fullmatch(recipe.name):
        raise UsageError(
            f"name {recipe.name!r} at {text.at(('name',))} cannot name a run directory; "
            "use letters, digits and . _ + -"
        )
    if isinstance(recipe, Recipe):
        recipe._source = text
    return recipe


def _default_name(path: Path) -> str:
    folder = path.resolve().parent.name
    return f"{folder}-{path.stem}" if folder else path.stem


def validate(shape: type[Shape], text: Source) -> Shape:
    """The data as a recipe, or an error that names the first wrong key."""
    try:
        return shape.model_validate(text.data)
    except ValidationError as error:
        # A misspelt key first: the missing one that it causes says less.
        found = sorted(error.errors(), key=lambda p: p["type"] != "extra_forbidden")
        problems = [_explain(shape, text, problem) for problem in found]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UsageError(problems[0] + more) from error


def _explain(shape: type[BaseModel], text: Source, problem: Any) -> str:
    key = tuple(problem["loc"])
    dotted = ".".join(map(str, key)) or "the recipe"
    if problem["type"] == "invalid_key" or key[-1:] == ("[key]",):
        return f"key {problem['input']!r} in {text.at(key[:-1])} is no text: put it in quotes"
    if problem["type"] == "extra_forbidden":
        known = _fields(shape, key[:-1])
        near = difflib.get_close_matches(str(key[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {dotted!r} at {text.at(key)}; {hint}"
    if problem["type"] == "model_type":
        return f"{dotted} at {text.at(key)} has no keys; it takes: {', '.join(_fields(shape, key))}"
    if problem["type"] == "missing":
        return f"missing key {dotted!r} in {text.at(key[:-1])}"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = problem["input"]
    given = f" = {value!r}" if isinstance(value, (str, int, float, bool)) or value is None else ""
    return f"{dotted}{given} at {text.at(key)}: {message}"


def _fields(shape: Any, key: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at `key` inside `shape` has."""
    for part in key:
        if isinstance(part, int):
            continue
        shape = shape.model_fields[part].annotation
        shape = next((a for a in getattr(shape, "__args__", ()) if isinstance(a, type)), shape)
    return list(getattr(shape, "model_fields", {}))
