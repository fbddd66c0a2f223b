"""Golden cases: what a reward must answer, shipped beside it as `golden/<reward>.jsonl`.

A row holds `completion` and `expect` (a number, null for "not applicable", or [low, high]), and may
hold `prompt`, `args`, `why`, `prefill`, `tokens` and `truncated`; all else are dataset columns.
`completions` instead of `completion` is a group of one prompt: then `expect` has one entry each,
and so may `tokens`, `prefill` and `truncated`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from r1cli import signature
from r1cli.errors import PluginError, R1Error
from r1cli.plugins import Plugins
from r1cli.registry import Entry
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Completion, Outcome, Prompt

TOLERANCE = 1e-4
OF_A_COMPLETION = ("prefill", "tokens", "truncated")
OF_A_CASE = ("completion", "completions", "expect", "prompt", "args", "why", *OF_A_COMPLETION)

Expectation = float | None | tuple[float, float]


@dataclass(frozen=True)
class Case:
    """One golden case: the completions of one prompt and what each must be paid."""

    where: str
    prompt: Prompt
    completions: tuple[Completion, ...]
    columns: Mapping[str, Any]
    args: Mapping[str, Any]
    expect: tuple[Expectation, ...]
    why: str

    def columns_for(self, count: int) -> dict[str, list[Any]]:
        return {name: [value] * count for name, value in self.columns.items()}


@dataclass(frozen=True)
class Verdict:
    """What became of one case; `problem` is empty where all is as expected."""

    case: Case
    got: tuple[Outcome, ...]
    problem: str


def cases(entry: Entry) -> list[Case]:
    """The golden cases that ship with a reward; none where its package has no file for it.

    Raises PluginError, naming file and row, for a file that holds something else.
    """
    function = entry.load()
    module = sys.modules.get(getattr(function, "__module__", ""))
    package = getattr(module, "__package__", "")
    if not package:
        return []
    file = resources.files(package) / "golden" / f"{entry.name}.jsonl"
    if not file.is_file():
        return []
    where = f"{package}/golden/{entry.name}.jsonl"
    lines = file.read_text(encoding="utf-8").split("\n")
    return [
        _case(line, f"{where}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def given_args(found: Sequence[Case], args: Mapping[str, Any]) -> list[Case]:
    """The cases with arguments that they leave open, an endpoint say, as `args` has them."""
    return [replace(case, args={**args, **case.args}) for case in found]


def wanting(entry: Entry, found: Sequence[Case]) -> list[str]:
    """The arguments without a default that a case does not give."""
    function = entry.load()
    services = signature.services(function)
    return [
        name
        for name, parameter in signature.parameters(function).items()
        if parameter.default is parameter.empty and name not in services
        if any(name not in case.args for case in found)
    ]


def run(entry: Entry, found: Sequence[Case], plugins: Plugins) -> Iterator[Verdict]:
    """Each case scored, in the order of the file within each set of arguments."""
    by_args: dict[str, list[Case]] = {}
    for case in found:
        by_args.setdefault(json.dumps(case.args, sort_keys=True), []).append(case)
    for group in by_args.values():
        reward = bind_reward(entry.qualified, group[0].args, plugins, where=group[0].where)
        with Scorer([reward]) as scorer:
            for case in group:
                yield _verdict(case, scorer)


def _verdict(case: Case, scorer: Scorer) -> Verdict:
    count = len(case.completions)
    try:
        [got] = scorer.score(case.completions, [case.prompt] * count, case.columns_for(count))
    except R1Error as error:
        return Verdict(case, (), str(error))
    for outcome, expected in zip(got, case.expect, strict=True):
        if not agrees(outcome, expected):
            said = f"{outcome.value:g}" if outcome.value is not None else outcome.status
            because = f" ({outcome.reason})" if outcome.reason else ""
            return Verdict(case, tuple(got), f"got {said}{because}, expected {shown(expected)}")
    return Verdict(case, tuple(got), "")


def agrees(outcome: Outcome, expected: Expectation) -> bool:
    if expected is None:
        return outcome.status == "not_applicable"
    if outcome.value is None:
        return False
    if isinstance(expected, tuple):
        return expected[0] - TOLERANCE <= outcome.value <= expected[1] + TOLERANCE
    return math.isclose(outcome.value, expected, abs_tol=TOLERANCE)


def shown(expected: Expectation) -> str:
    if expected is None:
        return "not applicable"
    return f"{expected[0]:g} to {expected[1]:g}" if isinstance(expected, tuple) else f"{expected:g}"


def _case(line: str, where: str) -> Case:
    try:
        row = json.loads(line)
        texts = row["completions"] if "completions" in row else [row["completion"]]
        expect = row["expect"] if "completions" in row else [row["expect"]]
        case = Case(
            where=where,
            prompt=row.get("prompt", ""),
            completions=tuple(_completions(row, texts)),
            columns={name: value for name, value in row.items() if name not in OF_A_CASE},
            args=dict(row.get("args", {})),
            expect=tuple(_expectation(value) for value in expect),
            why=row.get("why", ""),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        said = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise PluginError(f"{where} is no golden case: {said}") from error
    if len(case.expect) != len(case.completions):
        raise PluginError(
            f"{where} expects {len(case.expect)} values for {len(case.completions)} completions"
        )
    return case


def _completions(row: Mapping[str, Any], texts: Sequence[str]) -> Iterator[Completion]:
    for index, text in enumerate(texts):
        known = {name: row[name] for name in OF_A_COMPLETION if name in row}
        one = {n: v[index] if isinstance(v, list) else v for n, v in known.items()}
        yield Completion(text, **one)


def _expectation(value: Any) -> Expectation:
    if value is None:
        return None
    if isinstance(value, list):
        low, high = map(float, value)
        return low, high
    return float(value)
