"""`r1 generate` at a real server that dies, comes back, or never was there."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="prompts are rows of a datasets.Dataset")
pytest.importorskip("httpx", reason="endpoints are asked by it")

from r1cli.files import read_rows
from r1cli.records import Store

SERVER = Path(__file__).with_name("endpoint_server.py")
ROWS, SAMPLES = 120, 2


class Endpoint:
    """The server's process; `port` stays the same over its lives."""

    def __init__(self):
        self.port, self.process = 0, None

    def start(self, seconds=0.1):
        command = [sys.executable, str(SERVER), str(self.port), str(seconds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Endpoint().start()
    yield server
    with contextlib.suppress(Exception):
        server.kill()


@pytest.fixture
def command(server, tmp_path):
    lines = [json.dumps({"prompt": f"p{n}"}) for n in range(ROWS)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    words = ["generate", "--engine", "openai", "--model", "m", "--data", "prompts.jsonl"]
    words += ["--n", str(SAMPLES), "--out", "out.jsonl", "--engine-arg", "concurrency=4"]
    return [*words, "--engine-arg", f"url={server.url}"]


def start(command, tmp_path):
    full = [sys.executable, "-m", "r1cli", *command]
    return subprocess.Popen(full, cwd=tmp_path, stderr=subprocess.PIPE, text=True)


def stored(tmp_path):
    """How many attempts there are, as the files tell."""
    files = (tmp_path / "runs" / "records" / "attempts").glob("*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in files)


def wait_for(tmp_path, count, process):
    until = time.monotonic() + 240
    while stored(tmp_path) < count and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert count <= stored(tmp_path) < ROWS * SAMPLES


def each_once(tmp_path):
    rows = read_rows(tmp_path / "out.jsonl")
    there = {(row["prompt"], row["sample"]) for row in rows}
    assert len(rows) == len(there) == ROWS * SAMPLES
    assert stored(tmp_path) == len({row["attempt"] for row in rows}) == ROWS * SAMPLES
    assert all(row["generation"].startswith(row["prompt"] + " ") for row in rows)


def test_a_server_and_then_the_program_are_killed_and_each_sample_is_there_once(
    server, command, tmp_path
):
    running = start(command, tmp_path)
    wait_for(tmp_path, 30, running)
    server.kill()
    time.sleep(0.5)
    server.start()
    wait_for(tmp_path, 90, running)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    server.kill()
    server.start(0)
    kept = stored(tmp_path)
    again = start(command, tmp_path)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    each_once(tmp_path)
    drawn = ROWS * SAMPLES - kept
    assert f"{drawn} samples drawn, {kept} kept from before" in said


def test_ctrl_c_keeps_what_is_there(server, command, tmp_path):
    running = start(command, tmp_path)
    wait_for(tmp_path, 30, running)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130 and "goes on from what was kept" in said
    assert not (tmp_path / "out.jsonl").exists()
    assert "Traceback" not in said and stored(tmp_path) >= 30


def test_a_server_that_stays_away_ends_it_with_all_kept(server, command, tmp_path):
    waits = ("patience=1.5", "tries=2")
    running = start([*command, *(f"--engine-arg={wait}" for wait in waits)], tmp_path)
    wait_for(tmp_path, 30, running)
    server.kill()
    _, said = running.communicate(timeout=120)
    assert running.returncode == 5 and "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"error: endpoint {server.url} failed: Connect")
    with Store(tmp_path / "runs" / "records") as store:
        assert len(store) == stored(tmp_path) >= 30


def test_a_server_that_never_was_there_is_known_in_seconds(server, command, r1, tmp_path):
    server.kill()
    began = time.monotonic()
    done = r1(*command)
    assert (done.exit_code, time.monotonic() - began < 60) == (5, True)
    assert "ConnectError" in done.stderr.splitlines()[-1]


def test_a_refused_prompt_is_said_with_the_servers_words(server, command, r1, tmp_path):
    lines = [json.dumps({"prompt": text}) for text in ("a", "odd", "b")]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    done = r1(*command)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("status 400") == 2 and "this prompt is odd" in done.stderr
    assert "4 samples drawn, 0 kept from before, 2 failed; 4 rows" in done.stderr
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "odd"}\n')
    alone = r1(*command)
    assert alone.exit_code == 5 and "none of 2 samples came" in alone.stderr


def test_usage_and_seconds_are_kept(server, command, r1, tmp_path):
    assert r1(*command, "--limit", 1).exit_code == 0
    with Store(tmp_path / "runs" / "records") as store:
        found = list(store.scan())
    assert [a.usage for a in found] == [{"prompt_tokens": 5, "completion_tokens": 7}] * SAMPLES
    assert all(0 < a.seconds < 5 and a.tokens == 7 for a in found)


@pytest.mark.slow
def test_what_was_generated_trains_a_model(server, command, r1, tmp_path):
    pytest.importorskip("trl", reason="training is TRL's")
    assert r1(*command, "--limit", 8).exit_code == 0
    settings = ("dataset.name=file", "dataset.args={path: out.jsonl}", "dataset.columns={}")
    more = ("trainer.args.max_steps=2", "benchmarks=[]", "name=from-generated")
    sets = [word for one in (*settings, *more) for word in ("--set", one)]
    done = r1("train", "sft", "--recipe", "tiny/sft", *sets, "--run", "runs/g")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "runs" / "g" / "model" / "config.json").exists()
