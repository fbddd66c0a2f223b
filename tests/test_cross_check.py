"""A second scorer on the samples of an evaluation: what is counted, shown, kept and refused."""

from __future__ import annotations

import json

import pytest

from r1cli.errors import ProviderError, UsageError
from r1cli.evaluation.cross_check import cross_check, cross_checker
from r1cli.evaluation.results import read_results
from r1cli.plugins import builtin_plugins
from r1cli.registry import Entry


@pytest.fixture
def by():
    """`by(judge, name)`: a reward that calls `judge(text, gold)` in this process, bound."""

    def bound(judge, name="second", benchmark="sums", **attributes):
        def second(completions, solution, *, task="any"):
            return [
                judge(str(text), gold) for text, gold in zip(completions, solution, strict=True)
            ]

        second.answer = lambda text, **args: str(text)[-1:] or None
        vars(second).update(attributes)
        plugins = builtin_plugins()
        plugins["rewards"].add(Entry("rewards", "second", second, "", "test", False))
        return cross_checker(name, benchmark, plugins)

    return bound


@pytest.fixture
def result(tmp_path):
    """Four judged samples of two problems, and one that the first scorer could not judge."""
    given = [("it is 4", 1.0), ("it is 5", 0.0), ("9", 1.0), ("8", 1.0), ("7", None)]
    rows = [
        {
            "problem": i // 2,
            "sample": i % 2,
            "prompt": [{"role": "user", "content": "q"}],
            "prefill": "",
            "completion": text,
            "tokens": 1,
            "truncated": False,
            "score": score,
            "failed": "",
            "gold": "4" if i < 2 else "9",
            "answer": text[-1],
        }
        for i, (text, score) in enumerate(given)
    ]
    path = tmp_path / "sums-abc-m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_results(path)[0]


def ends(text, gold):
    return float(text.endswith(gold))


def test_a_scorer_that_agrees_has_nothing_to_show(by, result):
    found = cross_check(result, by(lambda text, gold: 0.0 if "5" in text else 1.0))
    assert (found.samples, found.agree, found.disagreements) == (4, 4, [])
    assert found.ours == found.theirs == 0.75


def test_a_disagreement_shows_both_answers_and_the_gold(by, result):
    found = cross_check(result, by(ends))
    assert (found.samples, found.agree, found.theirs) == (4, 3, 0.5)
    assert found.disagreements == [
        {
            "problem": 1,
            "sample": 1,
            "gold": "9",
            "ours": {"score": 1.0, "answer": "8"},
            "theirs": {"score": 0.0, "answer": "8"},
            "completion": "8",
        }
    ]


def test_what_only_one_scored_is_no_disagreement(by, result):
    found = cross_check(result, by(lambda text, gold: None if gold == "4" else 1.0))
    assert (found.samples, found.unscored, found.agree) == (2, 2, 2)


def test_it_is_kept_beside_the_samples_and_is_not_taken_for_some(by, result):
    found = cross_check(result, by(ends))
    kept = result.path.with_name("sums-abc-m-by-second.json")
    assert json.loads(kept.read_text()) == found.to_dict()
    assert [r.path for r in read_results(result.path.parent)] == [result.path]


def test_a_scorer_that_scores_nothing_is_an_error(by, result):
    with pytest.raises(ProviderError, match="'second' scored no sample"):
        cross_check(result, by(lambda text, gold: None))


@pytest.mark.parametrize(("name", "task"), [("second", "sums"), ("second:other", "other")])
def test_a_scorer_of_tasks_is_told_which_and_gets_ready_first(by, name, task):
    told = []
    scorer = by(ends, name, ready=lambda *, task: told.append(task))
    assert (scorer.args, told) == ({"task": task}, [task])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secand", "no reward 'secand' at --cross-check; did you mean 'second'"),
        ("accuracy:x", "'task'"),
        ("countdown", "cannot cross-check"),
    ],
)
def test_what_is_no_second_scorer_is_refused(by, name, message):
    with pytest.raises(UsageError, match=message):
        by(ends, name)
