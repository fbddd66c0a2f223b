"""Benchmarks while a run goes on: a real engine on real checkpoints, under a trainer that saves."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from r1cli import recipe_file as recipes
from r1cli.errors import UsageError
from r1cli.evaluation.during import During
from r1cli.evaluation.launched import Launched
from r1cli.evaluation.score import Score
from r1cli.pipeline import train
from r1cli.plugins import builtin_plugins
from r1cli.recipe import BenchmarkRun, Trainer
from r1cli.registry import Entry
from r1cli.run import Run


class Recorded(Run):
    """A run directory without a recipe in it."""

    def __init__(self, directory, recipe):
        super().__init__(directory, recipe)
        directory.mkdir(parents=True, exist_ok=True)
        self.record(status="running")


RECIPE = """\
model: {name: r1_tiny_blank}
dataset: {name: chain_sums, args: {size: 8}}
trainer: {name: saver}
callbacks: []
benchmarks:
"""


def scored(name, mean):
    shares = {"tokens": 1.0, "truncated": 0.0, "unparseable": None}
    counts = {"not_applicable": 0, "failed": 0, "seconds": 0.0, "problems": 2, "samples": 1}
    return Score(name, "avg@1", "0", mean=mean, low=0.0, high=1.0, interval="", **shares, **counts)


@pytest.fixture
def recipe(tmp_path):
    def load(*benchmarks):
        (tmp_path / "r.yaml").write_text(RECIPE + "".join(f"  - {b}\n" for b in benchmarks))
        return recipes.load(str(tmp_path / "r.yaml"))

    return load


@pytest.fixture
def listening(tmp_path, recipe):
    """`listening(means, BenchmarkRun...)`: a listener whose benchmark gives these means."""

    def build(means, *benchmarks):
        run = Recorded(tmp_path / "run", recipe("{name: chain_sums}"))
        left, said = list(means), []

        def measure(model, due, folder, failed):
            found = []
            for benchmark, _ in due:
                mean = left.pop(0)
                if isinstance(mean, Exception):
                    failed(benchmark.name, mean)
                else:
                    found.append(scored(benchmark.name, mean))
            return found

        bound = [(benchmark, None) for benchmark in benchmarks]
        jobs = Launched(run, builtin_plugins())
        listener = During(run, bound, lambda event, **values: said.append(event), measure, jobs)
        return run, listener, said

    return build


def save(listener, run, *steps):
    for step in steps:
        listener("checkpoint_saved", run=run, path=run.directory / f"{step}", step=step)


def test_every_nth_checkpoint_is_measured_and_told_everywhere(listening):
    run, listener, said = listening([0.1, 0.2], BenchmarkRun(name="b", every=2))
    save(listener, run, 10, 20, 30, 40)
    assert said == ["checkpoint_saved"] * 4
    told = [(s["step"], s["mean"]) for s in run.state["checkpoint_scores"]]
    assert told == [(20, 0.1), (40, 0.2)]
    assert run.metrics() == [
        {"step": 20, "benchmark/b": 0.1},
        {"step": 40, "benchmark/b": 0.2},
    ]
    assert run.measured == {"benchmark/b": 0.2} and not run.enough
    save(listener, run, 50)
    assert run.measured == {}  # told once, not again for a checkpoint that is not measured


def test_after_a_resume_the_count_goes_on_and_later_scores_are_forgotten(listening):
    run, listener, _ = listening([0.1, 0.2, 0.3], BenchmarkRun(name="b", every=2))
    save(listener, run, 10, 20, 30, 40)
    again = During(run, listener.benchmarks, listener.emit, listener.measure, listener.jobs)
    save(again, run, 40)  # resumed from 30
    assert [(s["step"], s["mean"]) for s in run.state["checkpoint_scores"]] == [
        (20, 0.1),
        (40, 0.3),
    ]


def test_a_benchmark_that_fails_stops_nothing_and_is_not_silent(listening, caplog):
    run, listener, said = listening(
        [RuntimeError("no\nengine"), 0.5],
        BenchmarkRun(name="b", every=1),
        BenchmarkRun(name="c", every=1),
    )
    save(listener, run, 10)
    assert said == ["checkpoint_saved"]
    assert (
        "benchmark b failed at step 10, and training goes on: RuntimeError: no engine"
        in caplog.text
    )
    assert run.state["benchmark_failures"] == [
        {"benchmark": "b", "step": 10, "error": "RuntimeError: no engine"}
    ]
    assert [s["benchmark"] for s in run.state["checkpoint_scores"]] == ["c"]


@pytest.mark.parametrize(
    ("means", "stopped"),
    [
        ([0.1, 0.2, 0.3, 0.4], False),
        ([0.3, 0.2, 0.3], True),
        ([0.1, 0.3, 0.2, 0.31], False),
        ([0.3, 0.3], False),
    ],
)
def test_patience(listening, means, stopped):
    run, listener, _ = listening(means, BenchmarkRun(name="b", every=1, patience=2))
    save(listener, run, *range(1, len(means) + 1))
    assert bool(run.enough) is stopped
    assert run.state.get("stopped_early", "") == run.enough
    if stopped:
        assert run.enough == "b has not got better than 30.0 % for 2 measured checkpoints"
        assert During(
            run, listener.benchmarks, listener.emit, listener.measure, listener.jobs
        ).run.enough


def test_patience_is_refused_where_two_scores_have_one_name(listening):
    """The scores of one would count as the other's, and end the run."""
    easy = BenchmarkRun(name="file", data="easy.jsonl", every=1)
    hard = BenchmarkRun(name="file", data="hard.jsonl", every=1)
    listening([], easy, hard)
    with pytest.raises(UsageError, match="'file' is measured on checkpoints twice"):
        listening([], easy, hard.model_copy(update={"patience": 2}))


