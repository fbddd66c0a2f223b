"""The terminal picture: labelled axes, plain off a terminal, one line without plotext."""

from __future__ import annotations

import sys

import pytest

from r1_monitor import picture
from r1_monitor.series import Series, outcomes


def test_plain_text_with_labelled_axes(make_run, capsys):
    pytest.importorskip("plotext")
    picture.show([make_run("sft"), make_run("grpo")])
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    for part in ("grpo: accuracy reward", "grpo: total reward", "mean completion length (tokens)"):
        assert part in err
    labels = [line for line in err.splitlines() if line.strip() == "step"]
    assert len(labels) == 3
    ticks = [line.split() for line in err.splitlines() if line.split()[:1] == ["1"]]
    assert ticks == [["1", "10", "20", "30", "40", "50"]] * 3
    assert "0.69" in err or "0.68" in err
    assert max(map(len, err.splitlines())) <= picture.WIDTH
    assert "loss" not in err


def test_colour_when_asked_for_and_side_by_side():
    pytest.importorskip("plotext")
    curve = Series("reward", [1, 2, 3], [0.0, 0.5, 1.0])
    assert "\x1b[" in picture.draw("reward", curve, colour=True)
    plain = picture.draw("reward", curve)
    both = picture.beside([plain, plain]).splitlines()
    assert len(both) == len(plain.splitlines()) == picture.HEIGHT
    assert both[0].split() == ["reward", "reward"]


def test_one_point_and_a_flat_curve():
    pytest.importorskip("plotext")
    assert "step" in picture.draw("one", Series("one", [7], [0.5]))
    assert "step" in picture.draw("flat", Series("flat", [1, 2, 3], [0.5] * 3))


def test_no_reinforcement_no_picture(make_run, capsys):
    picture.show([make_run("sft"), make_run("grpo", steps=0)])
    assert capsys.readouterr().err == ""


def test_without_plotext_one_line_says_so(make_run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotext", None)
    picture.show([make_run("grpo")])
    assert capsys.readouterr().err == picture.INSTALL + "\n"


def test_outcomes_skip_what_was_not_logged():
    rows = [{"step": 1, "reward": 0.5}, {"step": 2, "reward": float("nan")}, {"reward": 1.0}]
    assert outcomes(rows) == [Series("total reward", [1], [0.5])]


def test_without_accuracy_the_first_reward_is_the_verifier():
    rows = [{"step": 1, "rewards/countdown/mean": 0.1, "rewards/format/mean": 0.9, "reward": 0.2}]
    assert [one.label for one in outcomes(rows)] == ["countdown reward", "total reward"]
