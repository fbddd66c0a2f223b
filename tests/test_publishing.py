"""`r1 push` with the real huggingface_hub against a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import loopback_hub
import pytest

from r1cli import recipe_file, source
from r1cli.publishing.card import clean
from r1cli.run import RESOLVED, Run

pytest.importorskip("huggingface_hub")
TOKEN = loopback_hub.TOKEN

SCORE = {
    "benchmark": "chain_sums",
    "label": "pass@1",
    "spec": "ab12cd34",
    "problems": 50,
    "samples": 200,
    "mean": 0.625,
    "low": 0.5,
    "high": 0.74,
    "tokens": 12.5,
    "truncated": 0.01,
    "not_applicable": 0,
    "failed": 0,
    "measures": {},
    "seconds": 3.0,
}


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """No account of whoever runs the tests."""
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def hub(monkeypatch):
    with loopback_hub.Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def made(directory: Path, *, model: str = "Qwen/Qwen2.5-0.5B", weights: bytes = b"w" * 9000) -> Run:
    """A finished run of `tiny/grpo`, as training leaves it."""
    recipe = recipe_file.load("tiny/grpo", [f"model.name={model}", "model.args={}"])
    for folder in ("model", "checkpoints/checkpoint-2", "checkpoints/checkpoint-4"):
        place = directory / folder
        place.mkdir(parents=True)
        (place / "config.json").write_text('{"model_type": "llama"}')
        (place / "model.safetensors").write_bytes(weights + folder.encode())
        (place / "training_args.bin").write_bytes(b"a pickle")
    for step in (2, 4):
        place = directory / f"checkpoints/checkpoint-{step}"
        (place / "optimizer.pt").write_bytes(b"o" * 9000)
        (place / "trainer_state.json").write_text("{}")
    (directory / "checkpoints/checkpoint-6").mkdir()  # killed while it was written
    (directory / "model/README.md").write_text("what the trainer wrote")
    (directory / RESOLVED).write_text(source.dump(recipe.model_dump(mode="json")))
    run = Run(directory, recipe)
    run.record(
        argv=["train", "grpo", "--recipe", "tiny/grpo"],
        versions={"trl": "1.16.0"},
        dataset={"rows": 4000, "fingerprint": "caf57d27"},
        status="finished",
        scores=[SCORE],
        host="my-laptop",
    )
    run.log_metrics({"step": 4, "reward": 0.75})
    return run


@pytest.fixture
def run(tmp_path):
    return made(tmp_path / "runs" / "tiny")


def rows(answer):
    assert answer.exit_code == 0, answer.stderr
    return {row["what"]: row for row in json.loads(answer.stdout)}


def ledger(run):
    return json.loads((run.directory / "push.json").read_text())


def test_the_model_goes_to_a_private_repository_with_its_card(r1, hub, run):
    from huggingface_hub import ModelCard

    found = rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--json"))
    repo = hub.repo("ada/tiny")
    assert repo.private
    assert found["model"]["commit"] == repo.branches["main"]
    assert ledger(run)["pieces"]["models/ada/tiny@main"]["commit"] == repo.branches["main"]
    assert repo.find("main").files.keys() == {
        ".gitattributes",
        *("README.md", "config.json", "model.safetensors", RESOLVED),
    }
    weights = (run.model / "model.safetensors").read_bytes()
    assert hub.read("ada/tiny", "model.safetensors") == weights
    text = hub.read("ada/tiny", "README.md").decode()
    card = ModelCard(text)
    assert card.data.base_model == "Qwen/Qwen2.5-0.5B"
    [result] = card.data.eval_results
    assert (result.dataset_name, result.metric_value) == ("chain_sums", 62.5)
    assert "50.0 to 74.0" in result.metric_name
    for fact in ("reward 0.75", "trl 1.16.0", "`caf57d27`", "weight", "62.5 | 50.0 to 74.0"):
        assert fact in text, fact
    assert "my-laptop" not in text


def test_asked_again_nothing_is_sent(r1, hub, run):
    first = rows(r1("push", "runs/tiny", "--repo", "tiny", "--checkpoints", "--json"))
    assert first["model"]["place"] == "ada/tiny@main"
    hub.requests.clear()
    again = rows(r1("push", "runs/tiny", "--checkpoints", "--json"))
    assert {row["state"] for row in again.values()} == {"as before"}
    assert [row["commit"] for row in again.values()] == [row["commit"] for row in first.values()]
    assert hub.asked("commit/|/lfs/|preupload|branch/") == []


def test_a_later_score_sends_the_card_alone(r1, hub, run):
    r1("push", "runs/tiny", "--repo", "ada/tiny")
    before = hub.repo("ada/tiny").find("main")
    hub.requests.clear()
    run.record(scores=[{**SCORE, "mean": 0.7}])
    assert rows(r1("push", "runs/tiny", "--json"))["model"]["state"] == "pushed"
    after = hub.repo("ada/tiny").find("main")
    assert after.parent == before.id
    changed = {path for path in after.files if after.files[path] != before.files.get(path)}
    assert changed == {"README.md"}
    assert hub.asked("^PUT") == []


def test_what_the_hub_lost_is_pushed_anew(r1, hub, run):
    r1("push", "runs/tiny", "--repo", "ada/tiny")
    hub.repos.clear()
    assert rows(r1("push", "runs/tiny", "--json"))["model"]["state"] == "pushed"
    assert "model.safetensors" in hub.repo("ada/tiny").find("main").files


def test_checkpoints_are_branches_without_what_only_resuming_needs(r1, hub, run):
    found = rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--checkpoints", "--json"))
    repo = hub.repo("ada/tiny")
    assert list(found) == ["model", "step-2", "step-4"]
    assert repo.branches.keys() == {"main", "step-2", "step-4"}
    files = repo.find("step-2").files
    assert {"model.safetensors", "trainer_state.json", "README.md"} <= files.keys()
    assert not {"optimizer.pt", "training_args.bin", RESOLVED} & files.keys()
    weights = (run.checkpoints / "checkpoint-2/model.safetensors").read_bytes()
    assert hub.read("ada/tiny", "model.safetensors", "step-2") == weights
    card = hub.read("ada/tiny", "README.md", "step-2").decode()
    assert "checkpoint at step 2" in card and "model-index" not in card


def test_a_run_under_way_pushes_the_checkpoints_it_has(r1, hub, run):
    shutil.rmtree(run.model)
    run.record(status="running", scores=[])
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny", "--checkpoints", "--json")
    assert rows(answer).keys() == {"step-2", "step-4"}
    assert "has no final model yet" in answer.stderr
    assert hub.repo("ada/tiny").private


def test_a_revision_of_its_own(r1, hub, run):
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--revision", "seed-1", "--json"))
    repo = hub.repo("ada/tiny")
    assert "model.safetensors" in repo.find("seed-1").files
    assert "model.safetensors" not in repo.find("main").files


@pytest.fixture
def adapter(run, tmp_path, monkeypatch):
    """The run with an adapter as its policy, on a base in the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    base = tmp_path / "home" / "base"
    base.mkdir(parents=True)
    (run.model / "model.safetensors").unlink()
    (run.model / "config.json").unlink()
    settings = {"base_model_name_or_path": str(base), "peft_type": "LORA", "r": 4}
    (run.model / "adapter_config.json").write_text(json.dumps(settings))
    (run.model / "adapter_model.safetensors").write_bytes(b"a" * 5000)
    (run.model / "tokenizer.json").write_text("{}")
    return settings


