"""What is held out of training: whole problems, wherever their rows lie."""

from __future__ import annotations

import pytest
from datasets import Dataset

from r1cli import UsageError
from r1cli.data.holding_out import hold_out


def rows(*prompts: str) -> Dataset:
    return Dataset.from_list([{"prompt": text, "n": n} for n, text in enumerate(prompts)])


def asked(part: Dataset) -> set[str]:
    return {" ".join(text.lower().split()) for text in part["prompt"]}


def test_rows_that_differ_are_split_as_datasets_splits_them():
    part = rows(*(f"What is {n}?" for n in range(50)))
    (train,), (test,) = hold_out([part], 0.2, 3, "test_split_size 0.2")
    wanted = part.train_test_split(test_size=0.2, seed=3)
    assert train.to_list() == wanted["train"].to_list()
    assert test.to_list() == wanted["test"].to_list()


def test_a_problem_is_held_out_with_all_its_rows():
    """Four solutions of each problem, as `r1 generate --n 4 --keep all` writes them."""
    part = rows(*(f"What is {n // 4}?" + " " * (n % 4) for n in range(80)))
    (train,), (test,) = hold_out([part], 5, 0, "test_split_size 5")
    assert (len(train), len(test), len(asked(test))) == (60, 20, 5)
    assert not asked(train) & asked(test)
    neighbours = zip(train["prompt"], train["prompt"][1:], strict=False)
    assert sum(one.strip() == other.strip() for one, other in neighbours) < 20  # shuffled again


def test_a_problem_of_several_parts_is_held_out_with_the_rows_of_all():
    left = rows(*(f"What is {n}?" for n in range(20)))
    right = rows(*(f"WHAT is  {n}?" for n in range(10, 30)))
    train, test = hold_out([left, right], 0.5, 0, "test_split_size 0.5")
    trained, unseen = (asked(side[0]) | asked(side[1]) for side in (train, test))
    assert (len(trained), len(unseen)) == (15, 15) and not trained & unseen
    assert sum(map(len, (*train, *test))) == 40  # no row is lost


def test_parts_that_ask_in_different_columns_share_no_problem_either():
    """As rows of a mixture whose parts have rewards of their own: a column may be of one alone."""
    part = Dataset.from_list(
        [{"problem": f"What is {n}?", "prompt": f"What is {n}?"} for n in range(10)]
        + [{"problem": None, "prompt": f"What is {n}?"} for n in range(5, 15)] * 4
    )
    (train,), (test,) = hold_out([part], 5, 0, "test_split_size 5")
    assert len(asked(test)) == 5 and not asked(train) & asked(test)


def test_rows_that_ask_nothing_are_problems_of_their_own():
    parts = [rows(*[""] * 6), Dataset.from_list([{"other": n} for n in range(6)])]
    train, test = hold_out(parts, 4, 0, "test_split_size 4")
    assert [len(part) for part in (*train, *test)] == [4, 4, 2, 2]


def test_a_size_that_does_not_fit_the_problems_is_refused():
    with pytest.raises(UsageError, match="^test_split_size 2 does not fit 2 problems of 4 rows; "):
        hold_out([rows("a", "a", "b", "b")], 2, 0, "test_split_size 2")
