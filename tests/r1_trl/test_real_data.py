"""GRPO on real GSM8K rows, where the shared data is present."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "bench" / "gsm8k_train.jsonl"

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here"),
]


def test_grpo_steps_on_gsm8k_with_accuracy_and_format(train_tiny, cold_start, tmp_path, caplog):
    columns = "{prompt: question, solution: answer}"
    run = train_tiny(
        "grpo",
        tmp_path / "run",
        f"model.name={cold_start.model}",
        f"dataset={{name: file, args: {{path: {DATA}}}, columns: {columns}}}",
        "trainer.args.max_steps=3",
    )
    rows = [row for row in run.metrics() if "reward" in row]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(0 <= row["rewards/accuracy/mean"] <= 1 for row in rows)
    assert "prompts are longer than" in caplog.text, "some problems do not fit 512 tokens"
