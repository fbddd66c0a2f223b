"""TRL's client of a vLLM server as r1 changes it, against a small HTTP server; no vLLM here."""

from __future__ import annotations

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from r1_trl import vllm, vllm_client
from r1cli import ProviderError, UsageError
from r1cli import recipe_file as recipes

pytestmark = pytest.mark.train


class Server:
    """Plays vLLM: `fails` statuses first, then answers; None hangs up."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.fails: list[int | None] = []
        self.dev, self.slow = True, 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                known = {"/health": {}, "/v1/models": {"data": [{"id": "m"}]}}
                if server.dev:
                    known["/server_info"] = {"vllm_config": {"weight_transfer_config": None}}
                path = self.path.partition("?")[0]
                self.answer(200 if path in known else 404, known.get(path, {}))

            def do_POST(self) -> None:
                body = json.loads(
                    self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}"
                )
                server.asked.append((self.path, body))
                time.sleep(server.slow)
                status = server.fails.pop(0) if server.fails else 200
                if status is None:
                    self.connection.close()
                elif self.path == "/v1/completions" and status == 200:
                    token = {"tokens": ["token_id:7"], "token_logprobs": [-0.5]}
                    choice = {"prompt_token_ids": [1, 2], "token_ids": [7]}
                    choice["logprobs"] = {**token, "top_logprobs": [None]}
                    self.answer(200, {"choices": [choice] * body["n"]})
                else:
                    self.answer(status, {"detail": "no"})

            def answer(self, status: int, body: dict) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch, caplog):
    from trl.generation import vllm_client as trl

    monkeypatch.setattr(trl, "is_vllm_available", lambda *args, **given: True)
    monkeypatch.setattr(vllm_client, "WAITS", (0.01, 0.01))
    caplog.set_level(logging.INFO, "r1cli.vllm")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def client(server, tmp_path):
    made = vllm_client.client_class()(server.url, folder=tmp_path / "weights")
    made.init_communicator("cpu")
    return made


def test_weights_go_through_a_file_that_the_server_is_told_of(client, server, tmp_path):
    import torch
    from safetensors.torch import load_file

    weights = {"a": torch.arange(4.0), "b": torch.ones(2, 2)}
    client.update_named_params([], iter(weights.items()))
    assert client.lost is None
    how = {"method": "load_policy", "args": [str(tmp_path / "weights")]}
    assert server.asked == [("/collective_rpc", how)]
    found = load_file(tmp_path / "weights" / "model.safetensors")
    assert {name: value.tolist() for name, value in found.items()} == {
        "a": [0, 1, 2, 3],
        "b": [[1, 1], [1, 1]],
    }


def test_a_failure_that_passes_is_told_and_tried_again(client, server, caplog):
    server.fails = [500, None]
    drawn = client.generate([[1, 2]], n=2)
    assert drawn["completion_ids"] == [[7], [7]] and client.lost is None
    assert client.returned, "it was away: its weights may be others"
    assert caplog.text.count("again in") == 2 and "status 500" in caplog.text


def test_a_server_that_stays_away_is_lost_and_asked_no_more(client, server):
    import torch

    server.close()
    drawn = client.generate([[1, 2]], n=2)
    assert drawn["completion_ids"] == []
    assert "is lost (/v1/completions: " in str(client.lost)
    left = iter([("a", torch.ones(1))])
    client.update_named_params([], left)
    assert list(left) == [], "the other ranks gather each weight with this one"


def test_a_refusal_is_not_tried_again(client, server, caplog):
    server.fails = [400]
    client.generate([[1, 2]])
    assert "status 400" in str(client.lost) and "again" not in caplog.text


def test_a_long_wait_is_told(client, server, caplog, monkeypatch):
    monkeypatch.setattr(vllm_client, "SAID_EVERY", 0.05)
    server.slow = 0.3
    client.generate([[1, 2]])
    assert f"waiting for vLLM at {server.url}/v1/completions" in caplog.text


def test_no_server_within_the_deadline_is_one_line(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(vllm_client, "START_EVERY", 0.0)
    server.close()
    with pytest.raises(ProviderError, match=r"no vLLM server at .* within 0.5 s .*r1 serve MODEL"):
        vllm_client.client_class()(server.url, folder=tmp_path, connection_timeout=0.5)
    assert "waiting for vLLM" in caplog.text


def test_a_server_that_takes_no_weights_is_an_error(server, tmp_path):
    server.dev = False
    made = vllm_client.client_class()(server.url, folder=tmp_path)
    with pytest.raises(UsageError, match="takes no weights; start it by r1 serve"):
        made.init_communicator("cpu")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["vllm.extra.a=1"], r"vllm.extra \(--set\) is for vLLM; set trainer.args.use_vllm"),
        (["vllm.extra.a=1", "trainer.args.vllm_mode=server"], "r1 serve MODEL --extra"),
        (
            ["trainer.args.vllm_tensor_parallel_size=2", "launch.processes=3"],
            "= 2 does not divide the 3 training",
        ),
    ],
)
def test_keys_that_contradict_each_other(sets, said):
    use = "trainer.args.use_vllm=" + ("false" if sets == ["vllm.extra.a=1"] else "true")
    with pytest.raises(UsageError, match=said):
        vllm.arguments(recipes.load("tiny/grpo", [use, *sets]))


def test_the_address_is_the_recipes_else_the_environments(monkeypatch):
    monkeypatch.setenv("R1_SERVER_URL", "http://10.0.0.1:8000")
    sets = ["trainer.args.use_vllm=true", "trainer.args.vllm_mode=server"]
    derived = vllm.arguments(recipes.load("tiny/grpo", sets))
    assert derived == {"vllm_server_base_url": "http://10.0.0.1:8000"}
    said = [*sets, "trainer.args.vllm_server_base_url=http://b:1"]
    assert vllm.arguments(recipes.load("tiny/grpo", said)) == {}
