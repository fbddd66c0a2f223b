"""What plugin authors may import: listed, sorted, documented, and nothing besides."""

import ast
import inspect
from pathlib import Path

import pytest

import r1cli

TREE = ast.parse(Path(r1cli.__file__).read_text())


def test_all_is_sorted_and_complete():
    imported = [
        alias.asname or alias.name
        for node in ast.walk(TREE)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("r1cli")
        for alias in node.names
    ]
    assert list(r1cli.__all__) == sorted(set(imported) - {"import_module"})


@pytest.mark.parametrize("name", r1cli.__all__)
def test_every_name_can_be_imported_and_says_what_it_is(name):
    thing = getattr(r1cli, name)
    if inspect.isfunction(thing) or inspect.ismodule(thing):
        assert inspect.getdoc(thing), f"r1cli.{name} has no docstring"


def test_what_is_loaded_late_is_what_the_type_checker_sees():
    [block] = [n for n in TREE.body if isinstance(n, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert {n: m if m != "r1cli" else "" for n, m in seen.items()} == r1cli._LAZY


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'r1cli' has no attribute 'nothing'"):
        r1cli.nothing
