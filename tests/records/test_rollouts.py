import pytest

pytest.importorskip("pyarrow", reason="rollouts are Parquet")

from r1_trl.rollouts import write
from r1cli.errors import UsageError
from r1cli.problem import problem_hash
from r1cli.records import rollouts
from r1cli.types import Outcome

PROMPT = [{"role": "user", "content": "2+4?"}]


def columns(texts, **changes):
    count = len(texts)
    return {
        "prompt": [PROMPT] * count,
        "completion": texts,
        "prefill": [""] * count,
        "tokens": [len(text) for text in texts],
        "truncated": [text == "cut" for text in texts],
        "advantage": [0.0] * count,
        "outcome": ["score"] * count,
        "reward/accuracy": [1.0] * count,
    } | changes


def test_a_runs_rollouts_are_attempts(tmp_path):
    folder = tmp_path / "run" / "rollouts"
    write(folder, 1, 0, columns(["6", "cut"]))
    ends = {"outcome": ["not_applicable", "failed (down)"], "reward/accuracy": [None, None]}
    write(folder, 1, 1, columns(["7", "8"], **ends))
    write(folder, 2, 0, columns(["9"]))
    (tmp_path / "run" / "recipe.resolved.yaml").write_text(
        "seed: 3\ntrainer: {args: {temperature: 0.7, max_completion_length: 99}}\n"
    )
    found = list(rollouts(tmp_path / "run"))
    assert [(a.text, a.index, a.model) for a in found] == [
        *(("6", 0, "run@1"), ("cut", 1, "run@1"), ("7", 2, "run@1"), ("8", 3, "run@1")),
        ("9", 0, "run@2"),
    ]
    assert found[1].finish_reason == "length" and found[0].messages == PROMPT
    assert found[0].problem == problem_hash("2+4?") and found[0].prompt == problem_hash(PROMPT)
    assert found[0].sampling["temperature"] == 0.7 and found[0].sampling["max_tokens"] == 99
    assert len({a.id for a in found}) == 5
    assert [a.outcome("accuracy") for a in found[:4]] == [
        *(Outcome("score", 1.0), Outcome("score", 1.0), Outcome("not_applicable")),
        Outcome("failed", reason="down"),
    ]


def test_a_folder_without_rollouts(tmp_path):
    with pytest.raises(UsageError, match="holds no rollouts"):
        list(rollouts(tmp_path))


def test_the_command_line(r1, tmp_path):
    write(tmp_path / "run" / "rollouts", 1, 0, columns(["6", "7"]))
    listed = r1("records", "list", "--run", "run", "--json")
    assert listed.exit_code == 0 and '"accuracy": 1.0' in listed.stdout
    assert r1("records", "export", "--run", "run", "--out", "o.jsonl").exit_code == 0
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 2
    none = r1("records", "show", "abc", "--run", "run")
    assert (none.exit_code, len(none.stderr.splitlines())) == (2, 1)
    assert "abc" in none.stderr
    typo = r1("records", "list", "--source", "evals")
    assert typo.exit_code == 2 and "did you mean 'eval'" in typo.stderr
    gone = r1("records", "gc")
    assert (gone.exit_code, gone.stderr) == (2, "error: no attempt store at runs/records\n")
    assert "no attempts in runs/records" in r1("records", "list").stderr
