"""A broken plugin costs only itself: every way to be broken, seen from the command line."""

import json
import re

import pytest

from r1cli.plugins import SLOW_SECONDS

HOOK = "from r1cli import hookimpl\n\n\n@hookimpl\n"
OFFERS = "def register_rewards(register):\n"
REWARD = HOOK + OFFERS + "    register('brief', lambda completions: [1.0] * len(completions))\n"

BROKEN = {
    "import error": ("import no_such_module\n", "No module named 'no_such_module'"),
    "exit at import": ("import sys\n\nsys.exit(3)\n", "SystemExit: 3"),
    "syntax error": ("def (\n", "SyntaxError"),
    "wrong hook signature": (
        HOOK + "def register_rewards(register, colour):\n    pass\n",
        "colour",
    ),
    "half registration": (
        HOOK + OFFERS + "    register('half', len)\n    raise ValueError('no more')\n",
        "ValueError: no more",
    ),
    "one name twice": (
        HOOK + OFFERS + "    register('half', len)\n    register('half', len)\n",
        "reward 'half' is registered twice",
    ),
    "bad name": (
        HOOK + OFFERS + "    register('half', len)\n    register('Not-A-Name', len)\n",
        "reward name 'Not-A-Name' does not match [a-z][a-z0-9_]*",
    ),
    "bad target": (
        HOOK + OFFERS + "    register('half', 'nothing')\n",
        "target 'nothing' of 'half' is not 'module:attr'",
    ),
}


def listed(r1, plugin):
    answer = r1("plugins", "list", "--json")
    assert (answer.exit_code, answer.stderr) == (0, "")
    [row] = [row for row in json.loads(answer.stdout) if row["plugin"] == plugin]
    return row


def name_error(r1, reward):
    """What a recipe that wants this reward is told."""
    rewards = f"rewards=[{{name: {reward}}}]"
    return r1("recipe", "check", "tiny/grpo", "--set", rewards)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_costs_only_itself(kind, r1, fake_distribution):
    source, why = BROKEN[kind]
    fake_distribution("r1-broken", source)
    fake_distribution("r1-sound", REWARD)
    for command in ("--help",), ("recipe", "list"):
        answer = r1(*command)
        assert (answer.exit_code, answer.stderr) == (0, ""), command
    answer = r1("recipe", "check", "tiny/sft")
    assert answer.exit_code == 0
    assert answer.stderr.count("r1: plugin r1-broken failed to load (") == 1
    assert why in answer.stderr
    row = listed(r1, "r1-broken")
    assert row["offers"] == {}
    assert why in row["problem"]
    assert "\n" not in row["problem"]
    assert listed(r1, "r1-sound")["offers"] == {"rewards": ["brief"]}
    assert r1("plugins", "check").exit_code == 4


def test_a_name_that_a_broken_plugin_may_offer_says_so(r1, fake_distribution):
    fake_distribution("r1-broken", BROKEN["half registration"][0])
    answer = name_error(r1, "half")
    assert answer.exit_code == 2
    assert "no reward 'half' at " in answer.stderr
    assert "(a plugin that failed to load may provide it: r1-broken)" in answer.stderr


def test_the_traceback_is_there_for_who_asks(r1, fake_distribution):
    fake_distribution("r1-broken", BROKEN["import error"][0])
    assert "Traceback" not in r1("plugins", "list").stderr
    assert "Traceback" in r1("plugins", "list", "--verbose").stderr


def test_an_unknown_hook_is_a_warning(r1, fake_distribution):
    later = "\n\n@hookimpl\ndef register_reward(register):\n    pass\n"
    fake_distribution("r1-plugin-later", REWARD + later)
    row = listed(r1, "r1-plugin-later")
    assert row["offers"] == {"rewards": ["brief"]}
    expected = "no hook 'register_reward' in this r1cli; did you mean 'register_rewards'?"
    assert row["problem"] == expected
    answer = r1("plugins", "check", "r1-plugin-later")
    assert answer.exit_code == 4
    assert expected in answer.stdout


