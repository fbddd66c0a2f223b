import socket
import time

import pytest

from r1cli import hub
from r1cli.errors import ProviderError


@pytest.fixture(autouse=True)
def asked_afresh(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    hub._problem.cache_clear()
    yield
    hub._problem.cache_clear()


def ask():
    hub.ensure_reachable("dataset a/b", "use a local copy")


def test_a_port_where_nobody_listens(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ProviderError) as caught:
        ask()
    said = "dataset a/b is not on this machine and the hub 127.0.0.1 cannot be reached ("
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("; use a local copy")


@pytest.mark.parametrize("value", ["1", "true", "ON", "yes"])
def test_offline_by_choice_asks_nobody(monkeypatch, value):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    monkeypatch.setattr(socket, "create_connection", None)
    with pytest.raises(ProviderError, match="HF_HUB_OFFLINE is set"):
        ask()


def test_a_hub_that_listens_is_reachable(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        ask()


def test_a_hub_that_swallows_packets_is_given_up_in_seconds(monkeypatch):
    def silent(address, timeout):
        time.sleep(min(timeout, 5))
        raise TimeoutError("timed out")

    monkeypatch.setattr(hub, "SECONDS", 0.1)
    monkeypatch.setattr(socket, "create_connection", silent)
    started = time.monotonic()
    with pytest.raises(ProviderError, match="timed out"):
        ask()
    assert time.monotonic() - started < 4, "an attempt would take 5 s, were it not given less"


def test_it_is_asked_once(monkeypatch):
    calls = []

    def refuse(address, timeout):
        calls.append(address)
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for _ in range(3):
        with pytest.raises(ProviderError, match=r"huggingface.co cannot be reached \(no route\)"):
            ask()
    assert calls == [("huggingface.co", 443)]


def test_behind_a_proxy_a_direct_connection_says_nothing(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setattr(socket, "create_connection", None)
    ask()


@pytest.mark.parametrize(
    ("what", "model", "data"),
    [
        ("model nobody/nothing", "nobody/nothing", "chain_sums, args: {size: 8}"),
        ("dataset nobody/none", "r1_tiny_blank", "hub, args: {id: nobody/none}"),
    ],
)
def test_a_recipe_that_needs_the_hub_says_so_within_seconds(
    r1, tmp_path, monkeypatch, what, model, data
):
    pytest.importorskip("trl", reason="a model is asked for after GRPOConfig was checked")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "my.yaml").write_text(
        f"model: {{name: {model}}}\ndataset: {{name: {data}}}\nrewards: [{{name: format}}]\n"
        "trainer: {name: grpo, args: {max_steps: 1}}\nbatch: {prompts_per_step: 4}\n"
    )
    started = time.monotonic()
    answer = r1("train", "grpo", "--recipe", "my.yaml")
    assert answer.exit_code == 5, answer.stderr
    line = answer.stderr.splitlines()[-1]
    assert what in line and "the hub 127.0.0.1 cannot be reached" in line
    assert time.monotonic() - started < 60  # mostly imports; the hub itself is given 3 seconds
