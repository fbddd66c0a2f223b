"""`r1 plugins new`: what it writes is built, installed, checked and tested as it is."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from r1cli import UsageError
from r1cli.scaffold import new_plugin

ROOT = Path(__file__).parents[1]


def run(*args, ok=0, **options):
    command = [sys.executable, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == ok, f"{command}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The folder of a new plugin, written by the command."""
    to = tmp_path_factory.mktemp("new") / "some" / "folder"
    done = run("-m", "r1cli", "plugins", "new", "few-words", "--to", to)
    assert done.stdout == f"{to / 'r1-plugin-few-words'}\n"
    assert "r1 plugins check r1-plugin-few-words" in done.stderr
    assert [path.name for path in to.iterdir()] == ["r1-plugin-few-words"]
    return to / "r1-plugin-few-words"


@pytest.fixture(scope="module")
def site(plugin, tmp_path_factory):
    """Where it is installed. pip builds in place, so from a copy."""
    source = tmp_path_factory.mktemp("source") / "it"
    shutil.copytree(plugin, source)
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", folder]
    run("-m", "pip", "--disable-pip-version-check", "install", *options, source)
    return folder


@pytest.fixture
def python(site, tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    env["PYTHONPATH"] = str(site)
    return lambda *args, **more: run(*args, env=env, cwd=tmp_path, **more)


@pytest.mark.parametrize("name", ["few-words", "few_words", "r1-plugin-few-words"])
def test_it_passes_the_check_at_once(python, name):
    assert python("-m", "r1cli", "plugins", "check", name).stdout == "r1-plugin-few-words: ok\n"


def test_a_name_that_nothing_has_is_still_an_error(python):
    done = python("-m", "r1cli", "plugins", "check", "few-wrods", ok=2)
    assert "no plugin 'few-wrods'" in done.stderr


def test_its_reward_is_registered_and_its_arguments_are_checked(python):
    rows = json.loads(python("-m", "r1cli", "plugins", "info", "few_words", "--json").stdout)
    assert rows[0]["plugin"] == "r1-plugin-few-words"
    setting = "rewards=[{name: few_words, args: {max_words: many}}]"
    done = python("-m", "r1cli", "recipe", "check", "tiny/grpo", "--set", setting, ok=2)
    assert "'max_words' = 'many'" in done.stderr


def test_its_own_tests_pass(python, plugin):
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", plugin, plugin)
    assert "4 passed" in done.stdout


def test_its_golden_cases_are_read_by_the_lab(python):
    pytest.importorskip("r1cli.commands.reward", reason="r1 reward is not there yet")
    done = python("-m", "r1cli", "reward", "test", "few_words")
    assert "3" in done.stdout


def test_ruff_and_mypy_have_nothing_to_say(plugin):
    options = ["--isolated", "--line-length", 100, "--select", "E,F,I,UP,B", "--no-cache"]
    run("-m", "ruff", "check", *options, plugin)
    run(
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        os.devnull,
        plugin / "r1_plugin_few_words",
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Brevity", "'Brevity' cannot name a plugin; write small letters, digits and dashes"),
        ("1st", "cannot name a plugin"),
        ("", "'' cannot name a plugin"),
        ("r1-plugin-", "cannot name a plugin"),
        ("../x", "cannot name a plugin"),
        ("a b", "cannot name a plugin"),
        ("class", "is a word of Python, and a reward is a function; class-reward would work"),
        ("len", "is a word of Python"),
        ("accuracy", "is a built-in reward, which owns its name; my-accuracy would work"),
        ("tag-count", "is a built-in reward, which owns its name; my-tag_count would work"),
    ],
)
def test_a_bad_name_says_what_would_work(tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        new_plugin(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_touched(tmp_path):
    there = tmp_path / "r1-plugin-mine"
    there.mkdir()
    with pytest.raises(UsageError, match=r"r1-plugin-mine exists; remove it, or choose another"):
        new_plugin("mine", tmp_path)
    there.rmdir()
    there.symlink_to("nowhere")
    with pytest.raises(UsageError, match="exists"):
        new_plugin("mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["r1-plugin-mine"]


def test_where_nothing_can_be_written_it_is_one_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="cannot write .*r1-plugin-mine: "):
        new_plugin("mine", file)


def test_the_templates_travel_in_the_wheel(tmp_path):
    source = tmp_path / "source"
    folders = ("r1cli", "plugins", "recipes", "slurm")
    for name in folders:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    run("-m", "pip", "--disable-pip-version-check", "wheel", *options, source)
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = (ROOT / "r1cli" / "templates" / "plugin").iterdir()
    assert {f"r1cli/templates/plugin/{path.name}" for path in templates} <= names
