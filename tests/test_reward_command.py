"""`r1 reward`: results on stdout, narration on stderr, wrong input in one line that helps."""

from __future__ import annotations

import json

import pytest

ROWS = [
    {"prompt": "2+3?", "completion": "<think>a</think><answer>5</answer>", "gold": "5"},
    {"prompt": "2+3?", "completion": "<think>a</think><answer>6</answer>", "gold": "5"},
    {"prompt": "1/3+1/3?", "completion": "\\boxed{0.67}", "gold": "2/3"},
    {"prompt": "who?", "completion": "nobody", "gold": ""},
]
GOLD = ("--column", "solution=gold")


@pytest.fixture
def samples(tmp_path):
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return "s.jsonl"


def test_list_and_show(r1):
    rows = json.loads(r1("reward", "list", "--json").stdout)
    by_name = {row["reward"]: row for row in rows}
    assert by_name["countdown"]["columns"] == "numbers, target"
    assert by_name["length"]["range"].startswith("[-0.5, 0.5]")
    assert all(row["range"] for row in rows)
    known = json.loads(r1("reward", "show", "cosine", "--json").stdout)
    assert known["required"] == ["solution"]
    [max_len] = [arg for arg in known["args"] if arg["name"] == "max_len"]
    assert (max_len["type"], max_len["default"]) == ("int", 4096) and max_len["about"]
    assert "2502.03373" in known["source"]
    assert "right_last" in known["pays"]
    shown = r1("reward", "show", "format").stdout
    assert "think_answer" in shown and "list[str]" in shown


def test_test_runs_golden_cases(r1):
    answer = r1("reward", "test", "tag_count", "--json")
    assert answer.exit_code == 0
    [row] = json.loads(answer.stdout)["rewards"]
    assert row["cases"] >= 8 and row["wrong"] == 0


def test_score_writes_and_prints(r1, samples, tmp_path):
    call = ("reward", "score", samples, "--reward", "accuracy", "--reward", "format", *GOLD)
    answer = r1(*call, "--out", "out/scored.jsonl", "--json")
    assert answer.exit_code == 0
    accuracy, form = json.loads(answer.stdout)
    assert (accuracy["n"], accuracy["not_applicable"], accuracy["failed"]) == (4, 0.25, 0)
    assert form["mean"] == 0.5
    written = [json.loads(line) for line in (tmp_path / "out/scored.jsonl").open()]
    assert [row["reward/accuracy"] for row in written] == [1.0, 0.0, 0.0, None]
    assert [row["outcome/accuracy"] for row in written][-1] == "not_applicable"
    assert written[0]["gold"] == "5"
    assert "wrote 4 rows" in answer.stderr
    assert "█" in r1(*call).stdout


def test_arguments_reach_the_reward(r1, samples):
    call = ("reward", "score", samples, "--reward", "accuracy", *GOLD, "--json")
    for assignment in ("accuracy.float_tolerance=0.01", "float_tolerance=1e-2"):
        [row] = json.loads(r1(*call, "--arg", assignment).stdout)
        assert row["mean"] == pytest.approx(2 / 3)


def test_diff_of_two_rewards_and_of_two_files(r1, samples, tmp_path):
    answer = r1("reward", "diff", samples, "accuracy", "format", *GOLD, "--json")
    found = json.loads(answer.stdout)
    assert [(row["row"], row["a"], row["b"]) for row in found["changes"]] == [
        (4, None, 0),
        (2, 0, 1),
    ]
    score = ("reward", "score", samples, "--reward", "accuracy", *GOLD)
    r1(*score, "--out", "old.jsonl")
    r1(*score, "--arg", "float_tolerance=0.01", "--out", "new.parquet")
    for limit, shown in ((20, 1), (1, 1)):
        answer = r1("reward", "diff", samples, "old.jsonl", "new.parquet", "--limit", limit)
        assert "0.67" in answer.stdout and answer.stdout.count("boxed") == shown
    same = r1("reward", "diff", samples, "accuracy", "accuracy", *GOLD)
    assert "no row changed" in same.stderr


def test_bench_on_golden_cases_and_on_a_file(r1, samples):
    for more in ((), (samples,)):
        answer = r1("reward", "bench", "format", *more, "--seconds", 0.1, "--json")
        rows = json.loads(answer.stdout)
        assert [row["pass"] for row in rows] == ["first", "again", "single"]
        assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in rows)


def test_audit_prints_what_pays(r1):
    answer = r1("reward", "audit", "tag_count", "--json")
    assert answer.exit_code == 0
    [row] = json.loads(answer.stdout)
    assert (row["attacks_on"], row["pay"]) == ("shape", 0) and row["declared"] > 0
    paying = [finding for finding in row["findings"] if finding["pays"]]
    assert all(finding["declared"] for finding in paying)
    assert "declared: " in r1("reward", "audit", "tag_count").stdout


def failure(**changed):
    saved = {
        "reward": "format",
        "args": {"mode": "strict"},
        "completions": [{"text": "a</think>", "prefill": "<think>", "tokens": 3}, "b"],
        "prompts": ["p", "p"],
        "columns": {},
        "error": "reward 'format' raised KeyError",
    }
    return json.dumps({**saved, **changed})


def test_a_saved_failure_is_run_again(r1, tmp_path):
    (tmp_path / "f.json").write_text(failure())
    answer = r1("reward", "test", "--replay", "f.json", "--json")
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert found["then"].endswith("KeyError") and found["error"] == ""
    assert [row["value"] for row in found["now"]] == [0.0, 0.0]


