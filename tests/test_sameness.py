"""What counts as the same in two runs, down to the bit."""

import json
import struct

import pytest

from r1cli.errors import UsageError
from r1cli.sameness import Compared, compare


def write(run, *, weight=0.5, row=None, rollout=b"PAR1"):
    """A run directory with one tensor, one row of metrics and one file of rollouts."""
    for folder in ("model", "rollouts"):
        (run / folder).mkdir(parents=True)
    data = struct.pack("<2f", 1.0, weight)
    layout = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    header = json.dumps({"__metadata__": {"format": "pt"}, **layout}).encode()
    path = run / "model" / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    (run / "metrics.jsonl").write_text(json.dumps(row or {"step": 1, "loss": 0.1}) + "\n")
    (run / "rollouts" / "step_000001.parquet").write_bytes(rollout)
    return run


def differing(one, other):
    return {found.what: found.first for found in compare(one, other) if found.differing}


def test_equal_runs(tmp_path):
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    assert compare(one, other) == [
        Compared("tensors", 1, 0, ""),
        Compared("metric rows", 1, 0, ""),
        Compared("rollout files", 1, 0, ""),
    ]


def test_the_last_bit_of_one_weight(tmp_path):
    one = write(tmp_path / "one")
    assert differing(one, write(tmp_path / "other", weight=0.5 + 2**-24)) == {"tensors": "w"}


def test_metrics_but_times(tmp_path):
    row = {"step": 1, "loss": float("nan"), "step_time": 3.0, "scoring/x/seconds_p50": 1}
    one = write(tmp_path / "one", row=row)
    assert differing(one, write(tmp_path / "a", row={**row, "step_time": 4.0})) == {}
    found = differing(one, write(tmp_path / "b", row={**row, "loss": 0.1}))
    assert found == {"metric rows": "row 1 (step 1)"}


def test_what_one_run_lacks(tmp_path):
    one, other = write(tmp_path / "one"), write(tmp_path / "other", rollout=b"")
    (other / "metrics.jsonl").unlink()
    assert differing(one, other) == {
        "metric rows": "row 1 (step 1)",
        "rollout files": "step_000001.parquet",
    }


def test_a_run_without_weights_is_no_end_of_one(tmp_path):
    one = write(tmp_path / "one")
    (one / "model" / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="holds no safetensors to compare"):
        compare(one, one)