def test_an_adapter(r1, hub, run, adapter):
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny", "--json")
    assert rows(answer).keys() == {"adapter"}
    assert "the adapter's base is the folder" in answer.stderr
    assert "r1 model merge runs/tiny --out DIR" in answer.stderr
    files = hub.repo("ada/tiny").find("main").files.keys()
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= files
    assert b"library_name: peft" in hub.read("ada/tiny", "README.md")
    pushed = json.loads(hub.read("ada/tiny", "adapter_config.json"))
    assert pushed == {**adapter, "base_model_name_or_path": "~/base"}


def test_an_adapter_on_an_edited_base_says_what_others_miss(r1, hub, run, adapter):
    settings = {**adapter, "base_model_name_or_path": "Qwen/Qwen2.5-Math-7B"}
    (run.model / "adapter_config.json").write_text(json.dumps(settings))
    assert "edited" not in r1("push", "runs/tiny", "--repo", "ada/tiny").stderr
    (run.model / "config.json").write_text('{"model_type": "qwen2"}')
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny")
    assert "others load the base as it was" in answer.stderr


def test_rollouts_are_a_dataset_that_datasets_reads(r1, hub, run, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    answer = r1("push", "runs/tiny", "--repo", "ada/tiny", "--rollouts")
    assert answer.exit_code == 2 and "holds no rollouts" in answer.stderr
    (run.directory / "rollouts").mkdir()
    for step in (1, 2):
        table = pa.table({"step": [step] * 3, "completion": ["a", "b", "c"]})
        pq.write_table(table, run.directory / "rollouts" / f"step_{step:06d}.parquet")
    assert rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--rollouts", "--json")).keys() == {
        *("model", "rollouts")
    }
    assert hub.repo("ada/tiny-rollouts", "dataset").private
    assert b"(/ada/tiny)" in hub.read("ada/tiny-rollouts", "README.md", kind="dataset")
    place = snapshot_download(
        "ada/tiny-rollouts", repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path / "hf"
    )
    read = load_dataset(place, cache_dir=str(tmp_path / "ds"))["train"]
    assert sorted(read["step"]) == [1, 1, 1, 2, 2, 2]


