"""The report: whole, offline, escaped, and there also after a failure or without the extras."""

from __future__ import annotations

import importlib.util
import re
from html.parser import HTMLParser

import pytest

import r1_monitor
from r1cli import Interrupted, UsageError

from .conftest import write_rollouts

VOID = {"meta", "use", "path", "rect", "br"}
EVIL = "<think>1+1</think></pre><script>alert('x')</script> & done"


class Nesting(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(directory) -> str:
    """The report's text, once it is known to be whole and to ask for nothing from elsewhere."""
    text = (directory / "report.html").read_text(encoding="utf-8")
    nesting = Nesting()
    nesting.feed(text)
    assert nesting.open == []
    assert not nesting.seen & {"script", "link", "img", "iframe", "image"}
    assert set(re.findall(r"https?://[\w./]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "url(http" not in text and "@import" not in text
    return text


@pytest.fixture
def missing(monkeypatch):
    """A function that makes a package look uninstalled."""
    find = importlib.util.find_spec

    def hide(*names: str) -> None:
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *rest: None if name.split(".")[0] in names else find(name, *rest),
        )

    return hide


def test_a_finished_run(make_run):
    pytest.importorskip("matplotlib")
    run = make_run("grpo")
    for step in (1, 2, 25, 49, 50):
        write_rollouts(run, step, EVIL)
    r1_monitor.run_finished(run, None)
    text = checked(run.directory)
    assert "61.2 [56.0, 66.1]" in text
    assert text.count("<svg ") == 4
    assert "currentColor" in text and "#010203" not in text
    for part in ("accuracy reward", "total reward", "mean completion length", "0.1 format"):
        assert part in text
    assert "&lt;script&gt;alert(" in text
    for step in (1, 25, 50):
        assert f"step {step}: 4 of 8 completions" in text
    assert "step 2:" not in text
    assert "advantage 1.3" in text and "advantage -0.9" in text
    assert "accuracy not applicable" in text or "accuracy 0" in text
    assert "What is 1+1?" in text and "be brief" not in text
    assert "chain_sums" in text and "system_prompt" in text
    assert "52.3" in text and "3.5" in text
    assert "argv" in text


def test_checkpoints_and_benchmarks_that_failed(make_run):
    run = make_run("grpo")
    score = {**run.state["scores"][0], "mean": 0.125, "low": 0.1, "high": 0.2, "truncated": 0.5}
    failure = {"benchmark": "gsm8k", "error": "ProviderError: <no hub>"}
    run.record(
        checkpoint_scores=[{"step": 25, **score}, {"step": 50, **score}],
        benchmark_failures=[{**failure, "step": 25}, {**failure, "step": None}],
    )
    run.log_metrics({"step": 50, "benchmark/chain_sums": 0.125})
    r1_monitor.run_finished(run, None)
    text = checked(run.directory)
    assert text.count("12.5 [10.0, 20.0]") == 2
    assert "benchmark gsm8k failed on step 25: ProviderError: &lt;no hub&gt;" in text
    assert "benchmark gsm8k failed on the final policy" in text


def test_sft_curves(make_run):
    pytest.importorskip("matplotlib")
    run = make_run("sft")
    r1_monitor.run_finished(run, None)
    text = checked(run.directory)
    assert text.count("<svg ") == 2
    assert "token accuracy" in text and "total reward" not in text


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("failed", UsageError("reward <b>accuracy</b> raised")),
        ("interrupted", Interrupted("stopped")),
        ("interrupted", KeyboardInterrupt()),
    ],
)
def test_a_run_that_did_not_finish(make_run, status, error):
    run = make_run("grpo", steps=0, status=status)
    r1_monitor.run_finished(run, error)
    text = checked(run.directory)
    assert f">{status}</b>" in text
    assert type(error).__name__ in text and "Interrupt: ," not in text
    assert "<b>accuracy" not in text
    assert "no step was logged" in text


def test_a_run_that_goes_on_has_no_reason_to_end(make_run):
    run = make_run("grpo", steps=1, status="running")
    run.record(error=None)
    r1_monitor.run_finished(run, None)
    assert ">running</b>, started" in checked(run.directory)


def test_one_step_is_enough(make_run):
    run = make_run("grpo", steps=1)
    write_rollouts(run, 1)
    r1_monitor.run_finished(run, None)
    assert checked(run.directory).count("4 of 8 completions") == 1


def test_nan_rewards_and_odd_rows(make_run):
    run = make_run("grpo", steps=5)
    run.log_metrics({"step": 6, "reward": float("nan"), "rewards/accuracy/mean": float("nan")})
    run.log_metrics({"reward": "high", "step": 7})
    r1_monitor.run_finished(run, None)
    assert "nan" not in checked(run.directory).lower().split("resolved recipe")[0]


def test_without_the_extras(make_run, missing):
    run = make_run("grpo")
    write_rollouts(run, 1)
    missing("matplotlib", "pyarrow")
    r1_monitor.run_finished(run, None)
    text = checked(run.directory)
    assert "matplotlib is not installed; run: pip install" in text
    assert "pyarrow is not installed; run: pip install" in text
    assert "61.2" in text


def test_a_pipeline(make_run, capsys):
    runs = [make_run("sft", name="1-sft"), make_run("grpo", name="2-grpo")]
    score = runs[0].state["scores"][0]
    runs[0].record(scores=[{**score, "mean": 0.3, "low": 0.25, "high": 0.35}])
    write_rollouts(runs[1], 50, EVIL)
    directory = runs[0].directory.parent
    r1_monitor.pipeline_finished(runs, directory)
    text = checked(directory)
    assert "1-sft → 2-grpo" in text
    assert "30.0 [25.0, 35.0]" in text and "61.2 [56.0, 66.1]" in text
    assert ">+31.2</td>" in text
    assert "token accuracy" in text and "accuracy reward" in text
    assert "report.html" not in capsys.readouterr().out
