"""What was generated, pushed to a hub on the loopback."""

import json

import loopback_hub
import pytest

pytest.importorskip("datasets", reason="prompts are rows of a datasets.Dataset")
pytest.importorskip("huggingface_hub", reason="the hub's own client pushes")

from r1cli.errors import ProviderError, UsageError
from r1cli.generation.publish import about, publish
from r1cli.generation.recipe import load
from r1cli.publishing.push import check_push

RECIPE = load(None, {"model": "a/m", "dataset.name": "a/d", "sampling.n": 4})


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", loopback_hub.TOKEN)
    with loopback_hub.Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_the_card_has_the_recipe_as_it_was_said():
    text = about(RECIPE)
    assert "Completions of a/m for the prompts of a/d, 4 per prompt, kept: all" in text
    recipe = text.partition("```yaml\n")[2].partition("```")[0]
    assert "model: a/m" in recipe and "n: 4" in recipe and "temperature" not in recipe


def test_the_rows_are_one_split_of_a_private_dataset(hub, tmp_path):
    out = tmp_path / "out.jsonl"
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    out.write_text("".join(json.dumps({"messages": turns, "n": n}) + "\n" for n in range(3)))
    row = publish(out, "ada/traces", RECIPE, private=True)
    assert row["state"] == "pushed" and row["place"] == "datasets/ada/traces@main"
    repo = hub.repo("ada/traces", "dataset")
    files = set(repo.find("main").files)
    assert "README.md" in files and any(name.startswith("data/train") for name in files)
    assert repo.private


def test_what_a_push_would_refuse_is_told_before_the_work(hub, monkeypatch):
    check_push("ada/traces", "dataset", private=True)
    check_push("traces", "dataset", private=True)
    assert not hub.repos  # nothing is made
    hub.create("ada/open", "dataset", private=False)
    check_push("ada/open", "dataset", private=False)
    with pytest.raises(UsageError, match="exists on the hub and is public; add --public"):
        check_push("open", "dataset", private=True)
    with pytest.raises(UsageError, match="'a/b/c' is no name for the hub"):
        check_push("a/b/c", "dataset", private=True)
    hub.tokens.clear()
    with pytest.raises(UsageError, match="refused the token"):
        check_push("ada/traces", "dataset", private=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ProviderError, match="HF_HUB_OFFLINE is set"):
        check_push("ada/traces", "dataset", private=True)


def test_generate_asks_before_it_samples(tmp_path, r1, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n')
    asked = ("generate", "--model=a/m", "--data=in.jsonl", "--out=o.jsonl", "--push=ada/traces")
    done = r1(*asked)
    assert done.exit_code == 5
    assert done.stderr.splitlines() == ["error: HF_HUB_OFFLINE is set"]
    assert not (tmp_path / "o.jsonl").exists() and not (tmp_path / "runs").exists()


def test_a_push_that_fails_names_the_command_for_later(hub, tmp_path):
    out = tmp_path / "my out.jsonl"
    out.write_text('{"n": 1}\n')
    hub.refuse.append(("POST .*/commit/", 403, 9))
    with pytest.raises(UsageError) as failed:
        publish(out, "ada/traces", RECIPE, private=False)
    assert "may not write to ada/traces" in str(failed.value)
    assert str(failed.value).endswith(f"r1 data push '{out}' ada/traces --public")


def test_which_machine_served_the_model_stays_out_of_the_card():
    url = "http://node7.lab.example:8000/v1"
    recipe = load(
        None,
        {
            "model": "a/m",
            "dataset.name": "a/d",
            "engine.name": "openai",
            "engine.args.url": url,
            "engine.args.concurrency": 8,
        },
    )
    text = about(recipe)
    assert "node7" not in text and "http://***/v1" in text and "concurrency: 8" in text
    assert recipe.engine.args["url"] == url


def test_a_card_that_somebody_wrote_stays(hub, tmp_path, caplog):
    out = tmp_path / "out.jsonl"
    out.write_text('{"n": 1}\n')
    publish(out, "ada/traces", RECIPE, private=True)
    publish(out, "ada/traces", RECIPE, private=True)
    assert "README" not in caplog.text
    repo = hub.repo("ada/traces", "dataset")
    own = b"---\nlicense: mit\n---\nMine.\n"
    repo.add("main", "by hand", {**repo.find("main").files, "README.md": hub.store(own)})
    publish(out, "ada/traces", RECIPE, private=True)
    assert hub.read("ada/traces", "README.md", kind="dataset") == own
    assert "keeps its own README.md" in caplog.text
    assert any(name.startswith("data/train") for name in repo.find("main").files)
