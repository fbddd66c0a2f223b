"""Every built-in reward keeps the contract that third parties test theirs with."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from r1cli.plugins import builtin_plugins

COUNTDOWN = {"numbers": [[2, 4], [3, 4, 1], [6, 1]], "target": [6, 12, 7]}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("accuracy", {}),
    ("accuracy", {"args": {"extract": "any", "strict": False}}),
    ("format", {}),
    ("format", {"args": {"schema": "think", "mode": "strict"}}),
    ("tag_count", {}),
    ("tag_count", {"args": {"schema": ["plan", "answer"], "mode": "strict"}}),
    ("countdown", {"columns": COUNTDOWN, "args": {"format_score": 0.1}}),
    ("reasoning_steps", {}),
    ("length", {"grouped": True}),
    ("length", {"grouped": True, "args": {"unit": "characters"}}),
    ("cosine", {"args": {"max_len": 50, "min_value_wrong": -10.0}}),
    ("repetition_penalty", {"args": {"n_grams": 2, "max_penalty": -0.5}}),
    ("soft_overlong_punishment", {"args": {"max_completion_len": 30, "soft_punish_cache": 10}}),
    ("qa_exact", {}),
    ("qa_exact", {"columns": {"solution": [["6", "six"], ["12", "twelve"], []]}}),
    ("rouge_l", {}),
    ("rouge_l", {"columns": {"solution": [["six it is", "6"], "there are 12", ""]}}),
    ("language_consistency", {}),
    ("language_consistency", {"columns": {"language": ["en", "fr", "zh-CN"]}}),
    ("language_consistency", {"args": {"target": "en"}}),
]
NEEDS = {"rouge_l": "rouge_score", "language_consistency": "py3langid", "judge": "httpx"}
ELSEWHERE = {"judge"}  # asks a server, below


def test_no_reward_is_left_out() -> None:
    ours = {e.name for e in builtin_plugins()["rewards"].entries if e.plugin == "r1_rewards"}
    assert {name for name, _ in CASES} | ELSEWHERE == ours


@pytest.mark.parametrize(
    ("name", "given"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)]
)
def test_contract(reward_contract: Any, name: str, given: dict[str, Any]) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    # Limits guard against hangs; on a loaded machine anything else may take long.
    assert reward_contract(name, seconds=10, **given).samples == 12


class Judge(BaseHTTPRequestHandler):
    """Gives a mark that depends on the answer alone."""

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        system, user = (message["content"] for message in body["messages"])
        [code] = re.findall(r"Verdict (\w{8}):", system)
        mark = len(user) % 10 / 10
        data = json.dumps({"choices": [{"message": {"content": f"Verdict {code}: {mark}"}}]})
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data.encode())


def test_contract_of_the_judge(reward_contract: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("httpx")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    reward_contract("judge", args={"url": url, "model": "m"}, seconds=10)
    server.shutdown()
    server.server_close()
