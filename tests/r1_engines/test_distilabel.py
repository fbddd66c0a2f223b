"""`r1 generate --backend distilabel`: the same job by a real pipeline, in processes and on Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from r1_engines.distilabel import distilabel
from r1cli import MissingExtra, UsageError

SERVER = Path(__file__).parents[1] / "generation" / "endpoint_server.py"
URL = "http://127.0.0.1:1/v1"
ROWS, N = 24, 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"replicas": 0}, "replicas = 0 must be 1 or more"),
        ({"ray_url": "10.0.0.1:6379"}, "ray_url is for ray=true"),
        ({"url": "10.0.0.1:8000"}, "is no address"),
        ({"concurrency": 0}, "concurrency = 0 must be more than 0"),
    ],
)
def test_arguments_that_are_wrong(args, said):
    with pytest.raises(UsageError, match=said):
        distilabel(model="m", **{"url": URL, **args})


def test_without_distilabel_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "distilabel" else find_spec(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'r1cli\[generate\]'"):
        distilabel(model="m", url=URL).__enter__()


# -- a real pipeline -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed():
    for name in ("distilabel", "datasets", "httpx"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'r1cli[generate]'")


@pytest.fixture
def serve(installed, tmp_path, monkeypatch):
    """`serve(seconds)` starts a server that takes as long for an answer; its process and URL."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    started = []

    def serve(seconds=0.01):
        process = subprocess.Popen(
            [sys.executable, str(SERVER), "0", str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process, f"url=http://127.0.0.1:{int(process.stdout.readline())}/v1"

    yield serve
    for process in started:
        process.kill()
        process.communicate()


def write(*prompts):
    """The rows; where a file of samples is there, the first of each prompt is what is right."""
    golds = {row["prompt"]: row["generation"].split()[-1] for row in read("all.jsonl", 0)}
    rows = [{"prompt": prompt, "solution": golds.get(prompt, "0")} for prompt in prompts]
    Path("p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(path, sample=None):
    """Rows without their addresses in the store, which tell the engines apart."""
    from r1cli.files import read_rows

    rows = []
    if path.endswith(".parquet"):
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
    elif Path(path).exists():
        rows = read_rows(Path(path))
    return [
        {name: value for name, value in row.items() if name != "attempt"}
        for row in rows
        if sample in (None, row["sample"])
    ]


def words(how, url, *more):
    """`r1 generate` by one or the other, each with a store of its own."""
    given = ("--model", "m", "--data", "p.jsonl", "--n", N, "--records", f"r-{how[-1]}")
    return ["generate", *how, *map(str, given), "--engine-arg", url, *map(str, more)]


OPENAI = ("--engine", "openai")
PIPELINE = ("--backend", "distilabel")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_it_writes_what_the_openai_engine_writes(serve, r1, suffix):
    _, url = serve()
    write(*(f"Case {n % 20}: the answer is" for n in range(ROWS)))
    assert r1(*words(OPENAI, url, "--out", "all.jsonl")).exit_code == 0
    write(*(f"Case {n % 20}: the answer is" for n in range(ROWS)))
    for keep in ("all", "correct"):
        judged = ("--reward", "accuracy", "--keep", keep, "--engine-arg", "concurrency=2")
        for how in (OPENAI, PIPELINE):
            done = r1(*words(how, url, "--out", f"{how[-1]}.{suffix}", *judged))
            assert done.exit_code == 0, done.stderr
        expected = read(f"openai.{suffix}")
        assert read(f"distilabel.{suffix}") == expected
        assert len(expected) >= (ROWS * N if keep == "all" else 20)
    lines = done.stderr.splitlines()
    assert all(line.startswith("generate: ") for line in lines[:-1]), done.stderr


@pytest.mark.slow
def test_replicas_share_the_work_and_a_refused_prompt_costs_no_other(serve, r1):
    _, url = serve()
    write(*(f"p{n}" for n in range(ROWS)), "odd")
    more = ("--engine-arg", "replicas=2", "--engine-arg", "concurrency=1", "--out", "d.jsonl")
    done = r1(*words(PIPELINE, url, *more))
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("this prompt is odd") == N
    assert f"{ROWS * N} samples drawn, 0 kept from before, {N} failed" in done.stderr
    assert {(row["prompt"], row["sample"]) for row in read("d.jsonl")} == {
        (f"p{n}", sample) for n in range(ROWS) for sample in range(N)
    }


@pytest.mark.slow
def test_a_server_that_is_not_there_is_known_before_a_pipeline_is_started(serve, r1):
    process, url = serve()
    process.kill()
    write("p")
    began = time.monotonic()
    done = r1(*words(PIPELINE, url, "--out", "d.jsonl"))
    # Mostly imports: an endpoint that is lost later is waited for, 600 s.
    assert (done.exit_code, time.monotonic() - began < 120) == (5, True)
    assert "ConnectError" in done.stderr.splitlines()[-1]


def stored():
    files = Path("r-distilabel/attempts").glob("*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in files)


@pytest.fixture
def temporary(monkeypatch):
    """The folder for temporary files of what is started: by it, what is left is found."""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, too long for sockets to lie in
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def running(temporary):
    """`running(...)`: a command in a process of its own, which has drawn some of the samples."""

    def running(url, *more):
        command = words(PIPELINE, url, "--out", "d.jsonl", "--engine-arg", "concurrency=2", *more)
        process = subprocess.Popen(
            [sys.executable, "-m", "r1cli", *command], stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 240
        while stored() < 5 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert 5 <= stored() < ROWS * N, process.communicate(timeout=60)
        return process

    return running


def left(folder):
    """What there is in the folder, and the processes that have it for temporary files."""
    mine = str(folder).encode()
    found = [path for path in Path("/proc").iterdir() if path.name.isdecimal() and _of(path, mine)]
    return [*folder.iterdir(), *found]


def _of(process, folder):
    try:
        return int(process.name) != os.getpid() and folder in (process / "environ").read_bytes()
    except OSError:  # it ended, or is another user's
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_leaves_no_process_and_the_next_run_draws_the_rest(
    serve, running, r1, temporary, how
):
    server, url = serve(0.6)
    write(*(f"p{n}" for n in range(ROWS)))
    process = running(url)
    process.send_signal(how)
    _, said = process.communicate(timeout=240)
    assert process.returncode == (130 if how == signal.SIGINT else -how) and "Traceback" not in said
    server.kill()
    server.wait()
    until = time.monotonic() + 120
    while left(temporary):
        assert time.monotonic() < until, left(temporary)
        time.sleep(0.2)
    kept = stored()
    _, url = serve()
    done = r1(*words(PIPELINE, url, "--out", "d.jsonl"))
    assert f"{ROWS * N - kept} samples drawn, {kept} kept from before" in done.stderr


@pytest.mark.slow
def test_a_server_that_dies_ends_it_with_all_kept(serve, running):
    server, url = serve(0.6)
    write(*(f"p{n}" for n in range(ROWS)))
    process = running(url, "--engine-arg", "patience=1", "--engine-arg", "tries=2")
    server.kill()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 5 and "Traceback" not in said
    assert "failed: " in said.splitlines()[-1] and stored() >= 5
    assert any(line.startswith("warning: endpoint") for line in said.splitlines())


@pytest.fixture(scope="module")
def cluster(installed):
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
def test_on_a_cluster_it_writes_the_same(serve, r1, cluster):
    _, url = serve()
    write(*(f"p{n}" for n in range(ROWS)))
    on = ("ray=true", f"ray_url={cluster.address}", "replicas=2", "concurrency=2")
    given = [word for one in on for word in ("--engine-arg", one)]
    for how, more in ((OPENAI, []), (PIPELINE, given)):
        done = r1(*words(how, url, "--out", f"{how[-1]}.jsonl", *more))
        assert done.exit_code == 0, done.stderr
    assert read("distilabel.jsonl") == read("openai.jsonl") != []
    logs = Path(cluster.head_node.get_session_dir_path()) / "logs"
    assert any("_StepWrapperRay" in path.read_text() for path in logs.glob("worker-*"))


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_line(serve, r1):
    pytest.importorskip("ray", reason="ray is not installed")
    _, url = serve()
    write("p")
    on = ("--engine-arg", "ray=true", "--engine-arg", "ray_url=127.0.0.1:1")
    done = r1(*words(PIPELINE, url, "--out", "d.jsonl", *on))
    assert done.exit_code == 5
    assert done.stderr.splitlines()[-1].startswith("error: no Ray cluster at 127.0.0.1:1: ")
