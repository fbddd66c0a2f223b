"""Starting is cheap. What is imported is what is measured: a clock would only measure noise."""

import pytest

HEAVY = set(
    "accelerate datasets huggingface_hub math_verify matplotlib "  # noqa: SIM905 - 16 lines else
    "numpy pandas peft plotext pyarrow rich sympy torch transformers trl yaml".split()
)


@pytest.fixture
def site(fake_distribution):
    """A plugin and a command that only who needs them may import."""
    fake_distribution("r1-here")
    return fake_distribution("r1-command", plugin="", commands={"run-me": "r1_command:app"})


@pytest.mark.parametrize("args", ["--help", "--version", "train --help", "train grpo --help"])
def test_help_imports_nothing_heavy_and_no_plugin(args, site, imported):
    names = imported(site, *args.split())
    assert "typer" in names
    assert names & HEAVY == set()
    assert {name for name in names if name.startswith("r1_")} == set()


def test_the_list_of_commands_does_without_pydantic(site, imported):
    # `train --help` does not: Typer needs pydantic as soon as an argument has a type to convert.
    assert "pydantic" not in imported(site, "--help")


def test_only_who_needs_plugins_imports_them(site, imported):
    names = imported(site, "plugins", "list", "--json")
    assert {"r1_here", "r1_rewards"} <= names
    assert "r1_command" not in names
    assert names & HEAVY - {"yaml"} == set()


def test_a_plugin_that_raises_is_not_even_tried(imported, fake_distribution):
    assert imported(fake_distribution("r1-heavy", "import os\n\nos._exit(3)\n"), "--help")
