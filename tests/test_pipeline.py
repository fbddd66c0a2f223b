"""Pipelines: each stage starts from the policy before it; the tiny one learns, on every seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from r1cli import UsageError, source
from r1cli import recipe_file as recipes
from r1cli.pipeline import stage_recipes
from r1cli.recipe import Batch

SMALL = """\
name: small
seed: 3
stages:
  - recipe: tiny/sft
    set: {dataset.args.size: 320, trainer.args.warmup_steps: 2}
  - recipe: tiny/grpo
    set:
      benchmarks: []
      batch: {prompts_per_step: 4, group_size: 4}
      trainer.args.max_steps: 2
      trainer.args.max_completion_length: 24
benchmarks:
  - {name: chain_sums, args: {n: 2, size: 10}}
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def r1(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "r1cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
    )


def test_a_stage_starts_from_the_policy_before_it_with_the_pipelines_seed_and_benchmarks(small):
    pipeline = recipes.load_pipeline(str(small))
    (first, _), (second, place) = stage_recipes(pipeline, small, Path("runs/small"))
    assert (first.model.name, first.seed, second.seed) == ("r1_tiny_blank", 3, 3)
    assert second.model.name == "runs/small/1-sft/model"
    assert place == Path("runs/small/2-grpo")
    assert [b.name for b in second.benchmarks] == ["chain_sums"]
    assert second.trainer.args["max_steps"] == 2


@pytest.mark.parametrize("prompt", ["\U0001f600 #1: now\u2028think", "2e-6", "2024-01-01", "- x"])
def test_what_is_said_of_a_stage_changes_that_alone_and_arrives_as_it_was(small, prompt):
    """Alone: the rest of the section stays. JSON, for one, would tear the emoji in two."""
    data = source.read(small).data
    data["stages"][1]["set"]["system_prompt"] = prompt
    small.write_text(source.dump(data))
    sets = ["stages.1.set.batch.micro_batch=4", "stages.1.set.trainer.args.max_steps=3"]
    _, (second, _) = stage_recipes(recipes.load_pipeline(str(small), sets), small, Path("runs"))
    assert second.system_prompt == prompt
    assert second.batch == Batch(prompts_per_step=4, group_size=4, micro_batch=4)
    assert second.trainer.name == "grpo" and second.trainer.args["max_steps"] == 3


def test_a_wrong_key_in_a_later_stage_is_found_before_the_first_one_trains(small, tmp_path):
    small.write_text(SMALL.replace("trainer.args.max_steps: 2", "trainer.args.max_stps: 2"))
    done = r1("pipeline", "--recipe", str(small), cwd=tmp_path)
    assert done.returncode == 2
    assert "GRPOConfig has no field 'max_stps'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_stage_that_is_nowhere_is_an_error(small):
    small.write_text(SMALL.replace("tiny/grpo", "tiny/gpro"))
    with pytest.raises(UsageError, match="no recipe 'tiny/gpro'.*did you mean 'tiny/grpo'"):
        stage_recipes(recipes.load_pipeline(str(small)), small, Path("runs"))


@pytest.mark.train
def test_the_same_seed_gives_the_same_numbers_and_a_finished_pipeline_is_not_run_again(
    small, tmp_path
):
    scores = []
    for place in ("a", "b"):
        done = r1("pipeline", "--recipe", str(small), "--run", place, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        stages = [
            json.loads((tmp_path / place / s / "run.json").read_text()) for s in ("1-sft", "2-grpo")
        ]
        assert [stage["status"] for stage in stages] == ["finished", "finished"]
        scores.append([(s["scores"][0]["mean"], s["scores"][0]["tokens"]) for s in stages])
        assert (tmp_path / place / "report.html").stat().st_size > 1000
        weights = (tmp_path / place / "2-grpo" / "model" / "model.safetensors").read_bytes()
        scores[-1].append(weights)
    assert scores[0] == scores[1]
    before = (tmp_path / "a" / "2-grpo" / "metrics.jsonl").read_bytes()
    again = r1("pipeline", "--recipe", str(small), "--run", "a", cwd=tmp_path)
    assert again.returncode == 0
    assert again.stderr.count("is finished already") == 2
    assert (tmp_path / "a" / "2-grpo" / "metrics.jsonl").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_tiny_recipe_gains_20_points_and_thinks_longer(seed, tmp_path):
    done = r1("pipeline", "--recipe", "tiny/r1", "--set", f"seed={seed}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    start, end = (
        json.loads((tmp_path / "runs" / "tiny-r1" / stage / "run.json").read_text())["scores"][-1]
        for stage in ("1-sft", "2-grpo")
    )
    assert start["label"] == end["label"] == "avg@8"
    assert end["low"] > start["high"]
    assert end["mean"] - start["mean"] >= 0.20
    assert end["tokens"] > 1.3 * start["tokens"]


@pytest.mark.slow
def test_grpo_alone_builds_its_cold_start_on_first_use_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("R1_HOME", str(tmp_path / "home"))
    short = ("--set", "trainer.args.max_steps=2", "--set", "benchmarks=[]")
    first = r1("train", "grpo", "--recipe", "tiny/grpo", *short, "--run", "a", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "building tiny-sft from recipe tiny/sft, once" in first.stderr
    again = r1("train", "grpo", "--recipe", "tiny/grpo", *short, "--run", "b", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "building" not in again.stderr
    rewards = [
        json.loads(line)["rewards/accuracy/mean"]
        for line in (tmp_path / "b" / "metrics.jsonl").read_text().splitlines()
        if "rewards/accuracy/mean" in line
    ]
    assert min(rewards) > 0.2, "the cold start can add"
