"""Completions from files: ours, TRL's and anyone's; what cannot be read is said with its row."""

from __future__ import annotations

import json

import pytest

from r1cli.errors import UsageError
from r1cli.lab import table_file
from r1cli.types import Outcome

pa = pytest.importorskip("pyarrow")


def jsonl(path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def parquet(path, **columns):
    from pyarrow.parquet import write_table

    write_table(pa.table(columns), path)
    return path


def test_our_rollouts_with_their_prefill_and_tokens(tmp_path):
    messages = [{"role": "user", "content": "2+3?"}]
    for step in (2, 1):
        parquet(
            tmp_path / f"step_{step:06d}.parquet",
            step=[step],
            prompt=[json.dumps(messages)],
            completion=["2 and 3</think>5"],
            prefill=["<think>"],
            tokens=[7],
            truncated=[True],
            **{"reward/accuracy": [1.0]},
        )
    samples = table_file.read(tmp_path)
    assert [row["step"] for row in samples.rows] == [1, 2]
    first = samples.completions[0]
    assert (first, first.tokens, first.truncated) == ("<think>2 and 3</think>5", 7, True)
    assert first.answer == "5"
    assert samples.prompts == [messages] * 2
    assert samples.columns["reward/accuracy"] == [1.0, 1.0]


def test_trls_own_completions_file(tmp_path):
    """GRPOTrainer.log: step, prompt, completion (text or messages), rewards, advantage."""
    path = parquet(
        tmp_path / "completions_00001.parquet",
        step=["1", "1"],
        prompt=[[{"role": "user", "content": "2+3?"}]] * 2,
        completion=[[{"role": "assistant", "content": text}] for text in ("5", "6")],
        accuracy_reward=[1.0, 0.0],
        advantage=[0.7, -0.7],
    )
    samples = table_file.read(path)
    assert samples.completions == ["5", "6"]
    assert samples.prompts[0] == [{"role": "user", "content": "2+3?"}]
    assert samples.columns["accuracy_reward"] == [1.0, 0.0]


def test_several_samples_of_one_prompt_in_a_row(tmp_path):
    row = {"prompt": "p", "completions": ["a", "b"], "tokens": [1, 2], "solution": "a"}
    samples = table_file.read(jsonl(tmp_path / "eval.jsonl", row))
    assert samples.completions == ["a", "b"]
    assert [c.tokens for c in samples.completions] == [1, 2]
    assert samples.columns["solution"] == ["a", "a"]


def test_columns_are_renamed_and_a_row_may_lack_one(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", {"out": "a", "gold": "1"}, "", {"out": "b"})
    samples = table_file.read(path, completion_column="out", renamed={"solution": "gold"})
    assert samples.columns["solution"] == ["1", None]
    assert len(samples) == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("\n \n", ["is empty"]),
        ('{"completion": "a"}\n{"completion": \n', ["row 2", "not JSON", '{"completion"']),
        ('{"completion": "a"}\n\n[1]\n', ["row 3", "no JSON object"]),
        ('{"completion": 7}\n', ["row 1", "int", "expected text"]),
        ('{"completion": null}\n', ["row 1", "NoneType"]),
        ('{"prompt": "a"}\n', ["no column of completions", "prompt", "--completion-column"]),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, text, parts):
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        table_file.read(path)
    assert [part for part in (*parts, "x.jsonl") if part not in str(error.value)] == []


def test_counts_are_whole_where_a_column_lacks_some(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", {"completion": "a", "tokens": 3.0}, {"completion": "b"})
    assert [completion.tokens for completion in table_file.read(path).completions] == [3, 0]


def test_files_that_are_none(tmp_path):
    (tmp_path / "x.parquet").write_text("no parquet")
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").mkdir()
    parquet(tmp_path / "no_rows.parquet", completion=pa.array([], pa.string()))
    for name, said in (
        ("x.parquet", "is no Parquet file"),
        ("x.jsonl", "is not UTF-8"),
        ("empty", "no .parquet file in"),
        ("no_rows.parquet", "is empty"),
        ("none.jsonl", "no file"),
        ("x.txt", "neither JSONL"),
    ):
        with pytest.raises(UsageError, match=said):
            table_file.read(tmp_path / name)


def test_what_windows_wrote_is_read(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(
        b'\xef\xbb\xbf{"completion": "a"}\r\n{"completion": "b"}\r\n'
    )
    assert table_file.read(tmp_path / "x.jsonl").completions == ["a", "b"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_half_a_character_costs_itself_alone(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    table_file.write_scores(path, [{"completion": "a\ud800b"}], {"a": [Outcome("score", 1.0)]})
    assert [row["completion"] for row in table_file.read_rows(path)] == ["a?b"]


def test_a_number_that_parquet_has_not_is_said(tmp_path):
    with pytest.raises(UsageError, match="column 'n' .*too large.*use .jsonl"):
        table_file.write_scores(tmp_path / "a.parquet", [{"n": 2**70}], {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_scores_are_written_with_their_outcomes_and_read_back(tmp_path, suffix):
    rows = [{"completion": "é", "n": 1}, {"completion": "b"}]
    outcomes = [Outcome("score", 0.5), Outcome("failed", reason="x")]
    path = tmp_path / f"out{suffix}"
    table_file.write_scores(path, rows, {"a": outcomes})
    back = table_file.read_rows(path)
    assert [row["reward/a"] for row in back] == [0.5, None]
    assert [row["outcome/a"] for row in back] == ["score", "failed"]
    assert [row["completion"] for row in back] == ["é", "b"]
    assert "reward/a" not in rows[0]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