def test_many_rollouts_go_in_several_commits(r1, hub, run, monkeypatch):
    from r1cli.publishing import push

    monkeypatch.setattr(push, "FILES", 2)
    (run.directory / "rollouts").mkdir()
    for step in range(5):
        (run.directory / "rollouts" / f"step_{step:06d}.parquet").write_bytes(b"%d" % step)
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--rollouts", "--json"))
    repo = hub.repo("ada/tiny-rollouts", "dataset")
    assert len(repo.history("main")) == 1 + 3
    assert len(repo.find("main").files) == 1 + 5 + 1


def test_benchmark_samples(r1, hub, run):
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny", "--eval")
    assert answer.exit_code == 2 and "holds no evaluation" in answer.stderr
    (run.directory / "eval").mkdir()
    (run.directory / "eval/chain_sums-ab-cd.jsonl").write_text('{"a": 1}\n')
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--eval", "--json"))
    assert hub.read("ada/tiny", "eval/chain_sums-ab-cd.jsonl") == b'{"a": 1}\n'


def test_pushed_weights_load_with_transformers(r1, hub, run, tmp_path):
    torch = pytest.importorskip("torch")
    from huggingface_hub import snapshot_download
    from transformers import AutoModelForCausalLM, LlamaConfig

    sizes = {"hidden_size": 16, "intermediate_size": 32, "vocab_size": 64}
    config = LlamaConfig(**sizes, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(run.model)
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--json"))
    place = snapshot_download("ada/tiny", endpoint=hub.url, cache_dir=tmp_path / "hf")
    loaded = AutoModelForCausalLM.from_pretrained(place)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_a_pipeline_pushes_its_last_stage_with_the_base_of_its_first(r1, hub, tmp_path):
    first = made(tmp_path / "runs/whole/1-sft")
    made(tmp_path / "runs/whole/2-grpo", model=str(first.model), weights=b"v" * 9000)
    stages = {"name": "whole", "stages": ["1-sft", "2-grpo"]}
    (tmp_path / "runs/whole/pipeline.json").write_text(json.dumps(stages))
    rows(r1("push", "runs/whole", "--repo", "ada/whole", "--json"))
    assert hub.read("ada/whole", "model.safetensors").startswith(b"v")
    assert b"base_model: Qwen/Qwen2.5-0.5B" in hub.read("ada/whole", "README.md")


def test_a_dry_run_asks_nobody(r1, hub, run):
    found = rows(r1("push", "runs/tiny", "--checkpoints", "--dry-run", "--json"))
    assert [row["state"] for row in found.values()] == ["to push"] * 3
    assert found["model"]["place"] == "tiny-grpo@main"
    assert hub.requests == []
    assert not (run.directory / "push.json").exists()


def test_through_xet_what_the_store_has_is_not_stored_twice(r1, run, tmp_path, monkeypatch):
    pytest.importorskip("hf_xet")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "xet-cache"))
    store, weights = tmp_path / "xet", os.urandom(2**20)
    store.mkdir()
    for place in (run.model, run.checkpoints / "checkpoint-2", run.checkpoints / "checkpoint-4"):
        (place / "model.safetensors").write_bytes(weights + str(place).encode())
    with loopback_hub.Hub(store) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--checkpoints", "--json"))
        assert hub.repo("ada/tiny").branches.keys() == {"main", "step-2", "step-4"}
        assert hub.asked("xet-write-token") and not hub.asked("^PUT")
    stored = sum(path.stat().st_size for path in store.rglob("xorbs/default.*"))
    assert 2**20 < stored < 1.5 * 2**20


