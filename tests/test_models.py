"""A model by name: what is refused before a run begins, and what its weights' key depends on."""

from __future__ import annotations

import pytest

from r1cli import ProviderError, UsageError
from r1cli.models import ensure_model, model_key


def test_a_directory_with_a_config_is_a_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    ensure_model(str(tmp_path))


def test_what_can_be_no_model_is_refused_with_its_place(tmp_path):
    with pytest.raises(UsageError, match="holds no model: there is no config.json"):
        ensure_model(str(tmp_path), where="model.name (my.yaml:1)")
    for name in ("qwen", "./nowhere", "a/b/c"):
        with pytest.raises(UsageError, match=r"given at model.name \(my.yaml:1\), is no directory"):
            ensure_model(name, where="model.name (my.yaml:1)")


def test_a_hub_model_offline_is_said_at_once(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="model Qwen/Qwen2.5-0.5B .* is not on this machine"):
        ensure_model("Qwen/Qwen2.5-0.5B")


@pytest.mark.parametrize("place", [0, 5_000_000, 9_999_999])
def test_the_key_follows_the_weights_and_not_their_place(tmp_path, place):
    """Both ends of a large file are read: an optimizer step changes every weight."""
    keys = []
    for name, byte in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        weights = bytearray(10_000_000)
        weights[place] = byte
        (tmp_path / name / "model.safetensors").write_bytes(weights)
        keys.append(model_key(str(tmp_path / name)))
    assert keys[0] == keys[1]
    assert (keys[0] != keys[2]) == (place != 5_000_000)


@pytest.mark.parametrize("name", ["chat_template.jinja", "config.json", "tokenizer.json"])
def test_the_key_follows_what_else_decides_a_sample(tmp_path, name):
    (tmp_path / "model.safetensors").write_bytes(b"w")
    keys = [model_key(str(tmp_path))]
    for text in ("{}", '{"a": 1}'):
        (tmp_path / name).write_text(text)
        keys.append(model_key(str(tmp_path)))
    (tmp_path / "README.md").write_text("a card decides nothing")
    assert len(set(keys)) == 3 and model_key(str(tmp_path)) == keys[-1]


def test_the_key_of_a_hub_model_is_its_id_and_revision():
    assert model_key("a/b") == model_key("a/b") != model_key("a/b", "v2")