def test_a_saved_failure_that_still_fails_exits_1(r1, tmp_path, fake_distribution):
    fake_distribution(
        "r1-plugin-fragile",
        "from r1cli import hookimpl\n"
        "def fragile(completions, size):\n    return [1 / n for n in size]\n"
        "@hookimpl\ndef register_rewards(register):\n    register('fragile', fragile)\n",
    )
    saved = failure(reward="fragile", args={}, columns={"size": [1, 0]})
    (tmp_path / "f.json").write_text(saved)
    answer = r1("reward", "test", "--replay", "f.json")
    assert answer.exit_code == 1
    last = answer.stderr.splitlines()[-1]
    assert last.startswith("error: it still fails: reward 'fragile'") and "ZeroDivision" in last


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        ("score s.jsonl --reward acuracy", ["'acuracy'", "'accuracy'"]),
        ("score s.jsonl", ["no --reward", "r1 reward list"]),
        (
            "score s.jsonl --reward accuracy",
            ["wants column 'solution'", "prompt, completion, gold", "--column solution=..."],
        ),
        ("score s.jsonl --reward accuracy --column solution=gld", ["'gld'", "'gold'"]),
        ("score s.jsonl --reward format --column gold", ["'gold'", "wanted=present"]),
        ("score s.jsonl --reward format --arg format.mod=soft", ["'mod'", "--arg", "'mode'"]),
        ("score s.jsonl --reward format --arg format.mode=hard", ["'mode' = 'hard'"]),
        ("score s.jsonl --reward format --arg fromat.mode=soft", ["'fromat'", "'format'"]),
        ("score s.jsonl --reward format --arg mode", ["reward.key=value"]),
        ("score s.jsonl --reward format --completion-column txt", ["'txt'", "prompt, completion"]),
        ("score s.jsonl --reward format --out s.csv", ["s.csv", ".jsonl, .ndjson", ".parquet"]),
        ("score s.csv --reward format", ["s.csv", "Parquet"]),
        ("score none.jsonl --reward format", ["no file none.jsonl"]),
        ("score empty.jsonl --reward format", ["empty.jsonl is empty"]),
        ("score broken.jsonl --reward format", ["row 2 of broken.jsonl", "{oops"]),
        ("score . --reward format", ["no .parquet file in ."]),
        ("score bare.jsonl --reward length", ["'length' compares", "'prompt'", "--column prompt"]),
        ("score s.jsonl --reward cosine --column solution=gold", ["number of tokens", "'tokens'"]),
        ("score s.jsonl --reward soft_overlong_punishment", ["number of tokens", "'tokens'"]),
        ("score odd.jsonl --reward format", ["row 1 of odd.jsonl", "'tokens' is 'many'", "int"]),
        ("diff s.jsonl format none.jsonl", ["no file none.jsonl"]),
        ("diff s.jsonl format other.jsonl", ["other.jsonl has 1 rows", "4"]),
        ("diff s.jsonl format s.jsonl", ["s.jsonl has 0 scores", "--reward"]),
        ("diff s.jsonl format prompt", ["row 1", "'2+3?' is no score"]),
        ("test frmat", ["'frmat'", "'format'"]),
        ("test judge", ["'judge'", "--arg judge.url=... --arg judge.model=..."]),
        ("audit judge", ["'judge'", "--arg judge.url=... --arg judge.model=..."]),
        ("audit", ["--all"]),
        ("audit format --all", ["--all"]),
        ("bench judge --arg model=m", ["'judge'", "'url'"]),
        ("show cosin", ["'cosin'", "'cosine'"]),
        ("test --replay none.json", ["no file none.json"]),
        ("test --replay s.jsonl", ["s.jsonl is not JSON"]),
        ("test --replay odd.json", ["odd.json is no saved failure", "columns, error"]),
        ("test countdown --replay f.json", ["'format'", "'countdown'"]),
    ],
)
def test_wrong_input(r1, samples, tmp_path, call, parts):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl").write_text('{"completion": "a"}\n{oops\n')
    (tmp_path / "bare.jsonl").write_text('{"completion": "a", "solution": "1", "tokens": 1}\n')
    (tmp_path / "odd.jsonl").write_text('{"completion": "a", "tokens": "many"}\n')
    (tmp_path / "other.jsonl").write_text('{"reward/format": 1}\n')
    (tmp_path / "odd.json").write_text(
        '{"reward": "format", "args": {}, "completions": [], "prompts": []}'
    )
    (tmp_path / "f.json").write_text(failure())
    before = {path.name for path in tmp_path.iterdir()}
    answer = r1("reward", *call.split())
    assert answer.exit_code == 2, answer.stderr
    [line] = answer.stderr.splitlines()
    assert line.startswith("error: ")
    assert [part for part in parts if part not in line] == [], line
    assert answer.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("test bare", "put them beside its module, in golden/bare.jsonl"),
        ("audit bare", "ships no golden cases, so it cannot be audited"),
        ("bench bare", "ships no golden cases to time; give a FILE"),
    ],
)
def test_a_reward_without_golden_cases(r1, fake_distribution, call, part):
    package = fake_distribution("r1-plugin-bare", plugin="bare_package") / "bare_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from r1cli import hookimpl\n"
        "def bare(completions):\n    return [0.0 for _ in completions]\n"
        "@hookimpl\ndef register_rewards(register):\n    register('bare', bare)\n"
    )
    answer = r1("reward", *call.split())
    assert answer.exit_code == 2
    assert part in answer.stderr
