"""A recipe that says where its run is to be pushed: after training, and never at its cost."""

from __future__ import annotations

import loopback_hub
import pytest

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def account(monkeypatch, tmp_path):
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", loopback_hub.TOKEN)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


def test_the_run_is_pushed_and_without_a_network_it_is_finished_all_the_same(
    train_tiny, cold_start, tmp_path, monkeypatch, caplog
):
    overrides = (
        f"model.name={cold_start.model}",
        "trainer.args.max_steps=1",
        "hub={repo: ada/tiny}",
    )
    with loopback_hub.Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        run = train_tiny("grpo", tmp_path / "run", *overrides)
        assert run.finished
        assert (run.directory / "push.json").exists()
        gone = hub.url
    monkeypatch.setenv("HF_ENDPOINT", gone)
    run = train_tiny("grpo", tmp_path / "other", *overrides)
    assert run.finished
    assert f"r1 push {run.directory}" in caplog.text
