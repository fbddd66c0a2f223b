"""The reward contract: what it lets through, and the one sentence for each promise broken."""

import os
import subprocess
import sys
from typing import Any

import pytest

from r1cli import MissingExtra, ProviderError, UsageError
from r1cli.testing import check_reward
from r1cli.testing.declared_range import declared_range
from r1cli.testing.sample_batch import sample_batch

calls: list[int] = []


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def good(completions, solution, *, most: float = 1.0, **columns):
    """Range: [0, most] or None."""
    return [
        None if gold is None else most * (gold in text)
        for text, gold in zip(completions, solution, strict=True)
    ]


async def good_later(completions, **columns):
    return [float(len(text) > 9) for text in completions]


def longest_of_its_prompt(completions, prompts):
    best: dict[str, int] = {}
    for text, prompt in zip(completions, prompts, strict=True):
        best[prompt] = max(best.get(prompt, 0), len(text))
    return [float(len(t) == best[p]) for t, p in zip(completions, prompts, strict=True)]


def share_of_the_batch(completions):
    return [len(text) / max(1, sum(map(len, completions))) for text in completions]


def share_with_prompts(completions, prompts):
    return share_of_the_batch(completions)


def by_position(completions):
    return [float(i) for i, _ in enumerate(completions)]


def fewer(completions):
    return [1.0] * (len(completions) - 1)


def text(completions):
    return "1" * len(completions)


def words(completions):
    return ["good" for _ in completions]


def not_a_number(completions):
    return [float("nan") for _ in completions]


def above(completions):
    """Range: [0, 1]."""
    return [1.5 for _ in completions]


def between(completions):
    """Range: {0.0, 1.0}."""
    return [0.5 for _ in completions]


def moody(completions):
    calls.append(1)
    return [float(len(calls)) for _ in completions]


def nosy(completions, **columns):
    return [float(len(columns)) for _ in completions]


def pops(completions):
    values = [1.0 for _ in completions]
    completions.clear()
    return values


def needs_a_gold(completions, solution):
    return [float(len(gold)) for gold in solution]


def needs_text(completions):
    return [1.0 / len(text) for text in completions]


def nothing(completions):
    return None


BROKEN = [
    (share_of_the_batch, r"gave completion 0 0\.\d+ in the sample batch and 1.0 alone; if it comp"),
    (by_position, r"gave completion \d+ \d.0 in the sample batch and 0.0 in another order"),
    (longest_of_its_prompt, r"alone; .* say reward_contract\('longest_of_its_prompt', grouped=T"),
    (fewer, r"returned list of 11 for the sample batch with 12 completions, expected a list with"),
    (text, r"returned str for the sample batch with 12 completions"),
    (nothing, r"returned NoneType for the sample batch"),
    (words, r"returned 'good' for completion 0 of the sample batch, expected a finite number"),
    (not_a_number, r"returned nan for completion 0"),
    (above, r"returned 1.5 for completion 0 .* outside of the range it declares, \[0, 1\]"),
    (between, r"returned 0.5 for completion 0 .* outside of the range it declares, \{0, 1\}"),
    (moody, r"gave completion 0 2.0 in the sample batch and 3.0 when called again"),
    (nosy, r"gave completion 0 1.0 in the sample batch and 2.0 beside a column that it does not k"),
    (pops, r"changed the list of completions"),
    (
        needs_a_gold,
        r"raised TypeError for a row whose 'solution' is None: .*; return None for what",
    ),
    (needs_text, r"raised ZeroDivisionError for an empty completion: "),
]


@pytest.mark.parametrize(("reward", "message"), BROKEN, ids=[r.__name__ for r, _ in BROKEN])
def test_a_broken_promise_is_one_sentence(reward, message):
    with pytest.raises(AssertionError, match=message) as caught:
        check_reward(reward)
    assert str(caught.value).startswith(f"reward {reward.__name__!r} ")
    assert "\n" not in str(caught.value)


def test_a_good_reward_is_reported():
    report = check_reward(good, args={"most": 2})
    assert (report.name, report.samples) == ("good", 12)
    assert 0 < report.seconds_per_sample < 1
    assert str(report).startswith("good: ")
    assert check_reward(good_later).samples == 12


def test_a_group_wise_reward_may_compare_within_a_prompt_only():
    check_reward(longest_of_its_prompt, grouped=True)
    with pytest.raises(AssertionError, match="with its prompt alone"):
        check_reward(share_with_prompts, grouped=True)
    with pytest.raises(AssertionError, match="called with one completion at a time, .* `prompts`"):
        check_reward(share_of_the_batch, grouped=True)


