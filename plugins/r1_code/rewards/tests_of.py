"""What the columns of a row ask for: runs on stdin, calls with known results, or test code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1_code.rewards.extract import canonical


@dataclass(frozen=True)
class Run:
    """A program is given `stdin` and must print `expected`."""

    stdin: bytes
    expected: bytes


@dataclass(frozen=True)
class Call:
    """A function is called with `arguments` and must return `expected`: JSON values both."""

    arguments: Sequence[Any]
    expected: Any


@dataclass(frozen=True)
class Runs:
    """Tests on stdin and stdout, in any language. `left_out` had no expected output."""

    tests: Sequence[Run]
    language: str = ""
    left_out: int = 0


@dataclass(frozen=True)
class Calls:
    """Calls of one function of a Python program."""

    function: str
    tests: Sequence[Call]
    language: str = "python"
    left_out: int = 0


@dataclass(frozen=True)
class Asserts:
    """Python that calls the solution and asserts.

    `statements` are tests one by one, `modules` whole files, which may define `check(candidate)`;
    `preamble` is run before them and before the solution; `entry_point` is what `candidate` means.
    """

    statements: Sequence[str] = ()
    modules: Sequence[str] = ()
    preamble: str = ""
    entry_point: str = ""
    language: str = "python"


Tests = Runs | Calls | Asserts

COLUMNS = ("verification_info", "input_output", "tests", "test_list", "test")
"""The columns that hold tests, the first of a row that is there being taken."""


def read_tests(row: Mapping[str, Any]) -> Tests | None:
    """The tests of a row; None where it has none that can be read, which no program can fail."""
    try:
        return _read(row)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _read(row: Mapping[str, Any]) -> Tests | None:
    name = next((name for name in COLUMNS if row.get(name) is not None), "")
    value = row.get(name)
    preamble = str(row.get("preamble") or "")
    if name == "test_list":
        statements = [text for text in _json(value) if text.strip()]
        before = [str(row.get("test_setup_code") or ""), *(row.get("test_imports") or ())]
        if not statements:
            return None
        entry = str(row.get("entry_point") or "")
        return Asserts([*filter(str.strip, before), *statements], (), preamble, entry)
    if name == "test":
        entry = str(row["entry_point"])
        return Asserts((), [value], preamble, entry) if value.strip() and entry else None
    if name == "verification_info":
        info = _json(value)
        language = info.get("language") or ""
        return _cases(info.get("test_cases"), canonical(language) if language else "", row)
    return _cases(_json(value), "", row) if name else None


def _cases(cases: Any, language: str, row: Mapping[str, Any]) -> Tests | None:
    """open-r1's and LiveCodeBench's list of cases, or the two lists of APPS and CodeContests."""
    cases = _json(cases)
    if isinstance(cases, Mapping):
        name = cases.get("fn_name") or ""
        pairs = list(zip(cases["inputs"], cases["outputs"], strict=True))
    else:
        name = next(filter(None, map(_function_name, cases)), "")
        pairs = [(case["input"], case.get("output")) for case in cases]
    if name:
        pairs = [_call(*pair) for pair in pairs]
    kept = [pair for pair in pairs if pair[1] is not None]
    left_out = len(pairs) - len(kept)
    if not kept:
        return None
    if name:
        entry = str(row.get("entry_point") or name)
        return Calls(entry, [Call(i, o) for i, o in kept], "python", left_out)
    runs = [Run(_bytes(given), _bytes(expected)) for given, expected in kept]
    return Runs(runs, language, left_out)


def _function_name(case: Mapping[str, Any]) -> str:
    """Where a case says that it is a call: itself, or LiveCodeBench's metadata."""
    about = _json(case.get("metadata") or {})
    return case.get("fn_name") or about.get("func_name") or ""


def _call(given: Any, expected: Any) -> tuple[Any, Any]:
    """Arguments and result. LiveCodeBench has both as text: JSON, one argument per line."""
    if isinstance(given, str):
        return [json.loads(line) for line in given.split("\n") if line.strip()], _json(expected)
    if not isinstance(given, list):
        raise TypeError(f"arguments are a list, not {given!r}")
    return given, expected


def _json(value: Any) -> Any:
    """Text as the JSON that it is; everything else, and text that is none, as it stands."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _bytes(value: Any) -> bytes:
    """What goes over stdin and stdout; APPS gives lists of lines, too."""
    if isinstance(value, list):
        return b"".join(_bytes(line) + b"\n" for line in value)
    return b"" if value is None else str(value).encode(errors="surrogatepass")
