"""Golden cases: those of the built-in rewards hold, and a third party's travel with its package."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from r1cli.errors import PluginError
from r1cli.lab import golden
from r1cli.lab.about import about, listed, pays
from r1cli.lab.attacks import attacks
from r1cli.plugins import builtin_plugins
from r1cli.types import Outcome

PLUGINS = builtin_plugins()
NEEDS_A_SERVICE = {"judge", "lighteval"}
no_gym = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="no reasoning-gym here")
REWARDS = [
    pytest.param(e, marks=no_gym if e.name == "reasoning_gym" else (), id=e.name)
    for e in PLUGINS["rewards"].entries
    if e.name not in NEEDS_A_SERVICE
]


@pytest.mark.parametrize("entry", REWARDS)
def test_every_builtin_reward_answers_its_golden_cases(entry):
    cases = golden.cases(entry)
    assert len(cases) >= 8
    assert all(case.why for case in cases)
    assert any(case.prompt for case in cases), "the audit needs a genuine problem"
    assert [v.case.where + v.problem for v in golden.run(entry, cases, PLUGINS) if v.problem] == []


@pytest.mark.parametrize("entry", PLUGINS["rewards"].entries, ids=lambda entry: entry.name)
def test_every_builtin_reward_says_its_range_source_and_arguments(entry):
    known = about(entry)
    assert known.range and known.source and known.columns and known.summary
    assert [a.name for a in known.args if not (a.about and a.type)] == []
    every = {*attacks("answer"), *attacks("shape"), *attacks("penalty"), "any"}
    assert set(pays(entry.load())) <= every


def test_a_list_in_a_docstring_may_describe_several_names_and_wrap():
    text = """
        a, b: the first two
            of three.
        c,
        d: the others, named: so.
    """
    both, others = "the first two of three.", "the others, named: so."
    assert listed(text) == {"a": both, "b": both, "c": others, "d": others}


@pytest.fixture
def shipped(fake_distribution):
    """A plugin package with the reward `shout` and the golden rows given; its registry entry."""

    def ship(*rows):
        from r1cli.plugins import load_plugins

        site = fake_distribution("r1-plugin-shout", plugin="shout_package")
        package = site / "shout_package"
        (package / "golden").mkdir(parents=True)
        (package / "__init__.py").write_text(
            "from r1cli import hookimpl\n"
            "def shout(completions, *, mark='!'):\n"
            "    return [None if not c else float(c.endswith(mark)) for c in completions]\n"
            "@hookimpl\n"
            "def register_rewards(register):\n    register('shout', shout)\n"
        )
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (package / "golden" / "shout.jsonl").write_text("\n".join(lines) + "\n")
        plugins = load_plugins()
        return plugins, plugins["rewards"].get("shout")

    yield ship
    import sys

    sys.modules.pop("shout_package", None)


def test_a_third_partys_cases_are_found_and_a_wrong_one_is_told(shipped):
    plugins, entry = shipped(
        {"completion": "hey!", "expect": 1},
        {"completion": "hey?", "expect": [0.5, 1], "why": "a question is loud"},
        {"completion": "hey?", "args": {"mark": "?"}, "expect": 1},
        {"completion": "", "expect": None},
        {"completions": ["a!", "b"], "expect": [1, 1]},
    )
    problems = [v.problem for v in golden.run(entry, golden.cases(entry), plugins)]
    told = ["got 0, expected 0.5 to 1", "", "got 0, expected 1", ""]
    assert sorted(problems) == sorted(["", *told])


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("{nonsense", ["shout_package/golden/shout.jsonl:2"]),
        ("[1]", [":2"]),
        ({"completion": "a"}, [":2", "'expect' is missing"]),
        ({"expect": 1}, [":2", "'completion' is missing"]),
        ({"completion": "a", "expect": "high"}, [":2", "'high'"]),
        ({"completion": "a", "expect": [1]}, [":2"]),
        ({"completions": ["a", "b"], "expect": [1]}, [":2", "1 values for 2 completions"]),
    ],
)
def test_a_row_that_is_no_case_is_named(shipped, row, parts):
    _, entry = shipped({"completion": "a!", "expect": 1}, row)
    with pytest.raises(PluginError) as error:
        golden.cases(entry)
    assert [part for part in parts if part not in str(error.value)] == [], error.value


@pytest.mark.parametrize(
    ("outcome", "expected", "agrees"),
    [
        (Outcome("score", 0.5), 0.50005, True),
        (Outcome("score", 0.5), 0.51, False),
        (Outcome("score", 0.5), (0.4, 0.5), True),
        (Outcome("score", 0.0), None, False),
        (Outcome("not_applicable"), None, True),
        (Outcome("failed", reason="x"), None, False),
        (Outcome("failed", reason="x"), 0.0, False),
        (Outcome("not_applicable"), (0.0, 1.0), False),
    ],
)
def test_the_three_outcomes_are_not_confused(outcome, expected, agrees):
    assert golden.agrees(outcome, expected) is agrees


@pytest.mark.parametrize("entry", PLUGINS["rewards"].entries, ids=lambda entry: entry.name)
def test_the_page_says_columns_and_arguments_of_every_builtin_reward(entry):
    page = (Path(__file__).parents[1] / "docs" / "rewards.md").read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{entry.name}` |")]
    _, _, columns, args, *_ = row.split("|")
    known = about(entry)
    assert set(re.findall(r"`(\w+)`", columns)) == {*known.required, *known.optional}
    assert re.findall(r"`(\w+)`", args) == [argument.name for argument in known.args]
