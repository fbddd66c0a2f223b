"""The attacks on rewards that run programs, and the contract of every code reward."""

from __future__ import annotations

import json

import pytest

from r1cli.lab import code_attacks, golden
from r1cli.lab.attacks import attacks
from r1cli.lab.problem import Problem, kind_of, problems, program_of
from r1cli.plugins import builtin_plugins
from r1cli.types import Completion

PLUGINS = builtin_plugins()


@pytest.mark.parametrize("name", ["code", "binary_code"])
def test_it_is_the_program_that_is_attacked(name):
    entry = PLUGINS["rewards"].get(name)
    cases = golden.cases(entry)
    assert kind_of(entry, cases) == "code"
    assert {*code_attacks.ATTACKS} <= {*attacks("code")}
    asked = problems(entry, cases, "code")
    assert len(asked) >= 3 and all(p.answer in p.honest and p.prompt for p in asked)
    assert any(code_attacks.ATTACKS["first_line_only"](p) for p in asked)


def row(output):
    return {"language": "python", "test_cases": [{"input": "", "output": output}]}


@pytest.mark.parametrize(
    ("name", "args"), [("code", {}), ("binary_code", {"max_tests": 1}), ("code_format", {})]
)
def test_contract(reward_contract, name, args):
    infos = [row("1"), json.dumps(row("2")), {"language": "python", "test_cases": []}]
    assert reward_contract(name, columns={"verification_info": infos}, args=args, seconds=60)


PROBLEM = Problem(
    "Print a and b.",
    {"verification_info": row("a\nb\n")},
    {},
    Completion("<think>Hm.</think>\n```python\nprint('a')\nprint('b')\n```"),
    (),
    "print('a')\nprint('b')",
    ("print(1)", "print(2)"),
    "",
)


def test_no_attack_is_the_honest_program_and_no_two_are_one():
    made = {name: attack(PROBLEM) for name, attack in code_attacks.ATTACKS.items()}
    assert None not in made.values() and PROBLEM.honest not in made.values()
    assert len({*made.values()}) == len(made)


def test_the_program_of_a_text():
    assert program_of(PROBLEM.honest) == PROBLEM.answer
    assert program_of("```\nx\n```\n```py\ny\n```") == "y"
    assert program_of("no fence") == "no fence"


def test_an_attack_defines_what_the_honest_program_does():
    source = "def f(a):\n    return a\nclass A:\n    def g(self):\n        return 1\nx = 3\n"
    made = code_attacks._definitions(source, "return 0")
    world: dict = {}
    exec(made, world)
    assert world["f"](1, 2) == world["A"]().g() == 0
