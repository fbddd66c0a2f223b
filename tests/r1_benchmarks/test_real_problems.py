"""`r1 eval` from end to end: real problems, a real (random) model, the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "bench"

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here"),
]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("math_500", "math_500.jsonl"),
        ("gsm8k", "gsm8k_test.jsonl"),
        ("aime24", "aime24.jsonl"),
        ("aime25", "aime25.jsonl"),
    ],
)
def test_a_random_model_scores_next_to_nothing_and_every_sample_is_kept(name, file, r1, tmp_path):
    from r1_tiny.model import r1_tiny_blank

    given = ("eval", name, "--data", DATA / file, "--model", r1_tiny_blank(), "--out", "out")
    done = r1(*given, "--limit", 4, "--n", 2, "--max-tokens", 8, "--json")
    assert done.exit_code == 0, done.stderr
    (score,) = json.loads(done.stdout)
    assert (score["problems"], score["samples"], score["not_applicable"]) == (4, 2, 0)
    assert 0.0 <= score["low"] <= score["mean"] <= 0.5 <= score["high"] + 0.5
    (kept,) = (tmp_path / "out" / "eval").glob("*.jsonl")
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [len(row["completions"]) for row in rows] == [2, 2, 2, 2]
