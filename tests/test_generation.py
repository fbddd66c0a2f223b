from dataclasses import replace

import pytest

pytest.importorskip("datasets", reason="prompts are rows of a datasets.Dataset")

from r1cli import sampling
from r1cli.errors import ProviderError, UsageError
from r1cli.files import read_rows
from r1cli.generation import Generation
from r1cli.plugins import builtin_plugins
from r1cli.registry import Entry
from r1cli.types import Completion, Sampling

SETTINGS = {
    "prompt_column": "prompt",
    "system_prompt": None,
    "sampling": Sampling(temperature=0.6, n=2),
    "model": "m",
    "limit": None,
}
ROWS = [{"prompt": f"p{n}", "solution": str(n)} for n in range(5)]


class Engine:
    """Answers with the prompt, the seed and the sample's number."""

    asked, left, model = [], None, None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def generate(self, prompts, sampling):
        if Engine.left == 0:
            raise ProviderError("the engine died")
        Engine.left = None if Engine.left is None else Engine.left - 1
        texts = [p if isinstance(p, str) else p[-1]["content"] for p in prompts]
        Engine.asked += texts
        n = 1 if sampling.temperature == 0 else sampling.n
        return [
            [
                Completion(
                    f"{text} {sampling.seed} {s}", prefill="<think>", tokens=3, truncated=bool(s)
                )
                for s in range(n)
            ]
            for text in texts
        ]


def fake(*, model):
    Engine.model = model
    return Engine()


@pytest.fixture
def plugins(monkeypatch):
    monkeypatch.setattr(sampling, "BATCH", 2)
    monkeypatch.setattr(Engine, "asked", [])
    monkeypatch.setattr(Engine, "left", None)
    plugins = builtin_plugins()
    plugins["datasets"].add(Entry("datasets", "some", lambda: ROWS, "", "test", False))
    plugins["engines"].add(Entry("engines", "fake", fake, "", "test", False))
    return plugins


@pytest.fixture
def generate(plugins, tmp_path):
    def generate(dataset="some", out="out.jsonl", **changes):
        generation = Generation(dataset, {}, plugins, **{**SETTINGS, **changes})
        return generation.run("fake", tmp_path / out, lambda done, total: None)

    return generate


def test_every_completion_is_a_row(generate, tmp_path):
    assert generate() == (5, 0)
    rows = read_rows(tmp_path / "out.jsonl")
    assert len(rows) == 10 and Engine.model == "m"
    one = rows[7]
    assert one["prompt"] == [{"role": "user", "content": "p3"}] and one["solution"] == "3"
    assert one["completion"] == "<think>p3 1 1" and one["sample"] == 1
    assert (one["tokens"], one["finish_reason"], one["model"]) == (3, "length", "m")
    assert rows[6]["finish_reason"] == "stop"


def test_the_system_prompt_comes_first(generate, tmp_path):
    generate(system_prompt="Think.")
    prompt = read_rows(tmp_path / "out.jsonl")[0]["prompt"]
    assert [message["role"] for message in prompt] == ["system", "user"]


def test_a_limit_takes_the_first_and_more_can_follow(generate, tmp_path):
    assert generate(limit=2) == (2, 0)
    assert Engine.asked == ["p0", "p1"]
    assert generate() == (3, 2)
    assert generate() == (0, 5)
    assert [row["solution"] for row in read_rows(tmp_path / "out.jsonl")[::2]] == list("01234")


def test_after_a_stop_the_file_ends_as_if_nothing_had_happened(generate, tmp_path):
    generate(out="whole.jsonl")
    Engine.left = 1
    with pytest.raises(ProviderError, match="died"):
        generate()
    path = tmp_path / "out.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:40])  # killed inside the second prompt
    Engine.left = None
    assert generate() == (4, 1)
    assert read_rows(path) == read_rows(tmp_path / "whole.jsonl")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"system_prompt": "Think."},
        {"sampling": Sampling(temperature=0.6, n=3)},
        {"sampling": Sampling(temperature=0.7, n=2)},
        {"sampling": Sampling(temperature=0.6, n=2, seed=1)},
    ],
)
def test_a_file_made_with_other_settings_is_refused(generate, tmp_path, change):
    generate()
    before = (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(UsageError, match="another model or other settings; choose another --out"):
        generate(**change)
    assert (tmp_path / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize("text", ['{"a": 1}\n', "Dear diary,\n"])
def test_a_file_of_something_else_is_left_alone(generate, tmp_path, text):
    (tmp_path / "out.jsonl").write_text(text)
    with pytest.raises(UsageError, match=r"out\.jsonl holds .*; choose another --out"):
        generate()
    assert (tmp_path / "out.jsonl").read_text() == text


def test_greedy_is_one_completion_and_is_done_with_it(generate):
    greedy = replace(SETTINGS["sampling"], temperature=0.0)
    assert generate(sampling=greedy) == (5, 0)
    assert generate(sampling=greedy) == (0, 5)


def test_a_prompt_that_stands_there_twice_is_sampled_twice(generate, plugins, tmp_path):
    twice = [ROWS[0], ROWS[1], ROWS[0]]
    plugins["datasets"].add(Entry("datasets", "twice", lambda: twice, "", "test", False))
    assert generate("twice", limit=2) == (2, 0)
    assert generate("twice") == (1, 2)
    assert generate("twice") == (0, 3)
    solutions = [row["solution"] for row in read_rows(tmp_path / "out.jsonl")]
    assert solutions == ["0", "0", "1", "1", "0", "0"]


def test_a_conversation_is_sent_as_it_is(generate, plugins, tmp_path):
    talk = [{"prompt": [{"role": "user", "content": "a"}]}]
    plugins["datasets"].add(Entry("datasets", "talk", lambda: talk, "", "test", False))
    generate("talk", system_prompt="left out")
    assert read_rows(tmp_path / "out.jsonl")[0]["prompt"] == talk[0]["prompt"]


def test_a_column_that_is_not_there(generate):
    with pytest.raises(UsageError, match=r"no column 'promt' .*'prompt'\?; choose with --prompt-c"):
        generate(prompt_column="promt")


def test_an_engine_that_is_not_there(plugins, tmp_path):
    generation = Generation("some", {}, plugins, **SETTINGS)
    with pytest.raises(UsageError, match="no engine 'fak' at --engine; did you mean 'fake'"):
        generation.run("fak", tmp_path / "out", lambda done, total: None)
    assert not (tmp_path / "out").exists()


def test_the_command_line(r1, plugins, monkeypatch, tmp_path):
    monkeypatch.setattr("r1cli.plugins.load_plugins", lambda: plugins)
    given = ("generate", "--model=m", "--dataset=some", "--engine=fake", "--out", "o/x.jsonl")
    done = r1(*given, "--limit", 3)
    assert done.exit_code == 0
    assert done.stderr.splitlines()[-1] == "3 prompts sampled, 0 kept from before: o/x.jsonl"
    assert r1(*given).stderr.splitlines()[-1].startswith("2 prompts sampled, 3 kept")
    refused = r1(*given, "--temperature", 0.1)
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    folder = r1(*given[:-1], tmp_path)
    assert (folder.exit_code, len(folder.stderr.splitlines())) == (2, 1), folder.stderr
