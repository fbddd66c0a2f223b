"""Two series of scores: what changed, what only one of them judged, how much they agree."""

from __future__ import annotations

import pytest

from r1cli.lab import table_file
from r1cli.lab.compare import compare, series
from r1cli.lab.distribution import histogram, summary
from r1cli.plugins import load_plugins
from r1cli.types import Outcome


def test_changes_come_largest_first_and_a_missing_score_is_the_largest():
    found = compare([0.0, 1.0, 0.5, None, None], [0.0, 0.0, 0.4, 1.0, None])
    assert found.changed == [3, 1, 2]
    assert found.counts() == {
        "scored_by_both": 3,
        "changed": 3,
        "only_a": 0,
        "only_b": 1,
        "correlation": pytest.approx(0.0),
    }


@pytest.mark.parametrize("series", [[], [1.0], [1.0, 1.0], [None, None]])
def test_no_correlation_where_nothing_varies(series):
    found = compare(series, series)
    assert (found.correlation, found.changed) == (None, [])


def test_nan_is_no_score(tmp_path):
    """As pandas and TRL write it."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"completion": "a", "one": 1, "two": NaN}\n{"completion": "b", "one": 0}\n')
    samples = table_file.read(path)
    one, two = (series(name, samples, {}, load_plugins()) for name in ("one", "two"))
    assert (one, two) == ([1.0, 0.0], [None, None])
    assert compare(one, two).changed == [0, 1]


def test_the_same_scores_correlate_fully():
    assert compare([0.0, 1.0, 2.0], [1.0, 3.0, 5.0]).correlation == pytest.approx(1.0)


def outcomes(*values):
    return [Outcome("score", v) if v is not None else Outcome("not_applicable") for v in values]


def test_a_summary_keeps_the_three_outcomes_apart():
    row = summary("x", [*outcomes(0.0, 1.0, 1.0, 1.0, None), Outcome("failed", reason="y")])
    assert (row["n"], row["mean"], row["median"]) == (6, 0.75, 1.0)
    assert (row["not_applicable"], row["failed"]) == (1 / 6, 1 / 6)
    assert summary("x", outcomes(None))["mean"] is None
    assert summary("x", outcomes(3.0))["q75"] == 3.0


def test_a_histogram_has_a_bar_per_value_or_ten_bins():
    few = histogram(outcomes(0.0, 1.0, 1.0, None))
    assert [(row["value"], row["count"]) for row in few] == [("0", 1), ("1", 2)]
    assert len(few[1][""]) == 2 * len(few[0][""])
    many = histogram(outcomes(*(i / 99 for i in range(100))))
    assert len(many) == 10 and sum(row["count"] for row in many) == 100
    assert histogram(outcomes(None)) == []
