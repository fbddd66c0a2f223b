"""`r1 data check` and `preview` on files and recipes, with a real tokenizer."""

import json

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

ROWS = [
    {"prompt": "What is 1 + 1?", "solution": "2", "kind": "sum"},
    {"prompt": "what  is 1 + 1?", "solution": "2", "kind": None},
    {
        "prompt": "Compute 1 + 1 as a long sum: " + "1 + " * 200,
        "solution": "no number at all",
        "kind": "long",
    },
]


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def findings(answer):
    return {
        one["what"]: (one["count"], one["rows"]) for one in json.loads(answer.stdout)["findings"]
    }


def test_check_counts_what_is_wrong_with_a_file(rows, r1):
    answer = r1("data", "check", "rows.jsonl", "--reward", "accuracy", "--json")
    assert answer.exit_code == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert said["rows"] == 3
    assert [(one["column"], one["type"], one["missing"]) for one in said["columns"]] == [
        ("prompt", "string", 0),
        ("solution", "string", 0),
        ("kind", "string", 1),
    ]
    assert findings(answer) == {
        "ask the same as an earlier row (prompt)": (1, [2]),
        "have a gold answer that 'accuracy' cannot read": (1, [3]),
    }
    assert said["lengths"]["min"] == 5


def test_a_column_that_a_reward_lacks_ends_with_an_error(rows, r1):
    answer = r1("data", "check", "rows.jsonl", "--reward", "countdown")
    assert answer.exit_code == 1
    assert "lack column 'numbers', which reward 'countdown' wants" in answer.stdout
    assert "█" in answer.stdout


@pytest.fixture
def model(tmp_path):
    """A tokenizer with a chat template and a config, without weights: none are needed."""
    pytest.importorskip("transformers")
    from r1_tiny.tokenizer import build_tokenizer

    build_tokenizer().save_pretrained(tmp_path / "model")
    config = {"model_type": "qwen3", "max_position_embeddings": 512}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    return tmp_path / "model"


def test_preview_shows_the_chat_template(rows, r1, model):
    given = ("--model", model, "--system-prompt", "Be brief.", "-n", 1)
    answer = r1("data", "preview", "rows.jsonl", *given)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhat is 1 + 1?<|im_end|>\n<|im_start|>assistant\n\n"
    )


def test_preview_without_a_model_says_what_is_missing(rows, r1):
    answer = r1("data", "preview", "rows.jsonl", "-n", 1)
    assert answer.stdout == "What is 1 + 1?\n"
    assert "name one with --model" in answer.stderr


def test_check_of_a_recipe_uses_its_model_columns_and_room(rows, r1, model, tmp_path):
    recipe = {
        "model": {"name": str(model)},
        "dataset": {"name": "file", "args": {"path": "rows.jsonl"}, "columns": {"gold": "kind"}},
        "rewards": [{"name": "format"}],
        "trainer": {"name": "grpo", "args": {"max_completion_length": 400}},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    answer = r1("data", "check", "recipe.yaml", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "gold" in [one["column"] for one in json.loads(answer.stdout)["columns"]]
    assert findings(answer)["are longer than the 112 tokens there is room for"] == (1, [3])
    assert json.loads(answer.stdout)["unit"] == "tokens"


def test_conversations_are_shown_whole(r1, model, tmp_path):
    turns = [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "2"}]
    (tmp_path / "sft.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    answer = r1("data", "preview", "sft.jsonl", "--model", model)
    assert "assistant\n2<|im_end|>" in answer.stdout


def test_rows_that_ask_nothing_are_counted_with_a_model_too(r1, model, tmp_path):
    rows = [{"prompt": [{"role": "user", "content": "a"}]}, {"prompt": None}, {"prompt": []}]
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = r1("data", "check", "odd.jsonl", "--model", model, "--json")
    assert answer.exit_code == 1, answer.stderr
    assert findings(answer) == {"have no text in prompt": (2, [2, 3])}


def test_what_the_model_is_to_continue_is_left_open(r1, model, tmp_path):
    turns = [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "<think>"}]
    (tmp_path / "open.jsonl").write_text(json.dumps({"prompt": turns}) + "\n")
    answer = r1("data", "preview", "open.jsonl", "--model", model)
    assert answer.stdout.endswith("assistant\n<think>\n")


def test_supervised_rows_are_as_long_as_with_their_answers(r1, model, tmp_path):
    (tmp_path / "sft.jsonl").write_text(
        "".join(json.dumps({"prompt": "a", "completion": "1 " * n}) + "\n" for n in (9, 60, 600))
    )
    recipe = {
        "model": {"name": str(model)},
        "dataset": {"name": "file", "args": {"path": "sft.jsonl"}},
        "trainer": {"name": "sft", "args": {"max_length": 100}},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    answer = r1("data", "check", "recipe.yaml", "--json")
    assert answer.exit_code == 0, answer.stderr
    said = findings(answer)["are longer than the 100 tokens there is room for"]
    assert said == (2, [2, 3])
    shown = r1("data", "preview", "recipe.yaml", "-n", 1).stdout
    assert "user\na<|im_end|>" in shown and shown.endswith("1 <|im_end|>\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("no-such-thing",), "is no file, no folder, no hub id"),
        (("rows.jsonl", "--prompt-column", "promt"), "did you mean 'prompt'?"),
        (("rows.jsonl", "--model", "nowhere"), "is no directory and no hub id"),
        (("rows.jsonl", "--set", "seed=1"), "--set changes a recipe"),
        (("tiny/r1",), "is a pipeline"),
        (("rows.jsonl", "--reward", "accurcy"), "did you mean 'accuracy'"),
    ],
)
def test_what_cannot_be_checked(rows, r1, args, said):
    answer = r1("data", "check", *args)
    assert answer.exit_code == 2
    assert said in answer.stderr
