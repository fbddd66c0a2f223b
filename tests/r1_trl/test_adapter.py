"""Adapters trained for real on the tiny model: made, saved, resumed, trained on, merged."""

from __future__ import annotations

import json

import pytest

from r1_engines.transformers import transformers as engine
from r1cli import Sampling, UsageError
from r1cli.adapters import stored_adapter
from r1cli.merging import merge
from r1cli.models import load_model, load_tokenizer, model_key

pytestmark = pytest.mark.train

LORA = (
    "model.adapter={rank: 4}",
    "model.edits.max_position_embeddings=1024",
    "trainer.args.max_steps=4",
    "trainer.args.save_steps=2",
    "trainer.args.learning_rate=5e-2",
    "trainer.args.gradient_checkpointing=true",
)
PROMPTS = [f"Compute {a}+{b}." for a, b in ((1, 2), (17, 5), (9, 30))]


@pytest.fixture(scope="module")
def lora(train_tiny, cold_start, tmp_path_factory):
    """A run that has put a LoRA on the cold start, with checkpoints at steps 2 and 4."""
    return train_tiny(
        "sft",
        tmp_path_factory.mktemp("lora") / "run",
        f"model.name={cold_start.model}",
        *LORA,
    )


def greedy(model):
    with engine(model=str(model)) as opened:
        return opened.generate(PROMPTS, Sampling(temperature=0, max_tokens=24))


def weights(directory):
    from safetensors.torch import load_file

    return load_file(directory / "adapter_model.safetensors")


def test_what_is_saved_is_an_adapter_that_says_what_it_belongs_to(lora, cold_start):
    saved = stored_adapter(str(lora.model))
    assert saved.base == str(cold_start.model)
    assert saved.settings["r"] == 4 and saved.settings["task_type"] == "CAUSAL_LM"
    assert (lora.model / "tokenizer.json").is_file()
    assert not list(lora.model.glob("model*.safetensors"))
    card = (lora.model / "README.md").read_text()
    assert "library_name: peft" in card and "LoRA of rank 4" in card
    assert all(t.abs().max() > 0 for name, t in weights(lora.model).items() if "lora_B" in name)


def test_the_edits_of_its_base_come_with_an_adapter(lora):
    assert load_model(str(lora.model)).config.max_position_embeddings == 1024


def test_merged_it_writes_the_same_tokens(lora, cold_start, tmp_path, r1):
    answer = r1("model", "merge", lora.directory, "--out", tmp_path / "merged")
    assert answer.exit_code == 0, answer.stderr
    merged = greedy(tmp_path / "merged")
    assert merged == greedy(lora.model) != greedy(cold_start.model)
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert config["max_position_embeddings"] == 1024
    assert not (tmp_path / "merged" / "adapter_config.json").exists()

    again = r1("model", "merge", lora.directory, "--out", tmp_path / "merged")
    assert again.exit_code == 2 and "exists; give another --out" in again.stderr
    plain = r1("model", "merge", tmp_path / "merged", "--out", tmp_path / "twice")
    assert plain.exit_code == 2 and "holds no adapter" in plain.stderr


def test_merged_it_keeps_all_ends_of_its_base(lora, cold_start, tmp_path):
    import shutil

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    shutil.copytree(cold_start.model, base)
    shutil.copytree(lora.model, adapter)
    for file, key, value in (
        (base / "generation_config.json", "eos_token_id", [1, 2]),
        (adapter / "adapter_config.json", "base_model_name_or_path", str(base)),
    ):
        file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    merge(str(adapter), None, tmp_path / "merged")
    kept = json.loads((tmp_path / "merged" / "generation_config.json").read_text())
    assert kept["eos_token_id"] == [1, 2]