def test_a_slow_import_is_flagged(r1, fake_distribution):
    work = f"while time.process_time() < started + {SLOW_SECONDS} + 0.05:\n    pass\n"
    code = f"import time\n\nstarted = time.process_time()\n{work}"
    fake_distribution("r1-slow", code + REWARD)
    row = listed(r1, "r1-slow")
    seconds, said = re.fullmatch(r"took ([\d.]+) s to import; (.*)", row["problem"]).groups()
    assert float(seconds) >= 0.3 and said == "import heavy packages inside functions"
    assert row["offers"] == {"rewards": ["brief"]}


def test_one_name_from_two_plugins_is_said_with_the_plugin(r1, fake_distribution):
    fake_distribution("r1-left", REWARD)
    fake_distribution("r1-right", REWARD)
    answer = name_error(r1, "brief")
    assert answer.exit_code == 2
    assert answer.stderr.startswith("error: reward 'brief' at ")
    assert answer.stderr.endswith("is ambiguous; say one of: r1-left/brief, r1-right/brief\n")
    for name in "r1-left/brief", "r1-right/brief":
        assert name_error(r1, name).exit_code == 0


def test_a_built_in_owns_its_bare_name(r1, fake_distribution):
    fake_distribution("r1-shadow", REWARD.replace("brief", "accuracy"))
    rows = json.loads(r1("plugins", "list", "--names", "--json").stdout)
    owners = {row["name"]: row["plugin"] for row in rows if row["kind"] == "rewards"}
    assert owners["accuracy"] == "r1_rewards"
    assert owners["r1-shadow/accuracy"] == "r1-shadow"
    assert name_error(r1, "r1-shadow/accuracy").exit_code == 0


def test_a_target_is_imported_when_it_is_used_and_only_then(r1, fake_distribution):
    fake_distribution("r1-lazy", HOOK + OFFERS + "    register('lazy', 'r1_lazy_reward:lazy')\n")
    fake_distribution("r1-lazy-reward", "1 / 0\n", plugin="")
    answer = r1("recipe", "check", "tiny/grpo")
    assert (answer.exit_code, answer.stdout) == (0, "ok: tiny/grpo\n")
    answer = name_error(r1, "lazy")
    assert answer.exit_code == 4
    assert answer.stderr == (
        "error: reward 'lazy' of plugin 'r1-lazy' could not be loaded from "
        "'r1_lazy_reward:lazy': ZeroDivisionError: division by zero\n"
    )
    assert r1("plugins", "check", "r1-lazy").exit_code == 4


def test_what_cannot_be_called_is_no_reward(r1, fake_distribution):
    fake_distribution("r1-number", HOOK + OFFERS + "    register('number', 3)\n")
    answer = name_error(r1, "number")
    assert answer.exit_code == 4
    assert "reward 'number' of plugin 'r1-number' is 3, which cannot be called" in answer.stderr


@pytest.mark.parametrize("source", ["import no_such_module", "raise SystemExit(0)", "app = 3"])
def test_a_broken_command_fails_when_it_is_invoked(source, r1, fake_distribution):
    commands = {"hello": "r1_hello:app"}
    fake_distribution("r1-hello", source, plugin="", commands=commands, summary="Says hello.")
    answer = r1("--help")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "hello     Says hello." in answer.stdout
    assert r1("recipe", "list").exit_code == 0
    answer = r1("hello")
    assert answer.exit_code == 1
    assert answer.stderr.startswith(
        "error: command 'hello' of plugin 'r1-hello' could not be loaded"
    )
    assert answer.stderr.count("\n") == 1


