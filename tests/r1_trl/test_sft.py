"""SFT on TRL: what the loss covers, that template and EOS agree, that the result loads."""

from __future__ import annotations

import json

import pytest

from r1_trl import arguments, sft
from r1cli import R1Error, UsageError
from r1cli import recipe_file as recipes
from r1cli.run import open_run

from .conftest import SFT

pytestmark = pytest.mark.train


def test_cold_start_learns_and_saves_a_model_that_plain_transformers_loads(cold_start):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    losses = [row["loss"] for row in cold_start.metrics() if "loss" in row]
    assert losses[-1] < 0.6 * losses[0]
    tokenizer = AutoTokenizer.from_pretrained(cold_start.model)
    model = AutoModelForCausalLM.from_pretrained(cold_start.model)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.chat_template
    assert "r1 train sft" in (cold_start.model / "README.md").read_text()


def test_smoke_generation_reports_the_stop_rate(cold_start):
    assert 0 < cold_start.state["stop_rate"] <= 1


def test_run_directory_says_where_it_came_from(cold_start):
    state = cold_start.state
    assert state["status"] == "finished"
    assert state["dataset"]["rows"] == 512
    assert {"torch", "trl", "transformers", "r1cli"} <= state["versions"].keys()


def test_loss_covers_the_completion_with_its_eos_and_nothing_else(cold_start):
    """The labels that TRL really trains on, through its own collator."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from r1_trl.sft import _rows

    tokenizer = AutoTokenizer.from_pretrained(cold_start.model)
    recipe = recipes.load("tiny/sft")
    raw = Dataset.from_list([{"prompt": "Compute 1+2.", "completion": "<answer>3</answer>"}])
    config = SFTConfig(output_dir="unused", use_cpu=True, bf16=False, report_to="none")
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(cold_start.model),
        args=config,
        train_dataset=_rows(raw, recipe, tokenizer),
        processing_class=tokenizer,
    )
    batch = trainer.data_collator([trainer.train_dataset[0]])
    learned = batch["labels"][0][batch["labels"][0] != -100].tolist()
    text = tokenizer.decode(learned)
    assert text.startswith("<answer>3</answer>")
    assert tokenizer.eos_token_id in learned
    assert "Compute" not in text


def test_eos_follows_the_template(cold_start):
    """A base model's EOS differs from its chat template's end of turn: the template wins."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from r1_trl.endings import align_endings

    tokenizer = AutoTokenizer.from_pretrained(cold_start.model)
    model = AutoModelForCausalLM.from_pretrained(cold_start.model)
    end = tokenizer.eos_token
    tokenizer.eos_token = "<|endoftext|>"
    align_endings(model, tokenizer, "model.chat_template")
    assert tokenizer.eos_token == end
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids(end)


def test_template_without_an_end_of_turn_is_refused(cold_start):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from r1_trl.endings import align_endings

    tokenizer = AutoTokenizer.from_pretrained(cold_start.model)
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
    model = AutoModelForCausalLM.from_pretrained(cold_start.model)
    with pytest.raises(UsageError, match="ends the assistant's turn with no token"):
        align_endings(model, tokenizer, "model.chat_template")


def test_packing_trains(train_tiny, tmp_path):
    run = train_tiny(
        "sft",
        tmp_path / "run",
        "trainer.args.max_steps=3",
        "trainer.args.packing=true",
        "trainer.args.packing_strategy=wrapped",
    )
    assert run.finished


def test_messages_column_trains(train_tiny, tmp_path):
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Compute {i}+1."},
                {"role": "assistant", "content": f"<answer>{i + 1}</answer>"},
            ]
        }
        for i in range(32)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    run = train_tiny(
        "sft",
        tmp_path / "run",
        "model.name=r1_tiny_blank",
        f"dataset={{name: file, args: {{path: {data}}}}}",
        "trainer.args.max_steps=2",
    )
    assert run.finished


def test_conversations_are_learned_whole_with_the_recipes_system_prompt(tmp_path):
    from datasets import Dataset

    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    own = [{"role": "system", "content": "Mine."}, *turns]
    rows = Dataset.from_dict({"messages": [turns, own], "other": [1, 2]})
    found = sft._rows(rows, recipes.load("tiny/sft", ["system_prompt=Think."]), None)
    assert found.column_names == ["messages"]
    assert [row["messages"][0]["content"] for row in found] == ["Think.", "Mine."]