def test_its_key_follows_the_adapter_and_its_base(lora, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(lora.model, copy)
    assert model_key(str(copy)) == model_key(str(lora.model))
    settings = json.loads((copy / "adapter_config.json").read_text())
    base = tmp_path / "base"
    shutil.copytree(settings["base_model_name_or_path"], base)
    settings["base_model_name_or_path"] = "../base"  # beside the adapter
    (copy / "adapter_config.json").write_text(json.dumps(settings))
    moved = model_key(str(copy))
    (base / "model.safetensors").write_bytes(b"other weights")
    assert model_key(str(copy)) != moved


def test_resumed_it_ends_as_if_never_stopped(lora, train_tiny, cold_start, tmp_path):
    """The checkpoint at step 2 of the run, gone on from in another directory."""
    import shutil

    directory = tmp_path / "run"
    shutil.copytree(lora.directory, directory)
    shutil.rmtree(directory / "model")
    shutil.rmtree(directory / "checkpoints" / "checkpoint-4")
    state = json.loads((directory / "run.json").read_text())
    del state["checkpoint"]
    (directory / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))
    resumed = train_tiny(
        "sft",
        directory,
        f"model.name={cold_start.model}",
        *LORA,
    )
    expected = weights(lora.model)
    for name, tensor in weights(resumed.model).items():
        assert tensor.equal(expected[name]), name


@pytest.mark.parametrize("beta", [pytest.param(0.0, marks=pytest.mark.slow), 0.1])
def test_grpo_trains_on_the_adapter_of_sft(lora, train_tiny, tmp_path, beta):
    run = train_tiny(
        "grpo",
        tmp_path / "run",
        f"model.name={lora.model}",
        "trainer.args.max_steps=2",
        "trainer.args.save_steps=1",
        "trainer.args.learning_rate=1e-2",
        f"trainer.args.beta={beta}",
    )
    before, after = weights(lora.model), weights(run.model)
    assert before.keys() == after.keys()
    assert any(not after[name].equal(before[name]) for name in after)
    assert stored_adapter(str(run.model)).base == stored_adapter(str(lora.model)).base
    # TRL's copy, the reference, is not saved: a resumed run would load it instead.
    assert not list(run.checkpoints.rglob("ref"))
    kl = [row["kl"] for row in run.metrics() if "kl" in row]
    assert (kl[0] == pytest.approx(0, abs=1e-4)) if beta else not kl
    assert greedy(run.model) != []


def test_another_adapter_than_the_one_there_is_refused(lora, train_tiny, tmp_path):
    others = {"rank: 8": "rank 4", "rank: 4, targets: [q_proj]": "targets .*q_proj"}
    for number, (setting, has) in enumerate(others.items()):
        with pytest.raises(UsageError, match=f"which has {has}.*r1 model merge"):
            train_tiny(
                "grpo",
                tmp_path / str(number),
                f"model.name={lora.model}",
                f"model.adapter={{{setting}}}",
            )


def test_the_same_settings_train_it_on(lora, train_tiny, tmp_path):
    run = train_tiny(
        "sft",
        tmp_path / "run",
        f"model.name={lora.model}",
        "model.adapter={rank: 4}",
        "trainer.args.max_steps=1",
    )
    assert stored_adapter(str(run.model)).settings["r"] == 4


@pytest.mark.parametrize(
    "more",
    [
        "dora: true, dropout: 0.1",
        pytest.param("rslora: true", marks=pytest.mark.slow),
        "modules_to_save: [embed_tokens]",
    ],
)
def test_other_adapters_train_too(cold_start, train_tiny, tmp_path, more):
    run = train_tiny(
        "grpo",
        tmp_path / "run",
        f"model.name={cold_start.model}",
        f"model.adapter={{targets: [q_proj, v_proj], {more}}}",
        "trainer.args.max_steps=2",
        "trainer.args.learning_rate=1e-2",
    )
    saved = weights(run.model)
    assert any(t.abs().max() > 0 for name, t in saved.items() if "lora_B" in name)
    assert any("magnitude" in name for name in saved) == ("dora" in more)
    if "modules_to_save" in more:
        base = load_model(str(cold_start.model)).get_input_embeddings().weight
        [whole] = (t for name, t in saved.items() if "embed_tokens" in name)
        assert not whole.equal(base)
    assert greedy(run.model) != []


