import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from datasets import Dataset

from r1cli.data.mixture import counts, take
from r1cli.errors import UsageError


def count(sizes, weights, **options):
    return counts(sizes, weights, [f"part {i}" for i in range(len(sizes))], **options)


@pytest.mark.parametrize(
    ("sizes", "weights", "options", "expected"),
    [
        ([41, 30], [0.25, 0.5], {}, [10, 15]),  # open-r1: int(len * weight) of each
        ([10], [2.5], {"oversample": True}, [25]),
        ([100, 100], [3, 1], {"proportions": True}, [100, 33]),
        ([30, 1000], [0.3, 0.7], {"proportions": True}, [30, 70]),
        ([30, 1000], [0.3, 0.7], {"proportions": True, "oversample": True}, [429, 1000]),
        ([50, 50, 50], [1, 1, 1], {"proportions": True, "size": 100}, [34, 33, 33]),
        ([5, 50], [1, 1], {"proportions": True, "oversample": True, "size": 40}, [20, 20]),
    ],
)
def test_counts(sizes, weights, options, expected):
    assert count(sizes, weights, **options) == expected


@pytest.mark.parametrize(
    ("sizes", "weights", "options", "said"),
    [
        ([10], [0.05], {}, "weight 0.05 leaves none of the 10 rows of part 0; use at least 0.1"),
        ([10], [2], {}, "20 rows are wanted of part 0, which has 10.*oversample: true"),
        ([0, 9], [1, 1], {}, "no row is left of part 0: all its problems are held out"),
        ([0, 9], [1, 1], {"proportions": True}, "no row is left of part 0"),
        ([10, 90], [1, 1], {"proportions": True, "size": 50}, "25 rows are wanted of part 0"),
        ([10, 90], [1, 1000], {"proportions": True}, "weight 1 leaves none of the 10 rows"),
    ],
)
def test_what_does_not_fit(sizes, weights, options, said):
    with pytest.raises(UsageError, match=said):
        count(sizes, weights, **options)


def test_rows_repeat_only_when_all_have_been_taken():
    rows = Dataset.from_dict({"a": list(range(7))})
    taken = take(rows, 17, seed=3)["a"][:]
    assert sorted(taken[:7]) == sorted(taken[7:14]) == list(range(7))
    assert len(set(taken[14:])) == 3
    assert taken[:7] != taken[7:14]
    assert taken == take(rows, 17, seed=3)["a"][:]
    assert take(rows, 4, seed=3)["a"][:] == rows.shuffle(seed=3)["a"][:4]
