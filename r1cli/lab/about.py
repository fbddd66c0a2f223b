"""What a reward says of itself: its signature, and the sections of its docstring.

A docstring may hold `Columns:`, `Args:`, `Range:`, `Source:` (or `Sources:`) and `Pays:`; each runs
to the next of them or to an empty line. `Args:` and `Pays:` are lists of indented `name: text`;
`Pays:` names the attacks of the audit that are known to pay, with the reason why that is right.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from r1cli import signature
from r1cli.registry import Entry

_SECTION = re.compile(r"(?<!\S)(Columns|Args|Range|Sources?|Pays|Limits):\s")


@dataclass(frozen=True)
class Argument:
    name: str
    type: str
    default: Any
    about: str


@dataclass(frozen=True)
class About:
    """A reward as `r1 reward show` prints it."""

    name: str
    plugin: str
    help: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    every_column: bool
    args: list[Argument]
    range: str
    source: str
    pays: dict[str, str]
    summary: str
    columns: str
    golden_cases: int = 0

    def facts(self) -> dict[str, Any]:
        """What there is to say besides the arguments."""
        facts = {
            "reward": f"{self.name}, of plugin {self.plugin}",
            "what": self.summary or self.help,
            "columns": ", ".join(self.required) or "none",
            "optional columns": ", ".join(self.optional),
            "about columns": self.columns,
            "range": self.range,
            "source": self.source,
            "golden cases": self.golden_cases,
            **{f"pays: {attack}": reason for attack, reason in self.pays.items()},
        }
        return {name: value for name, value in facts.items() if value}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def about(entry: Entry, *, name: str = "", golden_cases: int = 0) -> About:
    """Everything known of a registered reward. Raises PluginError if it cannot be loaded."""
    function = entry.load()
    said = sections(function)
    known = signature.columns(function)
    described = listed(said.get("Args", ""))
    return About(
        name=name or entry.name,
        plugin=entry.plugin,
        help=entry.help,
        required=known.required,
        optional=known.optional,
        every_column=signature.collects_columns(function),
        args=[_argument(p, described) for p in _parameters(function)],
        range=_joined(said.get("Range", "")).rstrip("."),
        source=_joined(said.get("Source", "") or said.get("Sources", "")).rstrip("."),
        pays=pays(function),
        summary=_joined(said.get("", "").partition("\n\n")[0]),
        columns=_joined(said.get("Columns", "")),
        golden_cases=golden_cases,
    )


def pays(function: Callable[..., Any]) -> dict[str, str]:
    """The attacks that a reward declares as paying, with its reasons."""
    return listed(sections(function).get("Pays", ""))


def sections(function: Callable[..., Any]) -> dict[str, str]:
    """The docstring by section; what stands before the first is under the empty name."""
    text = inspect.getdoc(function) or ""
    marks = list(_SECTION.finditer(text))
    found = {"": text[: marks[0].start()] if marks else text}
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        body = text[mark.end(1) + 1 : following.start() if following else len(text)]
        is_list = mark[1] in ("Args", "Pays")
        end = r"\n(?=\S)" if is_list else r"\n\n"  # a list is indented
        found[mark[1]] = re.split(end, body, maxsplit=1)[0]
    return found


def listed(section: str) -> dict[str, str]:
    """Indented `name: text` lines as a dict; `a, b: text` describes both."""
    found: dict[str, str] = {}
    names: list[str] = []
    text = re.sub(r"(?m)^(\w+(?:, \w+)*,)\n", r"\1 ", inspect.cleandoc(section))
    for line in text.splitlines():
        match = re.match(r"(\w+(?:, *\w+)*):\s*(.*)", line)
        if match:
            names = re.split(r", *", match[1])
            found.update(dict.fromkeys(names, match[2]))
        elif line.startswith(" ") and names:
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
        elif line.strip():
            break  # the list has ended; what follows is prose
    return found


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments, their annotations as types where they can be had."""
    services = signature.services(function)
    names = {n: p for n, p in signature.parameters(function).items() if n not in services}
    try:
        known = inspect.signature(function, eval_str=True).parameters
    except NameError:  # it names what only a type checker imports
        return list(names.values())
    return [known[name] for name in names]


def _argument(parameter: inspect.Parameter, described: dict[str, str]) -> Argument:
    hint = "" if parameter.annotation is parameter.empty else parameter.annotation
    return Argument(
        parameter.name,
        hint if isinstance(hint, str) else inspect.formatannotation(hint).replace("typing.", ""),
        "required" if parameter.default is parameter.empty else parameter.default,
        described.get(parameter.name, ""),
    )


def _joined(text: str) -> str:
    return " ".join(text.split())
