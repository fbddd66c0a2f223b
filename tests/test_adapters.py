"""An adapter's folder: the base it names, where that is looked for, what is said without it."""

from __future__ import annotations

import json

import pytest

from r1cli import ProviderError, UsageError
from r1cli.adapters import stored_adapter
from r1cli.models import ensure_model, model_key


def adapter(folder, base, **more):
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"base_model_name_or_path": base, "peft_type": "LORA", "r": 8, **more}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").write_bytes(b"a")
    return str(folder)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "qwen2",
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "vocab_size": 100,
                "max_position_embeddings": 512,
                "rope_theta": 10000.0,
            }
        )
    )
    (folder / "model.safetensors").write_bytes(b"w")
    return folder


def test_a_plain_model_is_no_adapter(base):
    assert stored_adapter(str(base)) is None
    assert stored_adapter("some/hub-id") is None


@pytest.mark.parametrize("named", ["../base", "base"])
def test_a_relative_base_is_looked_for_here_and_then_beside_the_adapter(
    base, tmp_path, monkeypatch, named
):
    monkeypatch.chdir(tmp_path)
    found = stored_adapter(adapter(tmp_path / "made", named))
    assert found.base == str(base)
    assert str(found) == f"LORA of rank 8 on {base}"
    ensure_model(str(tmp_path / "made"))


def test_a_base_on_the_hub_keeps_its_revision_and_one_on_disk_has_none(base, tmp_path):
    on_hub = stored_adapter(adapter(tmp_path / "hub", "Qwen/Qwen2.5-0.5B", revision="abc"))
    assert (on_hub.base, on_hub.base_revision) == ("Qwen/Qwen2.5-0.5B", "abc")
    assert (
        stored_adapter(adapter(tmp_path / "disk", str(base), revision="abc")).base_revision is None
    )


def test_a_base_that_is_gone_is_said_with_the_file_to_mend(tmp_path, monkeypatch):
    gone = adapter(tmp_path / "made", "/gone/base")
    with pytest.raises(
        UsageError, match=r"/gone/base of the adapter .* is not there; if it was mo"
    ):
        ensure_model(gone)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    away = adapter(tmp_path / "away", "someone/base")
    with pytest.raises(ProviderError, match=r"someone/base \(.*adapter_config.json"):
        ensure_model(away)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"base_model_name_or_path": null}'])
def test_a_broken_adapter_is_named(tmp_path, text):
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(UsageError, match="adapter_config.json"):
        stored_adapter(str(tmp_path))


def test_the_key_follows_the_adapter_its_settings_its_base_and_the_edits(base, tmp_path):
    made = adapter(tmp_path / "made", str(base))
    keys = [model_key(made)]
    (tmp_path / "made" / "adapter_model.safetensors").write_bytes(b"b")
    keys.append(model_key(made))
    adapter(tmp_path / "made", str(base), lora_alpha=64)
    keys.append(model_key(made))
    (tmp_path / "made" / "config.json").write_text("{}")
    keys.append(model_key(made))
    (base / "model.safetensors").write_bytes(b"v")
    keys.append(model_key(made))
    assert len(set(keys)) == len(keys)


def test_show_tells_an_adapter_from_a_model(r1, base, tmp_path):
    plain = json.loads(r1("model", "show", base, "--json").stdout)
    assert plain["positions"] == 512 and plain["parameters"] > 0 and "base" not in plain
    made = adapter(tmp_path / "run" / "model", str(base))
    (tmp_path / "run" / "run.json").write_text("{}")
    shown = json.loads(r1("model", "show", tmp_path / "run", "--json").stdout)
    assert shown["model"] == made and shown["base"] == str(base)
    assert shown["parameters"] == plain["parameters"] and not shown["base_edited"]

    nothing = r1("model", "show", tmp_path)
    assert nothing.exit_code == 2 and "holds no model" in nothing.stderr