def test_patience_without_checkpoints_is_an_error(recipe):
    with pytest.raises(UsageError, match="patience counts checkpoints: say every, too"):
        recipe("{name: chain_sums, patience: 2}")


def saver(recipe, run, *, dataset, rewards, callbacks):
    """Saves its starting point as checkpoints 1 and 2, then one that no engine can load."""
    for step in (1, 2, 3):
        path = run.checkpoints / f"checkpoint-{step}"
        shutil.copytree(recipe.model.name, path)
        if step == 3:
            (path / "model.safetensors").write_bytes(b"no weights")
        run.emit("checkpoint_saved", run=run, path=path, step=step)
    shutil.copytree(recipe.model.name, run.model)
    return run.model


def losing(path):
    """A trainer in whose time a benchmark's data are lost."""

    def loser(*given, **others):
        path.unlink()
        return saver(*given, **others)

    return loser


def test_a_benchmark_that_cannot_be_loaded_is_known_before_training(recipe, tmp_path):
    (tmp_path / "no-gold.jsonl").write_text('{"question": "1+1?"}\n')
    asked = recipe(f"{{name: gsm8k, data: {tmp_path}/no-gold.jsonl}}")
    plugins = builtin_plugins()
    plugins["trainers"].add(Entry("trainers", "saver", saver, "", "test", False))
    with pytest.raises(UsageError, match="no column for 'solution'"):
        train(asked, plugins, tmp_path / "runs" / "mine")
    assert not (tmp_path / "runs" / "mine").exists()


@pytest.mark.train
def test_a_run_measures_its_checkpoints_with_a_real_engine(recipe, tmp_path, caplog):
    plugins = builtin_plugins()
    said = "{name: chain_sums, args: {n: 2, size: 4, max_tokens: 8}, every: 1}"
    lost = tmp_path / "lost.jsonl"
    lost.write_text('{"question": "1+1?", "answer": "#### 2"}\n')
    plugins["trainers"].add(Entry("trainers", "loser", losing(lost), "", "test", False))
    asked = recipe(said, f"{{name: gsm8k, data: {lost}}}")
    asked = asked.model_copy(update={"trainer": Trainer(name="loser")})
    run = train(asked, plugins, tmp_path / "runs" / "mine")
    state = run.state
    assert state["status"] == "finished"
    assert [score["step"] for score in state["checkpoint_scores"]] == [1, 2]
    failures = [(f["benchmark"], f["step"]) for f in state["benchmark_failures"]]
    assert failures == [("chain_sums", 3), ("gsm8k", None)]
    assert "lost.jsonl" in state["benchmark_failures"][1]["error"]
    [final] = state["scores"]
    assert final["samples"] == 2
    files = sorted(p.relative_to(run.directory) for p in run.directory.glob("eval/**/*.jsonl"))
    assert [len(path.parts) for path in files] == [2, 3, 3]  # the final one, and two checkpoints
    written = [
        json.loads(p.with_suffix(".json").read_text()) for p in run.directory.glob("eval/*.jsonl")
    ]
    assert written[0]["score"]["mean"] == final["mean"]
    # The same weights: what was sampled for the first checkpoint is not sampled again.
    assert {score["mean"] for score in state["checkpoint_scores"]} == {final["mean"]}
