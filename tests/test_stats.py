import itertools
import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1cli import stats


def test_avg_at_n_weighs_problems_alike():
    assert stats.avg_at_n([[1.0, 0.0], [1.0], [0.0, 0.0, 0.0, 1.0]]) == pytest.approx(1.75 / 3)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 1), (4, 2), (6, 3), (7, 7), (8, 5)])
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(n, k):
    for correct in range(n + 1):
        draws = list(itertools.combinations([1] * correct + [0] * (n - correct), k))
        expected = sum(map(any, draws)) / len(draws)
        assert stats.pass_at_k(correct, n, k) == pytest.approx(expected)


@pytest.mark.parametrize(("correct", "n", "k"), [(5, 4, 1), (-1, 4, 1), (1, 4, 5), (1, 4, 0)])
def test_pass_at_k_of_the_impossible(correct, n, k):
    with pytest.raises(ValueError, match=rf"pass@{k} of {correct} right in {n}"):
        stats.pass_at_k(correct, n, k)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # by hand from Wilson (1927), and the table of Newcombe (1998) for 81 of 263
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (29, 29, 0.8830, 1.0),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson(right, n, low, high):
    assert stats.wilson(right, n)[:2] == pytest.approx((low, high), abs=5e-5)


def test_one_yes_or_no_each_is_wilson():
    scores = [[1.0]] * 15 + [[0.0]] * 133
    assert stats.interval(scores) == stats.wilson(15, 148)


def test_several_samples_are_clustered_by_problem():
    # means 0, 0.5, 1, 0.5: mean 0.5, squares 0.5; Student's t has 3.1824 at 3 degrees, 2.0930 at 19
    four = [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    for often, t in ((1, 3.1824), (5, 2.0930)):
        n = 4 * often
        half = t * math.sqrt(0.5 * often / (n - 1) / n)
        low, high, _ = stats.interval(four * often)
        expected = (max(0.0, 0.5 - half), min(1.0, 0.5 + half))
        assert (low, high) == pytest.approx(expected, abs=1e-4)


def test_copies_of_a_sample_tell_nothing_new():
    scores = [[1.0]] * 30 + [[0.0]] * 70
    once, often = stats.interval(scores), stats.interval([row * 64 for row in scores])
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.05)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_problems_that_agree_still_leave_doubt(value):
    assert stats.interval([[value] * 4] * 30) == stats.wilson(30 * int(value), 30)


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=20))
def test_an_interval_holds_the_mean_and_stays_in_range(scores):
    low, high, _ = stats.interval(scores)
    assert 0.0 <= low <= high <= 1.0
    assert low - 1e-9 <= stats.avg_at_n(scores) <= high + 1e-9


def test_problems_of_one_mean_still_leave_doubt():
    low, high, _ = stats.interval([[1.0, 0.0]] * 8)
    assert (low, high) == pytest.approx(stats.wilson(4, 8)[:2])
    assert high - low > 0.5


def test_scores_of_another_range_are_not_cut_to_it():
    low, high, _ = stats.interval([[-1.0], [-3.0], [2.0]])
    assert low < -2 and high > 0


@pytest.mark.parametrize(("problems", "n"), [(5, 4), (30, 1), (30, 16), (100, 4), (500, 1)])
def test_19_of_20_intervals_hold_the_truth(problems, n):
    rng = random.Random(f"{problems} {n}")
    held = []
    for _ in range(1000):
        # Problems differ in difficulty, uniformly: the truth is 0.5.
        difficulty = [rng.random() for _ in range(problems)]
        scores = [[float(rng.random() < p) for _ in range(n)] for p in difficulty]
        low, high, _ = stats.interval(scores)
        held.append(low <= 0.5 <= high)
    assert 0.93 <= fmean(held) <= 0.97


@pytest.mark.parametrize(
    ("answers", "scores", "expected"),
    [
        (["7", "7", "8"], [1.0, 1.0, 0.0], 1.0),
        (["8", "8", "7"], [0.0, 0.0, 1.0], 0.0),
        (["7", "8"], [1.0, 0.0], 0.5),  # a tie: either is drawn
        (["7", "8", "9", "9", "7"], [1.0, 0.0, 0.0, 0.0, 1.0], 0.5),
        ([None, None, "7"], [0.0, 0.0, 1.0], 1.0),
        ([None, None], [0.0, 0.0], 0.0),
        ([], [], 0.0),
    ],
)
def test_the_majority_decides(answers, scores, expected):
    assert stats.majority(answers, scores) == expected


def test_an_interval_names_its_method():
    assert stats.interval([[1.0], [0.0]]).method == "wilson"
    assert stats.interval([[1.0, 0.0], [0.0, 0.0]]).method == "t, clustered by problem"
    assert stats.interval([[0.5]]).method == "none: one problem"