def test_what_cannot_work_is_said_before_a_step(cold_start, train_tiny, tmp_path):
    refused = {
        "quantize: 4bit": "needs a GPU, and there is none here; leave it out",
        "targets: [q_prj]": "no such module; did you mean 'q_proj'",
        "targets: [lm_head]": "names lm_head, whose adapter TRL would not train",
        "modules_to_save: [head]": "names 'head', and .* has no such module",
    }
    for number, (setting, message) in enumerate(refused.items()):
        with pytest.raises(UsageError, match=message):
            train_tiny(
                "sft",
                tmp_path / str(number),
                f"model.name={cold_start.model}",
                f"model.adapter={{{setting}}}",
            )


def test_a_check_says_that_this_machine_cannot_load_it(r1, caplog):
    given = ("train", "sft", "--recipe", "tiny/sft", "--set", "model.adapter={quantize: 4bit}")
    said = r1(*given, "--dry-run")
    assert said.exit_code == 0, "the recipe may be meant for another machine"
    assert "(--set) = 4bit needs a GPU, and there is none here" in caplog.text
    caplog.clear()
    away = r1(*given, "--on", "slurm", "--dry-run")
    assert away.exit_code == 0 and not caplog.text, "nodes have what a login node lacks"


def test_a_base_that_is_gone_is_named(lora, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(lora.model, copy)
    settings = json.loads((copy / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "/gone/away"
    (copy / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match="base model /gone/away of the adapter .* is not there"):
        load_tokenizer(str(copy))


LOAD = """
from r1_engines.transformers import transformers
from r1cli import Sampling
from r1cli.adapters import stored_adapter

with transformers(model="ada/lora") as engine:
    print(engine.generate(["Compute 1+2."], Sampling(temperature=0, max_tokens=24)))
print(stored_adapter("ada/lora"))
"""


@pytest.mark.slow
def test_pushed_it_loads_from_the_hub(lora, r1, tmp_path, monkeypatch):
    import os
    import subprocess
    import sys

    import loopback_hub
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", loopback_hub.TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with loopback_hub.Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert r1("push", lora.directory, "--repo", "ada/lora").exit_code == 0
        env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            [sys.executable, "-c", LOAD], env=env, text=True, capture_output=True, check=False
        )
    assert done.returncode == 0, done.stderr
    text, adapter = done.stdout.splitlines()[-2:]
    assert text == str(greedy(lora.model)[:1])
    assert adapter == str(stored_adapter(str(lora.model)))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "zero3"])
def test_ranks_that_share_the_work_end_with_the_adapter_of_one(strategy, cold_start, tmp_path):
    """Two gloo ranks and one process see the same prompts in each step."""
    import subprocess
    import sys

    settings = (
        f"model.name={cold_start.model}",
        "model.adapter={rank: 4}",
        "dataset.args.size=64",
        "trainer.args.max_steps=3",
        "batch.micro_batch=8",
        "launch.threads=1",
        "benchmarks=[]",
        "callbacks=[]",
    )
    for name, processes in (("single", 1), (strategy, 2)):
        more = (f"launch.accelerator={name}", f"launch.processes={processes}")
        words = [part for s in (*settings, *more) for part in ("--set", s)]
        command = [sys.executable, "-m", "r1cli", "train", "sft", "--recipe", "tiny/sft"]
        run = ["--run", str(tmp_path / name)]
        done = subprocess.run([*command, *run, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    expected, found = (weights(tmp_path / name / "model") for name in ("single", strategy))
    assert expected.keys() == found.keys()
    for name, tensor in found.items():
        # Step 1 divides by gradients near zero (Adam), which sums of another order can flip.
        assert (tensor - expected[name]).abs().max() < 1e-4, name