DROPS_REASONING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}"
    "<|im_end|>{% endfor %}"
)


def test_what_of_the_rows_is_not_learned_is_said(train_tiny, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("r1_trl.sft.stop_rate", lambda *_, **given: (0.0, 0))
    answer = {"role": "assistant", "content": "<think>1+1=2</think><answer>2</answer>"}
    asked = [("Compute 1+1.", 31), ("x" * 40, 1)]  # a prompt that leaves no room for the answer
    rows = [
        {"prompt": [{"role": "user", "content": text}], "completion": [answer]}
        for text, count in asked
        for _ in range(count)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    template = tmp_path / "template.jinja"
    template.write_text(DROPS_REASONING)
    with caplog.at_level("INFO"):
        train_tiny(
            "sft",
            tmp_path / "run",
            f"model={{name: r1_tiny_blank, chat_template: {template}}}",
            f"dataset={{name: file, args: {{path: {data}}}}}",
            "trainer.args.max_steps=1",
            "trainer.args.max_length=12",
        )
    said = caplog.text
    assert "1 of 32 rows are dropped: trainer.args.max_length (--set) = 12 tokens" in said
    assert "31 of 31 texts looked at fill trainer.args.max_length" in said
    assert "the chat template drops a part of 16 of 16 answers" in said


def test_a_start_that_saved_nothing_leaves_nothing_and_half_a_checkpoint_is_named(
    train_tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr("r1_trl.sft.stop_rate", lambda *_, **given: (0.0, 0))
    sets = (
        "model={name: r1_tiny_blank}",
        "dataset.args.size=32",
        "trainer.args.max_steps=1",
        "trainer.args.logging_steps=1",
    )
    recipe = recipes.load("tiny/sft", [*SFT, *sets])
    killed = open_run(tmp_path / "run", recipe)
    killed.log_metrics({"step": 1, "loss": 9.0})
    (killed.checkpoints / "checkpoint-1").mkdir(parents=True)
    (killed.checkpoints / "checkpoint-1" / "trainer_state.json").write_text("{}")
    killed.release()
    with pytest.raises(UsageError, match=r"checkpoint-1 cannot be read \(.*move it away"):
        train_tiny("sft", killed.directory, *sets)
    (killed.checkpoints / "checkpoint-1" / "trainer_state.json").unlink()
    killed.log_metrics({"step": 1, "loss": 9.0})
    run = train_tiny("sft", killed.directory, *sets)
    assert [row["step"] for row in run.metrics() if "loss" in row] == [1]


def test_what_trl_refuses_is_one_line(train_tiny, tmp_path):
    with pytest.raises(UsageError, match=r"TRL refuses trainer\.args .*not training-compatible"):
        train_tiny(
            "sft",
            tmp_path / "run",
            "model={name: r1_tiny_blank}",
            "dataset.args.size=32",
            "trainer.args.assistant_only_loss=true",
        )


def test_a_number_in_quotes_is_a_number(tmp_path):
    from trl import SFTConfig

    recipe = recipes.load("tiny/sft", [*SFT, "trainer.args.learning_rate='1e-3'"])
    assert arguments.build(SFTConfig, recipe, tmp_path).learning_rate == 0.001


def test_weights_that_are_lost_end_the_run_before_they_are_saved(train_tiny, tmp_path):
    import torch
    from safetensors.torch import load_file

    with pytest.raises(
        R1Error, match=r"grad_norm is nan at step 2.*learning_rate, which is 1e\+30"
    ):
        train_tiny(
            "sft",
            tmp_path / "run",
            "model={name: r1_tiny_blank}",
            "dataset.args.size=32",
            "trainer.args={warmup_steps: 0, max_steps: 4, save_steps: 1, learning_rate: 1e30}",
        )
    (kept,) = (tmp_path / "run" / "checkpoints").glob("checkpoint-*")
    assert kept.name == "checkpoint-1"
    weights = load_file(kept / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
