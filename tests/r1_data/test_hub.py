import json
import logging
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytest.importorskip("datasets", reason="reads with the datasets library")

import datasets
import huggingface_hub

import r1cli.hub
from r1_data.hub import hub
from r1cli import ProviderError, UsageError

COMMIT = "a" * 40
TOKEN = "hf_" + "x" * 34


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    """No answer, cache or setting from outside the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    r1cli.hub._problem.cache_clear()
    yield
    r1cli.hub._problem.cache_clear()


@pytest.fixture(params=["HF_HUB_OFFLINE", "HF_ENDPOINT"])
def offline(request, monkeypatch):
    value = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}[request.param]
    monkeypatch.setenv(request.param, value)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sums"
    folder.mkdir()
    for split, values in (("train", [1, 2, 3]), ("test", [4])):
        text = "".join(json.dumps({"a": value}) + "\n" for value in values)
        (folder / f"{split}.jsonl").write_text(text)
    return folder


@pytest.fixture
def cached(tmp_path, folder):
    """What `datasets` keeps of org/sums once it was read from the hub."""
    datasets.load_dataset(str(folder), cache_dir=tmp_path / "made")
    (made,) = (tmp_path / "made" / "sums" / "default" / "0.0.0").glob("*/dataset_info.json")
    kept = tmp_path / "cache" / "org___sums" / "default" / "0.0.0"
    kept.mkdir(parents=True)
    made.parent.rename(kept / COMMIT)


def test_a_local_folder_needs_no_hub(folder, offline):
    assert hub(id=str(folder))["a"][:] == [1, 2, 3]
    assert hub(id="sums", split="test")["a"][:] == [4]
    assert hub(id="./sums", split="train[:2]")["a"][:] == [1, 2]
    assert hub(id="sums", data_files="test.jsonl")["a"][:] == [4]


def test_a_folder_written_by_save_to_disk(folder, tmp_path):
    saved = datasets.load_dataset(str(folder))
    saved.save_to_disk(tmp_path / "several")
    saved["test"].save_to_disk(tmp_path / "one")
    assert hub(id="several", split="test")["a"][:] == [4]
    assert hub(id="one")["a"][:] == [4]
    with pytest.raises(UsageError, match="has no split 'val'; it has train, test"):
        hub(id="several", split="val")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"split": "val"}, r"Unknown split \"val\". Should be one of \['train', 'test'\]"),
        ({"config": "main"}, r"'main' not found. Available: \['default'\]"),
        ({"data_files": "val.jsonl"}, "Unable to find '.*val.jsonl'"),
    ],
)
def test_what_a_folder_does_not_have_is_named(folder, args, said):
    with pytest.raises(UsageError, match=said) as error:
        hub(id="sums", **args)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_paths_that_are_no_folder(folder, tmp_path):
    with pytest.raises(UsageError, match=r"no folder './nope' \(looked for "):
        hub(id="./nope")
    with pytest.raises(UsageError, match="is a file: use dataset file with path"):
        hub(id="sums/train.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="doesn't contain any data files"):
        hub(id="empty")
    (folder / "train.jsonl").write_text('{"a": \n')
    with pytest.raises(UsageError, match="'sums' cannot be loaded: JSON parse error"):
        hub(id="sums")


def test_offline_is_said_at_once(offline):
    started = time.perf_counter()
    with pytest.raises(ProviderError, match=r"openai/gsm8k is not on this machine and .* --data"):
        hub(id="openai/gsm8k", config="main", split="test")
    assert time.perf_counter() - started < 10


def test_offline_the_cached_copy_is_used_and_said(cached, offline, caplog):
    with caplog.at_level(logging.WARNING, logger="r1_data.hub"):
        assert hub(id="org/sums")["a"][:] == [1, 2, 3]
    assert COMMIT in caplog.text
    assert hub(id="org/sums", split="test", revision=COMMIT)["a"][:] == [4]
    with pytest.raises(ProviderError, match="is not on this machine"):
        hub(id="org/sums", revision="b" * 40)
    with pytest.raises(UsageError, match="Unknown split"):
        hub(id="org/sums", split="val")
    assert datasets.config.HF_HUB_OFFLINE is False


@contextmanager
def answering(status, code, monkeypatch):
    """A hub that answers every request with one error."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", endpoint)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "RepoNotFound", "Dataset 'org/nope' doesn't exist on the Hub"),
        (401, "GatedRepo", "Dataset 'org/nope' is a gated dataset"),
        (404, "RevisionNotFound", "Revision 'v2' doesn't exist for dataset 'org/nope'"),
    ],
)
def test_what_the_hub_does_not_give_is_one_line(status, code, said, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with (
        answering(status, code, monkeypatch),
        pytest.raises(ProviderError, match=f"{said}.*hf auth login") as error,
    ):
        hub(id="org/nope", revision="v2" if code == "RevisionNotFound" else None)
    assert "\n" not in str(error.value)
    assert TOKEN not in str(error.value) + caplog.text


def test_a_hub_that_fails_is_no_missing_folder(monkeypatch):
    def no_wait(seconds):
        """The hub's client waits between its tries."""

    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", no_wait)
    with (
        answering(503, "", monkeypatch),
        pytest.raises(ProviderError, match=r"the hub failed for dataset org/sums: .*503") as error,
    ):
        hub(id="org/sums")
    assert "\n" not in str(error.value)


def test_a_token_in_a_clients_message_is_not_repeated(monkeypatch):
    def load_dataset(*args, **kwargs):
        raise ConnectionError(f"Illegal header value b'Bearer {TOKEN} '")

    monkeypatch.setattr("r1_data.hub.ensure_reachable", lambda what, instead: None)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(ProviderError, match=r"Bearer hf_\*\*\*") as error:
        hub(id="org/sums")
    assert TOKEN not in str(error.value)