def test_a_reward_in_a_function_cannot_be_sent_to_a_worker():
    def inner(completions):
        return [1.0 for _ in completions]

    with pytest.raises(AssertionError, match="'inner' cannot be sent to a worker .* at the top of"):
        check_reward(inner)


def slow(completions):
    import time

    time.sleep(0.002 * len(completions))
    return [1.0 for _ in completions]


def test_a_slow_reward_says_how_to_allow_it():
    with pytest.raises(AssertionError, match=r"more than 0.001; .* reward_contract\('slow', secon"):
        check_reward(slow, seconds=0.001)


def slow_when_huge(completions):
    import time

    time.sleep(0.03 * any(len(text) > 10_000 for text in completions))
    return [1.0 for _ in completions]


def test_slow_on_odd_input_is_said():
    with pytest.raises(AssertionError, match=r"took 0.0 s for 100,000 letters, more than 0.02"):
        check_reward(slow_when_huge, seconds=0.002)


def pair(completions, left, right):
    return [float(a == b) if a and b else None for a, b in zip(left, right, strict=True)]


def test_columns_are_one_value_per_prompt():
    with pytest.raises(UsageError, match=r"wants column 'left'; .*columns=\{'left': \[\.\.\.\]\}"):
        check_reward(pair)
    check_reward(pair, columns={"left": [1, 2, 3], "right": [1, 2]})
    batch = sample_batch({"left": ["a", "b"]})
    assert batch.columns["left"] == tuple("aaaabbbbaaaa")
    assert batch.groups() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def broken_server(completions):
    raise ProviderError("the judge is down")


def missing(completions):
    raise MissingExtra("x is not installed")


@pytest.mark.parametrize(
    ("reward", "error"), [(broken_server, ProviderError), (missing, MissingExtra)]
)
def test_what_is_not_the_rewards_fault_is_said_as_it_is(reward, error):
    with pytest.raises(error):
        check_reward(reward)


def test_unknown_names_and_arguments():
    with pytest.raises(UsageError, match="no reward 'acuracy'; did you mean 'accuracy'"):
        check_reward("acuracy")
    with pytest.raises(UsageError, match="reward 'good' has no argument 'mots', given at rew"):
        check_reward(good, args={"mots": 1})


def documented(said: str, *, low: float = -2.0, high: Any = 3) -> Any:
    def function(completions, *, low: float = low, high: Any = high):
        return [low for _ in completions]

    function.__doc__ = said
    return declared_range(function, {"high": 5})


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Range: [0, 1].", "[0, 1]"),
        ("x\n\nRange: [-0.5, 0.5] or None. Source: y", "[-0.5, 0.5]"),
        ("Range: {0.0, 1.0, None}.", "{0, 1}"),
        ("Range: [low, high].", "[-2, 5]"),
        ("Range: {0.0, high, 1}", "{0, 5, 1}"),
        ("Range: [0, inf].", "[0, inf]"),
        ("Range: anything", None),
        ("Range: [0, somewhere]", None),
        ("", None),
    ],
)
def test_the_range_is_read_from_the_docstring(said, shown):
    found = documented(said)
    assert (str(found) if found else None) == shown


def test_the_attribute_range_wins():
    def function(completions):
        """Range: [0, 1]."""

    function.range = (-1, 0)
    assert str(declared_range(function, {})) == "[-1, 0]"


TEST = """
def bad(completions):
    return [2.0 for _ in completions[1:]]

def test_good(reward_contract):
    reward_contract("accuracy")

def test_bad(reward_contract):
    reward_contract(bad)
"""


def pytest_in(folder, *args):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_the_fixture_comes_with_the_installation(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    done = pytest_in(tmp_path)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "E       AssertionError: reward 'bad' returned list of 11 for the sample" in done.stdout
    assert "r1cli/testing" not in done.stdout.partition("short test summary")[0]
    assert "reward contracts" in done.stdout and "accuracy: " in done.stdout


PROBE = """
import sys

def test_nothing_is_imported():
    import r1cli.pytest_plugin
    print("LOADED", *sorted(sys.modules))
"""


def test_pytest_starts_without_it(tmp_path):
    (tmp_path / "test_it.py").write_text(PROBE)
    with_it = loaded(pytest_in(tmp_path, "-q", "-s"))
    assert "r1cli.pytest_plugin" in with_it
    heavy = {"pydantic", "yaml", "typer", "numpy", "torch", "datasets", "httpx"}
    assert not heavy & with_it
    assert not {name for name in with_it if name.startswith(("r1_", "r1cli.testing"))}


def loaded(done):
    [line] = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    return set(line.split())
