"""plugins/example, built and installed as anyone's plugin is, and used in other processes."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "plugins" / "example"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder it is installed in; nothing is downloaded, hatchling builds it right here."""
    for tool in ("hatchling", "pip"):
        assert importlib.util.find_spec(tool), (
            f"{tool} is missing here, so plugins/example cannot be installed; "
            "run: python -m pip install -e '.[dev]'"
        )
    # pip builds in place, and the repository is no place for what that leaves behind.
    source = tmp_path_factory.mktemp("source") / "example"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", folder]
    run("-m", "pip", "--disable-pip-version-check", "install", *options, source)
    return folder


@pytest.fixture
def python(site, tmp_path):
    """Runs Python where the plugin is installed: `python("-m", "r1cli", "plugins", "list")`."""
    env = {**os.environ, "PYTHONPATH": str(site)}
    return lambda *args: run(*args, env=env, cwd=tmp_path)


def run(*args, **options):
    command = [sys.executable, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr}"
    return done


def test_it_is_listed_with_what_it_offers(python):
    rows = json.loads(python("-m", "r1cli", "plugins", "list", "--json").stdout)
    [row] = [row for row in rows if row["plugin"] == "r1-plugin-brevity"]
    assert row["version"] == "0.1.0"
    assert row["offers"] == {"rewards": ["brevity"]}
    assert row["problem"] is None


def test_it_passes_the_check(python):
    done = python("-m", "r1cli", "plugins", "check", "r1-plugin-brevity")
    assert done.stdout == "r1-plugin-brevity: ok\n"


def test_help_lists_its_command_without_importing_it(python, site, imported):
    assert "brevity   Brevity as a reward for r1" in python("-m", "r1cli", "--help").stdout
    assert "r1_plugin_brevity" not in imported(site, "--help")
    assert "r1_plugin_brevity" in imported(site, "brevity", "--help")


def test_its_command_works(python, tmp_path):
    file = tmp_path / "completions.jsonl"
    file.write_text('{"completion": "six"}\n{"completion": "it is six"}\n')
    done = python("-m", "r1cli", "brevity", file, "--max-chars", 3, "--json")
    expected = {"completions": 2, "shortest": 3, "median": 6, "mean": 6, "longest": 9}
    assert json.loads(done.stdout) == [{**expected, "at_most_3": 0.5}]


@pytest.mark.parametrize(
    "file", ["pyproject.toml", "r1_plugin_brevity/__init__.py", "r1_plugin_brevity/command.py"]
)
def test_the_guide_quotes_it_word_by_word(file):
    guide = (ROOT / "docs" / "plugins.md").read_text()
    language = "python" if file.endswith(".py") else "toml"
    assert f"`{file}`\n\n```{language}\n{(EXAMPLE / file).read_text()}```\n" in guide


def test_it_is_no_part_of_r1cli():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert not [name for name in packages if "example" in name]


def test_its_own_tests_pass(python):
    options = ["-q", "-p", "no:cacheprovider", "-c", EXAMPLE / "pyproject.toml"]
    assert "3 passed" in python("-m", "pytest", *options, EXAMPLE / "tests").stdout


@pytest.mark.train
def test_a_run_learns_from_its_reward(python, tmp_path):
    pytest.importorskip("trl", reason="trains")
    sets = [
        "model.name=r1_tiny_blank",
        "trainer.args.max_steps=2",
        "batch.prompts_per_step=4",
        "batch.micro_batch=8",
        "benchmarks=[]",
        "rewards=[{name: brevity, args: {max_chars: 20}}]",
    ]
    given = [part for assignment in sets for part in ("--set", assignment)]
    python("-m", "r1cli", "train", "grpo", "--recipe", "tiny/grpo", *given, "--run", "brief")
    rows = [json.loads(line) for line in (tmp_path / "brief" / "metrics.jsonl").open()]
    scores = [row["rewards/brevity/mean"] for row in rows if "rewards/brevity/mean" in row]
    assert len(scores) == 2
    assert all(0 <= score <= 1 for score in scores)
