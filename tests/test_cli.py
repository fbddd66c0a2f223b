"""The command line as a whole: help everywhere, JSON everywhere, one line for every error."""

import json
import os
import subprocess
import sys

import pytest
import typer

from r1cli import __version__, ui
from r1cli.cli import app
from r1cli.errors import UsageError


def commands(command=None, path=()):
    """Every command with the words that call it, groups included."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands())


def words(path):
    return " ".join(path) or "r1"


@pytest.mark.parametrize("path", COMMANDS, ids=words)
def test_every_command_and_option_has_help(path, r1):
    command = COMMANDS[path]
    silent = [p.name for p in command.params if p.name != "help" and not getattr(p, "help", None)]
    assert silent == []
    assert command.help
    answer = r1(*path, "--help")
    assert (answer.exit_code, answer.stderr) == (0, "")


@pytest.mark.parametrize("path", COMMANDS, ids=words)
def test_help_begins_with_a_sentence(path):
    first = COMMANDS[path].help.splitlines()[0]
    assert (first[0].isupper(), first[-1]) == (True, ".")


def test_every_listing_can_be_had_as_json():
    for path, command in COMMANDS.items():
        if path and path[-1] in ("list", "doctor", "eval", "info"):
            assert "--json" in [option for p in command.params for option in p.opts], path


@pytest.mark.parametrize(
    "args", ["plugins list", "plugins list --names", "recipe list", "runs list", "eval --list"]
)
def test_a_listing_is_a_list_of_rows(args, r1):
    answer = r1(*args.split(), "--json")
    assert (answer.exit_code, answer.stderr) == (0, "")
    rows = json.loads(answer.stdout)
    assert isinstance(rows, list)
    assert all(isinstance(row, dict) for row in rows)
    assert rows or args == "runs list"
    assert r1(*args.split()).exit_code == 0


def test_no_arguments_is_help(r1):
    answer = r1()
    assert "Usage: " in answer.stdout + answer.stderr


def test_an_unknown_command_is_said_so(r1):
    answer = r1("trian")
    assert answer.exit_code == 2
    assert "trian" in answer.stderr


def test_an_error_is_one_line(r1):
    answer = r1("train", "gpro", "--recipe", "tiny/grpo")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == "error: no trainer 'gpro'; did you mean 'grpo'?\n"


def test_debug_raises(r1):
    with pytest.raises(UsageError, match="no trainer 'gpro'"):
        r1("train", "gpro", "--recipe", "tiny/grpo", env={"R1_DEBUG": "1"})


def test_ctrl_c_is_one_line(r1, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("r1cli.recipe_file.shipped", interrupted)
    answer = r1("recipe", "list")
    assert answer.exit_code == 130
    assert answer.stderr == "interrupted; the same command goes on from what was kept\n"


def test_version(r1):
    answer = r1("--version")
    assert (answer.exit_code, answer.stdout) == (0, f"r1 {__version__}\n")


def test_the_module_is_the_program():
    done = subprocess.run([sys.executable, "-m", "r1cli", "--version"], capture_output=True)
    assert done.stdout.decode() == f"r1 {__version__}\n"


def test_a_reader_that_leaves_is_no_error():
    program = f"'{sys.executable}' -m r1cli plugins list --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("r1 tra", "train"),
        ("r1 train g", "grpo"),
        ("r1 train grpo --recipe tiny/g", "tiny/grpo"),
        ("r1 eval math", "math_500"),
        ("r1 eval --engine tr", "transformers"),
        ("r1 generate --dataset chain", "chain_sums"),
        ("r1 recipe show tiny/s", "tiny/sft"),
    ],
)
def test_the_shell_completes_names(typed, expected):
    assert completed(typed) == [expected]


def test_the_shell_completes_the_command_of_a_plugin(fake_distribution):
    site = fake_distribution("r1-hello", plugin="", commands={"hello": "r1_hello:app"})
    assert completed("r1 hel", PYTHONPATH=str(site)) == ["hello"]


def test_json_has_no_number_that_json_has_not(capsys):
    ui.show_json([{"loss": float("nan"), "peak": float("inf"), "step": 1}])
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [
        {"loss": None, "peak": None, "step": 1}
    ]


def completed(typed, **extra):
    """What bash is offered at the end of a line, by the protocol of its completion script."""
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    env = {**os.environ, **extra, **asked, "_R1_COMPLETE": "complete_bash"}
    program = [sys.executable, "-c", "from r1cli.cli import app; app(prog_name='r1')"]
    done = subprocess.run(program, env=env, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()
