"""Every recipe that is shipped: it says what it is, and its names and arguments exist."""

from pathlib import Path

import pytest

from r1cli import recipe_file as recipes
from r1cli import source
from r1cli.pipeline import stage_recipes
from r1cli.plugins import builtin_plugins

NAMES = sorted(recipes.shipped())


@pytest.fixture(scope="module")
def plugins():
    return builtin_plugins()


def stages(name):
    path = recipes.find(name)
    if not recipes.is_pipeline(path):
        return [recipes.load(name)]
    return [r for r, _ in stage_recipes(recipes.load_pipeline(name), path, Path("runs/x"))]


def test_the_tiny_recipes_are_there():
    assert {"tiny/sft", "tiny/grpo", "tiny/r1"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_opens_with_a_line_on_what_it_is(name):
    first = recipes.find(name).read_text().splitlines()[0]
    assert first.startswith("# ") and first.endswith(".") and len(first) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_survives_being_resolved(name):
    for loaded in stages(name):
        data = loaded.model_dump(mode="json")
        again = recipes.validate(recipes.Recipe, source.parse(source.dump(data), name))
        assert again.model_dump(mode="json") == data


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_passes_every_check_without_a_model(name, plugins):
    pytest.importorskip("trl", reason="the trainers' own config classes are TRL's")
    from r1cli.check import check

    for loaded in stages(name):
        check(loaded, plugins)


@pytest.mark.parametrize("name", NAMES)
def test_recipe_check_and_show_take_it_on_the_command_line(r1, name):
    pytest.importorskip("trl", reason="the trainers' own config classes are TRL's")
    answer = r1("recipe", "check", name)
    assert answer.exit_code == 0 and name in answer.stdout + answer.stderr
    assert r1("recipe", "show", name, "--resolved").exit_code == 0


def test_the_listing_has_them_all(r1):
    listed = r1("recipe", "list").stdout
    assert all(name in listed for name in NAMES)
