import inspect
import math
import re
from fractions import Fraction

import pytest

from r1cli.errors import MissingExtra, PluginError, ProviderError, UsageError
from r1cli.scoring import BoundReward, total
from r1cli.types import Completion, Outcome

TEXTS = [Completion("one"), Completion("two")]


def score(function, columns=None, completions=TEXTS, **args):
    reward = BoundReward("mine", function, args)
    return reward.score(completions, ["p"] * len(completions), columns or {})


def seen(function, columns=None, **args):
    """What the reward was called with besides the completions."""
    calls = []

    def spy(*given, **named):
        calls.append(named)
        return [0.0] * len(given[0])

    spy.__signature__ = inspect.signature(function)
    score(spy, columns, **args)
    return calls[0]


def test_the_three_ends_of_a_call():
    assert score(lambda completions: [1, None]) == [
        Outcome("score", 1.0),
        Outcome("not_applicable"),
    ]


@pytest.mark.parametrize("value", [True, 1, 0.5, -2.5, Fraction(1, 4)])
def test_any_finite_number_is_a_score(value):
    assert score(lambda completions: (value, value))[0] == Outcome("score", float(value))


def test_a_numpy_array_will_do():
    numpy = pytest.importorskip("numpy")
    assert [o.value for o in score(lambda completions: numpy.array([0.5, 1]))] == [0.5, 1.0]


def test_a_mean_is_no_list():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(PluginError, match="returned ndarray, expected a list"):
        score(lambda completions: numpy.array(0.5))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        pytest.param(10**400, id="huge"),
        -math.inf,
        "1.0",
        b"1",
        "right",
        [1.0],
        {},
        object(),
    ],
)
def test_what_is_no_finite_number_is_named_with_its_sample(value):
    with pytest.raises(PluginError, match=r"reward 'mine' returned .* for sample 1 \('two'\)"):
        score(lambda completions: [1.0, value])


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([1.0], "1 values for 2 completions"),
        ([1.0] * 3, "3 values for 2 completions"),
        (1.0, "returned float, expected a list"),
        (None, "returned NoneType"),
        ("10", "returned str"),
        ({"a": 1, "b": 2}, "returned dict"),
        (iter([1.0, 1.0]), "returned list_iterator"),
        ({1.0, 0.0}, "returned set"),
    ],
)
def test_a_reward_returns_one_value_per_completion(returned, said):
    with pytest.raises(PluginError, match=r"reward 'mine' returned") as caught:
        score(lambda completions: returned)
    assert said in str(caught.value)


def test_an_exception_names_the_reward_and_the_first_sample_that_raises():
    def mine(completions, solution):
        return [1 / int(text) for text in solution]

    with pytest.raises(PluginError) as caught:
        score(mine, {"solution": ["1", "0"], "other": ["x", "y"]})
    assert str(caught.value) == (
        "reward 'mine' raised ZeroDivisionError: division by zero "
        "on sample 1 ('two', columns {'solution': '0'})"
    )


def test_an_exception_of_several_lines_is_told_in_one():
    def mine(completions):
        raise ValueError("first\n  second")

    with pytest.raises(PluginError, match=r"ValueError: first second on sample 0 \('one'\)$"):
        score(mine)


def test_an_exception_of_the_whole_batch_names_no_sample():
    def mine(completions):
        return [1 / (2 - len(completions))]

    with pytest.raises(PluginError, match="division by zero$"):
        score(mine)


@pytest.mark.parametrize("error", [ProviderError("down"), MissingExtra("no sympy")])
def test_a_failure_that_is_not_the_rewards_own_keeps_its_code(error):
    def mine(completions):
        raise error

    with pytest.raises(type(error)) as caught:
        score(mine)
    assert caught.value is error


# -- what it is given ------------------------------------------------------------------------------

COLUMNS = {"solution": ["1", "2"], "level": [3, 4], "max_chars": [9, 9], "completions": ["x", "y"]}


def test_a_reward_gets_the_columns_that_it_names():
    assert seen(lambda completions, solution: None, COLUMNS) == {"solution": ["1", "2"]}


def test_an_absent_column_with_a_default_is_left_to_it():
    assert seen(lambda completions, other=None: None, COLUMNS) == {}
    assert seen(lambda completions, level=None: None, COLUMNS) == {"level": [3, 4]}


def test_prompts_are_given_where_they_are_named():
    assert seen(lambda completions, prompts: None, COLUMNS) == {"prompts": ["p", "p"]}


def test_a_reward_that_collects_gets_every_column_and_the_prompts():
    given = seen(lambda completions, **columns: None, COLUMNS)
    assert given == {
        "solution": ["1", "2"],
        "level": [3, 4],
        "max_chars": [9, 9],
        "prompts": ["p", "p"],
    }


def test_a_column_called_like_an_argument_never_takes_its_place():
    def mine(completions, *, max_chars=500, **columns):
        assert "max_chars" not in columns
        return [float(max_chars)] * len(completions)

    assert score(mine, COLUMNS)[0].value == 500
    assert score(mine, COLUMNS, max_chars=7)[0].value == 7


def test_lists_are_the_rewards_own():
    def mine(completions, solution):
        solution.clear()
        completions.reverse()
        return [1.0, 2.0]

    columns = {"solution": ["1", "2"]}
    score(mine, columns)
    assert columns == {"solution": ["1", "2"]} and TEXTS[0] == "one"


def test_a_wanted_column_that_is_absent():
    reward = BoundReward("mine", lambda completions, solution: None, {})
    reward.check_columns(["prompt", "solution"])
    said = "reward 'mine' wants column 'solution'; the dataset has prompt, gold; rename one with "
    with pytest.raises(UsageError, match=re.escape(said + "dataset.columns: {solution: ...}")):
        reward.check_columns(["prompt", "gold"])


# -- several ---------------------------------------------------------------------------------------


def test_the_total_is_weighted_and_leaves_out_what_did_not_apply():
    none = Outcome("not_applicable")
    first, second, third = (Outcome("score", value) for value in (1.0, 0.5, 1))
    outcomes = [[first, none, none], [second, third, none]]
    assert total(outcomes, [1.0, 0.2]) == [pytest.approx(1.1), pytest.approx(0.2), None]
