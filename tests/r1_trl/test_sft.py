"""SFT on TRL: what the loss covers, that template and EOS agree, that the result loads."""

from __future__ import annotations

import pytest

from r1cli import UsageError
from r1cli import recipe_file as recipes

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
    import json

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