# -- what goes wrong -------------------------------------------------------------------------------


def one_line(answer, code, *parts):
    assert answer.exit_code == code, answer.stderr
    assert answer.stdout == "" and TOKEN not in answer.stderr
    [line] = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    for part in parts:
        assert part in line, line
    return line


def test_without_a_network_the_run_stays_finished_and_says_what_is_left(r1, run, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny", "--checkpoints", "--public")
    left = "left to push: model, step-2, step-4; then run: "
    command = "r1 push runs/tiny --repo ada/tiny --public --checkpoints"
    one_line(answer, 5, "the hub 127.0.0.1 cannot be reached", left + command)
    assert run.finished
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    one_line(r1("push", "runs/tiny"), 5, "HF_HUB_OFFLINE is set")


def test_after_training_a_failed_push_is_a_warning(r1, hub, run, caplog, monkeypatch):
    from r1cli.publishing.pending import push_finished
    from r1cli.publishing.pieces import Wanted

    hub.tokens.clear()
    push_finished(run, Wanted("ada/tiny"))
    assert "is finished, but the hub refused the token" in caplog.text
    assert f"left to push: model; then run: r1 push {run.directory} --repo ada/tiny" in caplog.text
    monkeypatch.setattr("r1cli.publishing.push.push", lambda *_: 1 / 0)
    push_finished(run, Wanted("ada/tiny"))
    assert "the push stopped with ZeroDivisionError; try again: r1 push" in caplog.text
    assert TOKEN not in caplog.text
    monkeypatch.undo()


def test_after_training_a_push(hub, run):
    from r1cli.publishing.pending import push_finished
    from r1cli.publishing.pieces import Wanted

    push_finished(run, Wanted("ada/tiny"))
    assert "model.safetensors" in hub.repo("ada/tiny").find("main").files


def test_no_token(r1, hub, run, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    one_line(r1("push", "runs/tiny", "--repo", "ada/tiny"), 2, "no token for the hub", "hf auth")
    assert hub.requests == []


@pytest.mark.parametrize("repo", ["ada/tiny", "tiny"])
def test_an_expired_token_is_not_printed(r1, hub, run, repo):
    hub.tokens.clear()
    one_line(r1("push", "runs/tiny", "--repo", repo), 2, "refused the token", "hf auth login")


def test_a_token_that_a_message_holds_is_blotted_out(r1, hub, run, monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.HfApi.create_repo",
        lambda *args, **options: (_ for _ in ()).throw(ValueError(f"bad header {TOKEN}\nline 2")),
    )
    one_line(r1("push", "runs/tiny", "--repo", "ada/tiny"), 5, "bad header *** line 2")


def test_a_name_of_somebody_else(r1, hub, run):
    one_line(r1("push", "runs/tiny", "--repo", "bob/tiny"), 2, "may not write to bob/tiny")


def test_a_name_the_hub_does_not_take(r1, hub, run):
    one_line(r1("push", "runs/tiny", "--repo", "ada/a b"), 2, "ada/a b", "no name for the hub")


def test_a_private_run_does_not_go_to_a_public_repository(r1, hub, run):
    hub.create("ada/tiny", private=False)
    one_line(r1("push", "runs/tiny", "--repo", "ada/tiny"), 2, "is public; add --public")
    assert len(hub.repo("ada/tiny").commits) == 1
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--public", "--json"))
    assert not hub.repo("ada/tiny").private


def test_public_is_said_for_one_repository(r1, hub, run):
    rows(r1("push", "runs/tiny", "--repo", "ada/shown", "--public", "--json"))
    rows(r1("push", "runs/tiny", "--json"))
    rows(r1("push", "runs/tiny", "--repo", "ada/kept", "--json"))
    assert not hub.repo("ada/shown").private
    assert hub.repo("ada/kept").private
    answer = r1("push", "runs/tiny", "--repo", "ada/kept", "--public")
    assert hub.repo("ada/kept").private and "stays private" in answer.stderr


def test_other_content_stays_in_the_history_and_its_weights_do_not_win(r1, hub, run):
    repo = hub.create("ada/tiny")
    old = {name: hub.store(b"old") for name in ("notes.md", "README.md", "adapter_model.bin")}
    before = repo.add("main", "theirs", {**repo.find("main").files, **old})
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny", "--json")
    assert rows(answer)["model"]["state"] == "pushed"
    assert f"keeps 2 other files, from commit {before.id[:8]}" in answer.stderr
    after = repo.find("main")
    assert after.parent == before.id and after.files["notes.md"] == before.files["notes.md"]
    assert "adapter_model.bin" not in after.files
    assert hub.read("ada/tiny", "README.md", before.id) == b"old"


@pytest.fixture
def no_waiting(monkeypatch):
    """The client waits for seconds between its tries."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)


def shards(run, count=3, size=3 * 2**18):
    (run.model / "model.safetensors").unlink()
    for number in range(count):
        (run.model / f"model-{number}.safetensors").write_bytes(bytes([number]) * size)


def sent(hub):
    """Parts sent of each object."""
    found: dict[str, int] = {}
    for _, path in hub.asked("^PUT"):
        found[path.split("/")[2]] = found.get(path.split("/")[2], 0) + 1
    return found


def test_an_upload_cut_off_midway_goes_on(r1, hub, run, no_waiting, monkeypatch):
    from r1cli.publishing import push

    monkeypatch.setattr(push, "BIG", 2**18)
    shards(run)

    last = hashlib.sha256((run.model / "model-1.safetensors").read_bytes()).hexdigest()
    hub.cut = rf"PUT /lfs/{last}/2"
    answer = r1("push", "runs/tiny", "--repo", "ada/tiny")
    one_line(answer, 5, "the upload to ada/tiny broke off", "left to push: model")
    kept = set(hub.blobs)
    assert len(sent(hub)) == 2 and last not in kept
    hub.cut = None
    hub.requests.clear()
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--json"))
    assert last in sent(hub) and not sent(hub).keys() & kept
    for number in range(3):
        name = f"model-{number}.safetensors"
        assert hub.read("ada/tiny", name) == (run.model / name).read_bytes()


def test_a_push_that_is_killed_goes_on(r1, hub, run, tmp_path):
    shards(run, count=4)
    hub.slow = 0.3
    command = [sys.executable, "-m", "r1cli", "push", str(run.directory), "--repo", "ada/tiny"]
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while len(sent(hub)) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(hub.repo("ada/tiny").commits) == 1, "nothing half there"
    hub.slow = 0
    assert rows(r1("push", "runs/tiny", "--json"))["model"]["place"] == "ada/tiny@main"
    for number in range(4):
        name = f"model-{number}.safetensors"
        assert hub.read("ada/tiny", name) == (run.model / name).read_bytes()


@pytest.mark.slow
def test_through_xet_a_killed_push_goes_on_within_a_file(hub, run, tmp_path):
    pytest.importorskip("hf_xet")
    hub.xet = tmp_path / "xet"
    hub.xet.mkdir()
    weights = run.model / "model.safetensors"
    weights.write_bytes(os.urandom(5 * 2**26))
    command = [sys.executable, "-m", "r1cli", "push", str(run.directory), "--repo", "ada/tiny"]
    environment = {
        **{key: value for key, value in os.environ.items() if key != "HF_HUB_DISABLE_XET"},
        "HF_HOME": str(tmp_path / "hf"),
        # How often the client notes what it has sent; seconds by default, more than this takes.
        "HF_XET_SESSION_XORB_METADATA_FLUSH_INTERVAL": "50ms",
        "HF_XET_SESSION_XORB_METADATA_FLUSH_MAX_COUNT": "1",
    }

    def stored():
        found = (path for path in hub.xet.rglob("xorbs/default.*") if path.suffix != ".tagset")
        return {path: path.stat().st_mtime_ns for path in found if path.exists()}

    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while len(stored()) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = stored()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = stored()
    assert any(after[path] == time for path, time in before.items()), "all was sent again"
    assert hub.repo("ada/tiny").find("main").files["model.safetensors"][1] == 5 * 2**26


def test_a_hub_that_fails_for_a_moment_is_asked_again(r1, hub, run, no_waiting):
    hub.refuse.append(("preupload", 503, 2))
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--json"))


def test_a_hub_that_fails_for_long(r1, hub, run, no_waiting):
    hub.refuse.append(("branch/step-4", 500, 99))
    command = ("push", "runs/tiny", "--repo", "ada/tiny", "--checkpoints")
    one_line(r1(*command), 5, "the hub failed for ada/tiny", "left to push: step-4; then run")
    hub.refuse.clear()
    hub.requests.clear()
    found = rows(r1(*command, "--json"))
    assert [row["state"] for row in found.values()] == ["as before", "as before", "pushed"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("R1_ROUTER_API_KEY=abc r1 serve", "R1_ROUTER_API_KEY=*** r1 serve"),
        ("AWS_SECRET_ACCESS_KEY: 'a b'", "AWS_SECRET_ACCESS_KEY: ***"),
        ("github_pat_11ABCDEFG0123456789", "github_pat_***"),
        ("e2b_0123456789abcdef0123", "e2b_***"),
        ("e2b_code_interpreter_x", "e2b_code_interpreter_x"),
        ("api_key_env: MY_KEY", "api_key_env: MY_KEY"),
        ("eos_token: <|im_end|>", "eos_token: <|im_end|>"),
    ],
)
def test_keys_are_known_by_their_names_and_their_beginnings(text, cleaned):
    assert clean(text) == cleaned


def test_homes_and_tokens_stay_out_of_cards(r1, hub, run, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    run.record(argv=["train", "--data", "/home/ada/d.jsonl", "--key", "hf_abcdefghijklmnopqrst"])
    recipe = run.directory / RESOLVED
    args = (
        "{api_key: abc1, url: 'https://ada:pw1@judge.example/v1', api_key_env: KEY, max_tokens: 9}"
    )
    first = "rewards:\n- name: judge\n  weight: 1.0\n  args: "
    recipe.write_text(recipe.read_text().replace("rewards:\n", f"{first}{args}\n", 1))
    rows(r1("push", "runs/tiny", "--repo", "ada/tiny", "--json"))
    card = hub.read("ada/tiny", "README.md").decode()
    assert "--data ~/d.jsonl --key hf_***`" in card
    for text in (card, hub.read("ada/tiny", RESOLVED).decode()):
        assert "abc1" not in text and "pw1" not in text
        assert "https://judge.example/v1" in text and "api_key_env: KEY" in text
        assert "max_tokens: 9" in text


def test_what_is_no_finished_run(r1, hub, run):
    one_line_without_left(r1("push", "runs"), "runs is no run directory")
    shutil.rmtree(run.model)
    run.record(status="running")
    one_line_without_left(r1("push", "runs/tiny"), "no final model yet, its status is: running")
    for torn in ("{", "[1]"):
        (run.directory / "push.json").write_text(torn)
        one_line_without_left(r1("push", "runs/tiny"), "push.json cannot be read")


def one_line_without_left(answer, part):
    assert "left to push" not in one_line(answer, 2, part)
