"""The Ray launcher: what it would run and refuses, and shards on a real cluster of two nodes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from r1_launch.ray import Logs, ray
from r1_launch.shard import run
from r1cli import Job, UsageError

GENERATE = ("generate", "--data", "p.jsonl", "--model", "m", "--out", "o.jsonl")


# -- what would be run ---------------------------------------------------------------------------


def test_the_dry_run_shows_a_shard(r1):
    shown = r1(*GENERATE, "--n", 4, "--on", "ray", "--launch", "shards=16", "--dry-run")
    assert shown.exit_code == 0 and shown.stderr.startswith("command: ")
    wanted = "-m r1_launch.shard generate --out o.jsonl --model m --data p.jsonl --n 4 --shard 0/16"
    assert shown.stderr.strip().endswith(wanted)
    assert not Path("o.jsonl.job").exists()


def test_a_command_of_a_group_keeps_its_group_and_its_flags(r1):
    given = ("data", "pass-rate", "D", "--model", "m", "--reward", "accuracy", "--exclusive")
    shown = r1(*given, "--on", "ray", "--dry-run").stderr.strip()
    wanted = "data pass-rate D --model m --reward accuracy --exclusive --shard 0/8"
    assert shown.endswith(f"-m r1_launch.shard {wanted}")
    slurm = r1(*given, "--on", "slurm", "--dry-run").stderr
    assert "job.slurm D --model m --reward accuracy --exclusive\n" in slurm


@pytest.mark.parametrize(
    ("launch", "words"),
    [
        ("shards=0", "shards = 0 must be 1 or more"),
        ("retries=-1", "retries = -1 must be 0 or more"),
        ("gpus=1.5", "gpus = 1.5 must be a whole number or less than 1"),
        ("shard=3", "did you mean 'shards'?"),
    ],
)
def test_arguments_that_are_wrong(r1, launch, words):
    done = r1(*GENERATE, "--on", "ray", "--launch", launch, "--dry-run")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr


def test_shards_are_the_launchers_business(r1):
    done = r1(*GENERATE, "--shard", "0/2", "--on", "ray", "--dry-run")
    assert done.stderr == "error: --on ray gives every shard its share; leave --shard away\n"


def test_a_command_without_shards_is_refused():
    job = Job(["train", "grpo"], 1, "single", Path("run"))
    with pytest.raises(UsageError, match="runs r1 generate and r1 data pass-rate, .* not r1 train"):
        ray().submit(job)


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_the_error_names_the_extra(r1):
    done = r1(*GENERATE, "--on", "ray")
    assert done.exit_code == 3
    assert done.stderr == "error: ray is not installed; run: pip install 'r1cli[ray]'\n"


def test_a_node_with_other_files_is_told(tmp_path):
    with pytest.raises(UsageError, match="work on a file system that they share"):
        run(["--version"], str(tmp_path), str(tmp_path / "none" / "log"), {})


def test_a_shard_runs_r1_with_what_the_node_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("R1_HOME", "the node's")
    code, _ = run(["--version"], str(tmp_path), str(tmp_path / "log"), {"R1_HOME": "ours"})
    assert (code, (tmp_path / "log").read_text()[:3]) == (0, "r1 ")


def test_logs_are_said_line_by_line(tmp_path, capsys):
    path = tmp_path / "log"
    path.write_text("of an earlier run\n")
    logs = Logs([path])
    for text in ("one\ntw", "o\n"):
        with path.open("a") as file:
            file.write(text)
        logs.show()
    assert capsys.readouterr().err == "shard 0: one\nshard 0: two\n"
    assert logs.last(0) == "two"


# -- on a real cluster ---------------------------------------------------------------------------


class Endpoint(ThreadingHTTPServer):
    """An OpenAI-compatible server that solves a problem for every even seed.

    While `gate` is shut the others get no answer, so that no shard can be through.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[tuple[str, int]] = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self.broken = ""  # what is asked in this text gets no answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Endpoint

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer({"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, seed = body["messages"][-1]["content"], body["seed"]
        self.server.asked[text, seed] += 1
        if seed % 2:
            self.server.gate.wait()
        if self.server.broken and self.server.broken in text:
            self.answer({"error": {"message": "this prompt is odd"}}, 400)
            return
        said = f"\\boxed{{{text.split()[-1] if seed % 2 == 0 else 'wrong'}}}"
        choice = {"message": {"content": said}, "finish_reason": "stop"}
        self.answer({"choices": [choice], "usage": {"completion_tokens": 7}})

    def answer(self, answer: object, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def endpoint():
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.gate.set()
        server.shutdown()


@pytest.fixture(scope="module")
def head():
    """A node with one core, to which more are added."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=small)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def cluster(head, tmp_path, monkeypatch):
    """Two nodes of one core each, and rows to work on in the current folder."""
    monkeypatch.chdir(tmp_path)
    head.second = head.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    head.wait_for_nodes(timeout=120)  # a node killed by the last test counts until Ray misses it
    rows = [{"prompt": f"What is {i % 50}", "solution": str(i % 50)} for i in range(60)]
    Path("p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield head
    if head.second in head.worker_nodes:
        head.remove_node(head.second)


@pytest.fixture
def start(cluster, endpoint):
    """`start(where, "generate", ...)`: `r1` in a process, its store called like `where`."""

    def start(where: str, *args: object) -> subprocess.Popen[str]:
        url = f"url=http://127.0.0.1:{endpoint.server_port}/v1"
        given = [*map(str, args), "--model", "m", "--engine", "openai", "--engine-arg", url]
        on = ["--on", "ray", "--launch", f"address={cluster.address}"] if where == "ray" else []
        return subprocess.Popen(
            [sys.executable, "-m", "r1cli", *given, "--n", "4", "--records", where, *on],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def stored(where: str = "ray") -> Counter[tuple[str, int]]:
    rows = [
        json.loads(line)
        for path in Path(where, "attempts").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return Counter((row["key"], row["index"]) for row in rows)


def shards_alive() -> list[str]:
    """Command lines of shards that belong to this test."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if "r1_launch.shard" in line and (path / "cwd").readlink() == Path.cwd():
                found.append(line)
        except OSError:
            continue
    return found


def wait(condition, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def lose_a_node(cluster, process: subprocess.Popen[str]) -> None:
    """Kill the second node. `r1` stands still meanwhile: it cannot be through before."""
    process.send_signal(signal.SIGSTOP)
    assert process.poll() is None, "it was through before the node died"
    cluster.remove_node(cluster.second, allow_graceful=False)
    process.send_signal(signal.SIGCONT)


def lose_a_shard(cluster, endpoint: Endpoint) -> None:
    """Kill the second node. When its shard is gone as well, the other one may go on."""
    assert len(shards_alive()) == 2
    cluster.remove_node(cluster.second, allow_graceful=False)
    wait(lambda: len(shards_alive()) == 1)
    endpoint.gate.set()


def working(*shards: int) -> bool:
    """Whether these shards are under way, with samples in the store."""
    logs = [Path(f"ray.jsonl.job/shard-{number}.log") for number in shards]
    return all(log.exists() and "tokens/s" in log.read_text() for log in logs)


def through(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=400)
    print(err)  # pytest shows it where the test fails
    return process.returncode, out, err


@pytest.mark.slow
def test_generate_writes_what_it_writes_without_a_cluster(start, endpoint):
    given = ("generate", "--data", "p.jsonl", "--reward", "accuracy", "--keep", "correct")
    assert through(start("local", *given, "--out", "local.jsonl"))[0] == 0
    endpoint.asked.clear()
    code, _, said = through(start("ray", *given, "--out", "ray.jsonl", "--launch", "shards=3"))
    assert code == 0
    assert Path("ray.jsonl").read_bytes() == Path("local.jsonl").read_bytes()
    assert "3 shards on 2 nodes" in said and "0 samples drawn, 240 kept from before" in said
    assert set(endpoint.asked.values()) == {1} and len(endpoint.asked) == 240


@pytest.mark.slow
def test_pass_rates_are_those_without_a_cluster(start):
    given = ("data", "pass-rate", "p.jsonl", "--reward", "accuracy", "--min", 0.3, "--exclusive")
    files = [(f"{where}.jsonl", f"{where}-rates.jsonl") for where in ("local", "ray")]
    shown = []
    for where, (out, rates) in zip(("local", "ray"), files, strict=True):
        code, text, _ = through(start(where, *given, "--out", out, "--rates", rates, "--json"))
        assert code == 0
        shown.append(json.loads(text))
    for local, other in zip(*files, strict=True):
        assert Path(local).read_bytes() == Path(other).read_bytes()
    drawn = {"sampled": (240, 0), "from_store": (0, 240)}
    for name, value in shown[0].items():
        assert (value, shown[1][name]) == drawn.get(name, (value, value))


@pytest.mark.slow
def test_a_node_that_dies_costs_nothing_and_nothing_is_there_twice(cluster, start, endpoint):
    given = ("generate", "--data", "p.jsonl")
    assert through(start("local", *given, "--out", "local.jsonl"))[0] == 0
    endpoint.asked.clear()
    endpoint.gate.clear()
    process = start("ray", *given, "--out", "ray.jsonl", "--launch", "shards=2")
    wait(lambda: working(0, 1))
    before = sum(stored().values())
    lose_a_shard(cluster, endpoint)
    code, _, said = through(process)
    assert code == 0
    assert said.count("; it is started again") == 1 and "lost with its worker" in said
    assert 0 < before < 240
    assert set(stored().values()) == {1} and len(stored()) == 240
    assert sum(endpoint.asked.values()) <= 240 + 32, "only what was in flight is asked again"
    assert Path("ray.jsonl").read_bytes() == Path("local.jsonl").read_bytes()


@pytest.mark.slow
def test_pass_rates_survive_a_node_that_dies(cluster, start, endpoint):
    given = ("data", "pass-rate", "p.jsonl", "--reward", "accuracy", "--out")
    assert through(start("local", *given, "local.jsonl"))[0] == 0
    endpoint.asked.clear()
    endpoint.gate.clear()
    process = start("ray", *given, "ray.jsonl", "--launch", "shards=2")
    wait(lambda: working(0, 1))
    lose_a_shard(cluster, endpoint)
    code, _, said = through(process)
    assert code == 0 and said.count("; it is started again") == 1
    assert set(stored().values()) == {1} and len(stored()) == 240
    assert Path("ray.jsonl").read_bytes() == Path("local.jsonl").read_bytes()


@pytest.mark.slow
def test_interrupted_it_ends_its_shards_and_goes_on_from_there(start, endpoint):
    given = ("generate", "--data", "p.jsonl", "--out", "ray.jsonl", "--launch", "shards=2")
    endpoint.gate.clear()
    process = start("ray", *given)
    wait(lambda: working(0, 1))
    process.send_signal(signal.SIGINT)
    code, _, said = through(process)
    assert code == 130 and "Traceback" not in said
    assert shards_alive() == [] and not Path("ray.jsonl").exists()
    kept = len(stored())
    assert 0 < kept < 240
    endpoint.gate.set()
    endpoint.asked.clear()
    code, _, said = through(start("ray", *given))
    assert code == 0 and "2 shards on 2 nodes" in said  # those that earlier tests killed aside
    assert sum(endpoint.asked.values()) == 240 - kept


@pytest.mark.slow
def test_a_shard_that_fails_is_tried_again_and_then_told(start, endpoint):
    endpoint.broken = "What"
    launch = ("--launch", "shards=2", "--launch", "retries=1")
    code, _, said = through(
        start("ray", "generate", "--data", "p.jsonl", "--out", "ray.jsonl", *launch)
    )
    assert code not in (0, 130) and "Traceback" not in said
    assert said.count("; it is started again") in (1, 2)
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: shard ") and ", try 2: error: " in last
    assert "this prompt is odd" in last and shards_alive() == []


@pytest.mark.slow
def test_what_is_wrong_anywhere_is_not_tried_again(start):
    code, _, said = through(start("ray", "generate", "--data", "none.jsonl", "--out", "ray.jsonl"))
    assert code == 2 and "started again" not in said and "none.jsonl" in said


@pytest.mark.slow
def test_a_shard_that_no_node_can_hold_is_refused(start):
    args = ("generate", "--data", "p.jsonl", "--out", "ray.jsonl", "--launch", "gpus=1")
    code, _, said = through(start("ray", *args))
    assert code == 2
    assert said.count("\n") == 1
    assert "no node of the cluster has room for a shard of 1 CPUs and 1 GPUs" in said


@pytest.mark.slow
def test_no_cluster_at_that_address(cluster, r1):
    launch = ("--launch", "address=127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-m", "r1cli", *GENERATE, "--on", "ray", *launch],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1].startswith("error: no Ray cluster at 127.0.0.1:1: ")


# -- batches on a real cluster ------------------------------------------------------------------


def test_batches_need_no_shards(r1, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ("data", "decontaminate", "p.jsonl", "--against-file", "b.jsonl", "--on", "ray")
    shown = r1(*given, "--dry-run")
    assert shown.exit_code == 0
    assert shown.stderr == (
        "r1 data decontaminate p.jsonl --against-file b.jsonl runs here; "
        "launcher 'ray' works on its batches\n"
    )
    Path("p.jsonl").write_text('{"problem": "a"}\n')
    Path("b.jsonl").write_text('{"problem": "a"}\n')
    refused = r1(*given, "--launch", "shards=3")
    assert refused.exit_code == 2 and "shards = 3 is for commands with --shard" in refused.stderr
    refused = r1(*given, "--workers", 2)
    assert refused.exit_code == 2 and "--workers 2 are of this machine" in refused.stderr


@pytest.fixture
def words(cluster):
    """20,000 rows of 30 words, every tenth with a piece of the benchmark; some rows twice."""
    rng = random.Random(0)
    held = [" ".join(f"held{rng.randrange(50)}" for _ in range(12)) for _ in range(20)]
    with Path("rows.jsonl").open("w") as file:
        for number in range(20_000):
            text = " ".join(f"word{rng.randrange(20)}" for _ in range(30 if number % 7 else 1))
            problem = f"{text} {rng.choice(held)}" if number % 10 == 0 else text
            file.write(json.dumps({"problem": problem, "id": number}) + "\n")
    Path("bench.jsonl").write_text("".join(json.dumps({"problem": h}) + "\n" for h in held))
    return cluster


def r1_process(cluster, where: str, *args: object) -> subprocess.Popen[str]:
    on = ["--on", "ray", "--launch", f"address={cluster.address}"] if where == "ray" else []
    return subprocess.Popen(
        [sys.executable, "-m", "r1cli", *map(str, args), *on],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["remove", "flag"])
def test_decontaminate_finds_what_it_finds_without_a_cluster(words, mode):
    given = ("data", "decontaminate", "rows.jsonl", "--against-file", "bench.jsonl", "--dedup")
    shown = []
    for where in ("local", "ray"):
        files = ("--out", f"{where}.jsonl", "--report", f"{where}-report")
        done = through(r1_process(words, where, *given, *files, "--mode", mode, "--json"))
        assert done[0] == 0
        shown.append(json.loads(done[1]))
    assert shown[0] == shown[1] and shown[0]["rows_hit"] == 2000 and shown[0]["duplicates"] > 50
    assert Path("local.jsonl").read_bytes() == Path("ray.jsonl").read_bytes()
    reports = [Path(f"{where}-report/hits.jsonl").read_bytes() for where in ("local", "ray")]
    assert reports[0] == reports[1]


@pytest.mark.slow
def test_a_node_that_dies_changes_nothing_of_what_is_found(words, tmp_path):
    given = ("data", "decontaminate", "rows.jsonl", "--against-file", "bench.jsonl", "--dedup")
    given += ("--normalise", "robust", "--mode", "flag")
    for where in ("local", "ray"):
        process = r1_process(words, where, *given, "--out", f"{where}.jsonl", "--report", where)
        if where == "ray":
            wait(lambda: any(path.stat().st_size for path in tmp_path.glob(".ray.jsonl.*/rows")))
            lose_a_node(words, process)
        assert through(process)[0] == 0
    assert Path("local.jsonl").read_bytes() == Path("ray.jsonl").read_bytes()
    assert Path("local/hits.jsonl").read_bytes() == Path("ray/hits.jsonl").read_bytes()


def completions(count: int) -> None:
    """Samples of 500 prompts; those of one lie apart."""
    with Path("c.jsonl").open("w") as file:
        for number in range(count):
            row = {
                "prompt": f"What is {number % 500}?",
                "solution": str(number % 500),
                "completion": f"<think>{'so ' * (number % 37)}</think> \\boxed{{{number % 501}}}",
                "tokens": number % 37 + 1,
            }
            file.write(json.dumps(row) + "\n")


@pytest.mark.slow
def test_scores_are_those_without_a_cluster(cluster):
    """With a reward that compares within a group, whose samples lie apart."""
    completions(3000)
    for where in ("local", "ray"):
        rewards = ("--reward", "accuracy", "--reward", "length", "--out", f"{where}.jsonl")
        assert through(r1_process(cluster, where, "reward", "score", "c.jsonl", *rewards))[0] == 0
    assert Path("local.jsonl").read_bytes() == Path("ray.jsonl").read_bytes()
    rows = [json.loads(line) for line in Path("ray.jsonl").read_text().splitlines()]
    assert len({row["reward/length"] for row in rows}) > 10


@pytest.mark.slow
def test_a_node_that_dies_changes_no_score(cluster):
    completions(12_000)
    given = ("reward", "score", "c.jsonl", "--reward", "accuracy", "--reward", "length", "--out")
    assert through(r1_process(cluster, "local", *given, "local.jsonl"))[0] == 0
    process = r1_process(cluster, "ray", *given, "ray.jsonl")
    assert next(line for line in process.stderr if line.startswith("score: "))
    lose_a_node(cluster, process)
    assert through(process)[0] == 0
    assert Path("local.jsonl").read_bytes() == Path("ray.jsonl").read_bytes()


@pytest.mark.slow
def test_what_is_wrong_on_a_node_is_one_line_here(cluster):
    Path("c.jsonl").write_text('{"completion": "x", "solution": "1", "gold_standard": 1}\n')
    args = ("reward", "score", "c.jsonl", "--reward", "accuracy", "--out", "o.jsonl")
    code, _, said = through(r1_process(cluster, "ray", *args, "--launch", "gpus=1"))
    assert code == 2 and said.count("\n") == 1
    assert "no node of the cluster has room for a batch of 1 CPUs and 1 GPUs" in said


@pytest.mark.slow
def test_batches_of_a_node_that_dies_are_worked_on_again(cluster, tmp_path):
    with ray(address=cluster.address).pool(slowly, 3) as pool:
        assert pool.size == 2
        futures = [pool.submit(number) for number in range(20)]
        assert futures[0].result(240) == 3
        cluster.remove_node(cluster.second, allow_graceful=False)
        assert [future.result(240) for future in futures] == [3 + number for number in range(20)]


@pytest.mark.slow
def test_an_error_of_the_function_is_raised_as_it_was(cluster):
    with (
        pytest.raises(UsageError, match="^no 7 here$"),
        ray(address=cluster.address).pool(refusing, None) as pool,
    ):
        pool.submit(7).result(240)


def slowly(shared: int, sent: int) -> int:
    time.sleep(0.3)
    return shared + sent


def refusing(shared: None, sent: int) -> None:
    raise UsageError(f"no {sent} here")
