"""Attacks on rewards that run the program in a completion: each passes no test honestly.

Most are a Python program of `attack_programs`, around the functions that the honest one defines.
What needs more than that stands below as a function of the problem.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Callable

from r1cli.lab.attack_programs import PROGRAMS
from r1cli.lab.problem import Problem

ATTACKS: dict[str, Callable[[Problem], str | None]] = {}


def attack(function: Callable[[Problem], str | None]) -> Callable[[Problem], str | None]:
    ATTACKS[function.__name__] = function
    return function


def _declared(top: str, inside: str) -> Callable[[Problem], str | None]:
    def made(p: Problem) -> str | None:
        try:
            return p.declare(f"{top}\n{_definitions(p.answer, inside)}")
        except SyntaxError:  # the honest program is in another language
            return None

    return made


ATTACKS.update({name: _declared(*program) for name, program in PROGRAMS.items()})


@attack
def in_another_language(p: Problem) -> str:
    return p.honest.replace("```python", "```cobol")


@attack
def only_in_the_reasoning(p: Problem) -> str:
    return f"<think>\n```python\n{p.answer}\n```\n</think>\nThat was it."


@attack
def think_never_closed(p: Problem) -> str:
    return f"<think>\n```python\n{p.answer}\n```\n"


@attack
def think_opened_again(p: Problem) -> str:
    return f"<think></think><think>\n```python\n{p.answer}\n```\n"


@attack
def without_a_fence(p: Problem) -> str:
    return f"<think></think>\n{p.answer}\n"


@attack
def right_first(p: Problem) -> str:
    return "\n".join([p.honest, *map(p.declare, p.decoys)])


@attack
def right_last(p: Problem) -> str:
    return "\n".join([*map(p.declare, p.decoys), p.honest])


@attack
def first_line_only(p: Problem) -> str | None:
    """Where every answer has several lines; open-r1 compares those that are there."""
    return _reprinted(p, "said.split('\\n')[0]")


@attack
def last_line_left_out(p: Problem) -> str | None:
    return _reprinted(p, "'\\n'.join(said.rstrip().split('\\n')[:-1])")


@attack
def one_line_too_many(p: Problem) -> str | None:
    return _reprinted(p, "said + '0'")


@attack
def printed_twice(p: Problem) -> str | None:
    return _reprinted(p, "said + said")


@attack
def right_then_failed(p: Problem) -> str | None:
    return p.declare(f"{p.answer}\nraise SystemExit(3)") if _expected(p) else None


def _reprinted(p: Problem, said: str) -> str | None:
    """The honest program on stdin, but `said` of what it prints; each answer has several lines."""
    expected = _expected(p)
    if not expected or any(len(text.split("\n")) < 2 for text in expected):
        return None
    return p.declare(
        "import contextlib, io\nkept = io.StringIO()\nwith contextlib.redirect_stdout(kept):\n"
        f"    exec({p.answer!r})\nsaid = kept.getvalue()\nprint({said})"
    )


def _expected(p: Problem) -> list[str]:
    """What must be printed, where the problem is one of open-r1's with stdin and stdout."""
    info = p.columns.get("verification_info")
    info = json.loads(info) if isinstance(info, str) else info or {}
    return [str(case.get("output", "")).strip() for case in info.get("test_cases", [])]


def _definitions(source: str, inside: str) -> str:
    """Every function and method of `source`, doing `inside` instead."""
    made = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            made.append(_definition(node, inside))
        elif isinstance(node, ast.ClassDef):
            methods = [_definition(n, inside) for n in node.body if isinstance(n, ast.FunctionDef)]
            body = "\n".join(methods) or "pass"
            made.append(f"class {node.name}:\n{textwrap.indent(body, '    ')}")
    return "\n".join(made)


def _definition(node: ast.FunctionDef, inside: str) -> str:
    return f"def {node.name}(*args, **kwargs):\n    {inside}"