def test_a_command_of_two_plugins_names_both(r1, fake_distribution):
    app = (
        "import typer\n\napp = typer.Typer()\n\n\n@app.command()\ndef hi():\n    print(__name__)\n"
    )
    for name in "r1-left", "r1-right":
        module = name.replace("-", "_")
        fake_distribution(name, app, plugin="", commands={"hello": f"{module}:app"})
    answer = r1("hello")
    assert answer.exit_code == 2
    assert "command 'hello' is offered by r1-left and r1-right" in answer.stderr
    answer = r1("hello", env={"R1_PLUGINS": "r1-right"})
    assert (answer.exit_code, answer.stdout) == (0, "r1_right\n")


def test_a_built_in_command_is_never_replaced(r1, fake_distribution):
    commands = {"doctor": "r1_doctor:app"}
    fake_distribution("r1-doctor", "1 / 0", plugin="", commands=commands)
    assert r1("--help").stdout.count("  doctor ") == 1
    assert r1("doctor", "--help").exit_code == 0


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(None, {"r1-left", "r1-right"}), ("", set()), ("r1-right, r1-gone", {"r1-right"})],
)
def test_r1_plugins_chooses(chosen, expected, r1, fake_distribution):
    fake_distribution("r1-left", REWARD)
    fake_distribution("r1-right", REWARD)
    answer = r1("plugins", "list", "--json", env=None if chosen is None else {"R1_PLUGINS": chosen})
    names = {row["plugin"] for row in json.loads(answer.stdout)}
    assert names & {"r1-left", "r1-right"} == expected
    assert "r1_rewards" in names


def test_a_half_removed_distribution_does_no_harm(r1, fake_distribution):
    site = fake_distribution("r1-gone", REWARD)
    (site / "r1_gone-0.1.dist-info" / "METADATA").unlink()
    assert r1("plugins", "list").exit_code == 0
    assert name_error(r1, "brief").exit_code == 0


def test_a_second_entry_point_does_not_take_the_first_with_it(r1, fake_distribution):
    site = fake_distribution("r1-twin", REWARD)
    points = "[r1cli.plugins]\none = r1_twin\ntwo = r1_twin\n"
    (site / "r1_twin-0.1.dist-info" / "entry_points.txt").write_text(points)
    rows = json.loads(r1("plugins", "list", "--json").stdout)
    first, second = [row for row in rows if row["plugin"] == "r1-twin"]
    assert (first["offers"], first["problem"]) == ({"rewards": ["brief"]}, None)
    assert "entry point 'two' is its second; one plugin has one" in second["problem"]


def test_info_tells_what_a_name_takes(r1):
    [row] = json.loads(r1("plugins", "info", "tag_count", "--json").stdout)
    assert (row["kind"], row["plugin"]) == ("reward", "r1_rewards")
    assert "tag_count" in r1("plugins", "info", "tag_count").stdout
    answer = r1("plugins", "info", "tag_cuont")
    assert answer.exit_code == 2
    assert "did you mean 'tag_count'?" in answer.stderr


def test_check_knows_the_plugins(r1):
    answer = r1("plugins", "check", "r1_reward")
    assert answer.exit_code == 2
    assert answer.stderr == "error: no plugin 'r1_reward'; did you mean 'r1_rewards'?\n"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (OFFERS + "    register('brief', len)\n", "it implements no hook; mark its functions"),
        (HOOK + "async " + OFFERS + "    register('brief', len)\n", "returned a coroutine"),
        (HOOK + OFFERS + "    register('brief', len)\n    yield\n", "returned a generator"),
    ],
    ids=["unmarked", "async", "generator"],
)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_plugin_that_registers_nothing_for_no_error_is_told_why(
    r1, fake_distribution, source, why
):
    fake_distribution("r1-quiet", source)
    row = listed(r1, "r1-quiet")
    assert row["offers"] == {} and why in row["problem"]
    assert r1("plugins", "check", "r1-quiet").exit_code == 4


def test_what_a_plugin_prints_as_it_is_loaded_is_not_in_a_commands_answer(r1, fake_distribution):
    fake_distribution("r1-loud", "print('hello')\n" + REWARD)
    answer = r1("plugins", "list", "--json")
    assert json.loads(answer.stdout) and answer.stderr == "hello\n"
