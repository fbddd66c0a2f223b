"""`r1 serve MODEL`: what it refuses, how it waits, and how it ends. A small server plays vLLM."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from r1cli import UsageError
from r1cli.planning.placement import tensor_parallel

GIB = 2**30
SEVEN_B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
}

# Answers /health after a while; a child of it writes its own number down and lives on.
PLAYS = """
import http.server, os, subprocess, sys, time
port, behave = int(sys.argv[1]), sys.argv[2]
print("loading the weights", flush=True)
if behave == "fails":
    print("ValueError: No available memory for the cache blocks.", flush=True)
    print("RuntimeError: Engine core failed. See root cause above.", flush=True)
    sys.exit(3)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child", "w").write(str(child.pid))
if behave == "hangs":
    time.sleep(600)
time.sleep(0.5)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        if behave == "dies": os._exit(9)
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

PLUGIN = """
import sys
from r1cli import hookimpl

def played(*, model):
    raise AssertionError

def serve(model, options, *, host, port, gpu, start=True):
    return [sys.executable, "plays.py", str(port), options.get("behave", "well")], {"PLAYED": "1"}

played.serve = serve

@hookimpl
def register_engines(register):
    register("played", played)
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "seven"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SEVEN_B))
    return folder


@pytest.fixture
def start(tmp_path, model, fake_distribution, monkeypatch):
    """`start("--extra", "behave=dies")`: an `r1 serve` of its own process."""
    site = fake_distribution("r1-plugin-played", PLUGIN)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plays.py").write_text(textwrap.dedent(PLAYS))
    started = []

    def start(*args: str) -> subprocess.Popen[str]:
        command = ["serve", str(model), "--engine", "played", "--port", "0", *args]
        paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, "-m", "r1cli", *command],
            env={**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def gone(pid: int) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
        )
        if state.stdout.strip().startswith("Z"):  # no init here takes orphans in
            return True
        time.sleep(0.05)
    return False


def child_of(folder) -> int:
    return int((folder / "child").read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_address_is_printed_once_it_answers_and_a_signal_ends_all_of_it(
    start, tmp_path, number
):
    process = start()
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert f"{number.name}: stopped" in said
    assert gone(child_of(tmp_path))


def test_one_that_fails_is_told_with_its_cause_and_the_end_of_its_log(start):
    out, said = start("--extra", "behave=fails").communicate(timeout=120)
    assert out == ""
    first, *tail = said[said.index("error:") :].splitlines()
    assert "ended before it was ready (exit code 3): ValueError: No available memory" in first
    assert tail[0] == "  loading the weights" and "See root cause" in tail[-1]


def test_one_that_is_never_ready_is_given_up_and_ended(start, tmp_path):
    process = start("--extra", "behave=hangs", "--wait", "3")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 5
    assert "was not ready within 3 s" in said
    assert gone(child_of(tmp_path))


def test_one_that_dies_later_is_an_error_and_its_children_die_with_it(start, tmp_path):
    process = start("--extra", "behave=dies")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 5
    assert "ended" in said and "(exit code 9)" in said
    assert gone(child_of(tmp_path))


def test_of_one_that_is_killed_nothing_is_left(start, tmp_path):
    process = start()
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.kill()
    assert gone(child_of(tmp_path))


def test_no_proxy_stands_between_it_and_its_server(start, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert start("--wait", "60").stdout.readline().startswith("http://127.0.0.1:")


def test_a_log_that_cannot_be_written_is_one_line(start, tmp_path):
    _, said = start("--log", "plays.py/log").communicate(timeout=120)
    assert "error: cannot write plays.py/log: " in said and "Traceback" not in said


def test_a_taken_port_is_known_before_anything_starts(r1, model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = r1("serve", model, "--port", port, "--dry-run")
    assert answer.exit_code == 2
    assert f"--port {port}: Address already in use" in answer.stderr


def test_the_command_is_vllms_with_what_grpo_needs(r1, model, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    shown = ("--tp", 2, "--max-model-len", 4096, "--extra", "enforce_eager=true", "--dry-run")
    words = r1("serve", model, "--port", 0, *shown).stdout.split()
    assert words[0] == "VLLM_SERVER_DEV_MODE=1"
    assert {
        "--logprobs-mode=processed_logprobs",
        "--max-logprobs=-1",
        "--tensor-parallel-size=2",
        "--max-model-len=4096",
        "--enforce-eager",
    } <= set(words)
    assert not any("weight-transfer" in word for word in words), "NCCL needs a GPU"


def test_with_a_gpu_weights_come_over_nccl():
    from r1_engines.vllm_server import serve

    command, _ = serve("m", {"kv_cache_dtype": None}, host="::1", port=1, gpu=True, start=False)
    assert '--weight-transfer-config={"backend": "nccl"}' in command
    assert not any("kv-cache" in word or "dtype" in word for word in command)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--extra", "port=9"), "--extra port=9: write --port 9"),
        (("--tp", 3), "--tp 3 cannot share the 28 attention heads (4 of keys and values)"),
        (("--engine", "transformers"), "engine 'transformers' at --engine has no server"),
    ],
)
def test_what_cannot_be_is_one_line(r1, model, args, said):
    answer = r1("serve", model, *args)
    assert (answer.exit_code, answer.stderr.count("\n")) == (2, 1)
    assert said in answer.stderr


def test_an_adapter_is_merged_first(r1, model, tmp_path):
    config = {"base_model_name_or_path": str(model), "peft_type": "LORA", "r": 8}
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    answer = r1("serve", "adapter", "--dry-run")
    assert (answer.exit_code, answer.stderr.count("\n")) == (2, 1)
    assert "adapter is an adapter, which is served merged" in answer.stderr


def test_options_may_come_before_the_model(r1, model, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert r1("serve", "--dry-run", "--port", 0, model).exit_code == 0
    assert "--provider" in r1("serve", "router", "--help").stdout


@pytest.mark.parametrize(
    ("gpus", "tp", "dp", "expected"),
    [
        ([80] * 8, None, 1, 1),  # 15.2 GB of weights
        ([16] * 8, None, 1, 2),
        ([8] * 8, None, 1, 4),
        ([80] * 8, 4, 2, 4),
        ([], None, 1, 1),  # the CPU
    ],
)
def test_as_few_gpus_as_hold_the_weights(gpus, tp, dp, expected):
    sizes = [size * GIB for size in gpus]
    assert tensor_parallel(SEVEN_B, sizes, model="m", tp=tp, dp=dp) == expected


@pytest.mark.parametrize(
    ("gpus", "tp", "dp", "said"),
    [
        (2, 4, 1, r"--tp 4 x --dp 1 need 4 GPUs, there are 2; --tp 2 would work"),
        (8, 2, 5, r"--tp 2 x --dp 5 need 10 GPUs, there are 8; --tp 1 would work"),
        (1, None, 2, r"--tp 1 x --dp 2 need 2 GPUs, there are 1$"),
        (8, 8, 1, r"--tp 8 cannot share the 28 attention heads .*; 1, 2, 4, 28 would work"),
    ],
)
def test_more_gpus_than_there_are(gpus, tp, dp, said):
    with pytest.raises(UsageError, match=said):
        tensor_parallel(SEVEN_B, [80 * GIB] * gpus, model="m", tp=tp, dp=dp)
