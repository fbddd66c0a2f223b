"""Generation with an engine of our own: what is asked, kept, scored and written."""

import datetime
import json
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="prompts are rows of a datasets.Dataset")

from r1cli.endpoint import Refused
from r1cli.errors import ProviderError, R1Error, UsageError
from r1cli.files import read_rows
from r1cli.generation.job import Job
from r1cli.generation.recipe import load
from r1cli.plugins import builtin_plugins
from r1cli.problem import problem_hash
from r1cli.records import Store, matching
from r1cli.records.sweep import sweep
from r1cli.registry import Entry
from r1cli.types import Completion, Drawn

ROWS = [{"prompt": f"p{n}", "solution": str(n % 2), "uuid": f"u{n}"} for n in range(5)]


class Engine:
    """Answers with the prompt and the draw's seed; `fails` says for which draws it cannot."""

    def __init__(self):
        self.asked, self.left, self.fails, self.seeds = [], None, lambda text: None, []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def stream(self, draws, sampling):
        for position, draw in enumerate(draws):
            if self.left == 0:
                raise ProviderError("the engine died")
            self.left = None if self.left is None else self.left - 1
            text = draw.prompt[-1]["content"]
            self.asked.append(text)
            self.seeds.append(draw.seed)
            error = self.fails(text)
            if error:
                yield [Drawn(position, error=error)]
                continue
            answer = Completion(f"{text} {draw.seed}", prefill="<think>", tokens=3)
            yield [Drawn(position, answer, seconds=0.5)]


class Batches:
    """An engine that cannot stream."""

    def __init__(self):
        self.seeds = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def generate(self, prompts, sampling):
        self.seeds.append(sampling.seed)
        assert sampling.n == 1
        return [[Completion(f"{p[-1]['content']} {sampling.seed}")] for p in prompts]


async def even(completions, solution):  # async: an event loop starts sooner than workers
    """Right where the seed is even; nothing to say without a gold answer."""
    pairs = zip(completions, solution, strict=True)
    return [float(int(c.split()[-1]) % 2 == 0) if gold else None for c, gold in pairs]


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def plugins(engine):
    plugins = builtin_plugins()
    plugins["datasets"].add(Entry("datasets", "some", lambda: ROWS, "", "test", False))
    plugins["engines"].add(Entry("engines", "fake", lambda *, model: engine, "", "test", False))
    plugins["rewards"].add(Entry("rewards", "even", even, "", "test", False))
    return plugins


@pytest.fixture
def generate(plugins, tmp_path):
    def generate(out="out.jsonl", shard=(0, 1), **options):
        given = {"model": "m", "dataset.name": "some", "engine.name": "fake", "sampling.n": 2}
        recipe = load(None, {**given, **options})
        job = Job(recipe, plugins, shard=shard)
        path = tmp_path / out if out else None
        tally = job.run(path, tmp_path / "records", lambda done, total, note: None)
        return tally, read_rows(path) if path else []

    return generate


def test_every_sample_is_a_row_to_train_on(generate):
    tally, rows = generate()
    assert (tally.sampled, tally.kept, tally.rows) == (10, 0, 10)
    one = rows[3]
    assert one["messages"] == [
        {"role": "user", "content": "p1"},
        {"role": "assistant", "content": one["generation"]},
    ]
    assert one["generation"].startswith("<think>p1 ") and one["solution"] == "1"
    assert (one["uuid"], one["sample"], one["model"], one["tokens"]) == ("u1", 1, "m", 3)
    assert len({row["generation"] for row in rows}) == len({row["attempt"] for row in rows}) == 10


def test_asked_again_nothing_is_drawn_and_more_are_only_more(generate, engine):
    _, first = generate()
    assert generate()[0].kept == 10 and len(engine.asked) == 10
    tally, rows = generate(**{"sampling.n": 3})
    assert (tally.sampled, tally.kept) == (5, 10)
    assert [row for row in rows if row["sample"] < 2] == first
    assert generate(limit=2)[0].rows == 4 and len(engine.asked) == 15


def test_after_a_stop_only_what_is_missing_is_drawn_and_the_file_is_as_without_it(
    generate, engine, tmp_path
):
    _, whole = generate("whole.jsonl", **{"sampling.seed": 0})
    engine.asked.clear()
    for path in (tmp_path / "records" / "attempts").iterdir():
        path.unlink()
    engine.left = 7
    with pytest.raises(ProviderError, match="died"):
        generate()
    assert not (tmp_path / "out.jsonl").exists()
    engine.left = None
    tally, rows = generate()
    assert (tally.sampled, tally.kept) == (3, 7)
    assert rows == whole


def test_one_failure_costs_no_sibling_and_is_made_up_for(generate, engine, caplog):
    engine.fails = lambda text: ProviderError("status 400: odd") if text == "p3" else None
    tally, rows = generate()
    assert (tally.sampled, tally.failed, len(rows)) == (8, 2, 8)
    assert "row 4, sample 0: status 400: odd" in caplog.text
    engine.fails = lambda text: None
    tally, rows = generate()
    assert (tally.sampled, tally.kept, len(rows)) == (2, 8, 10)


def test_where_every_sample_fails_it_stops(generate, engine, plugins, tmp_path):
    many = [{"prompt": f"many {n}"} for n in range(50)]
    plugins["datasets"].add(Entry("datasets", "many", lambda: many, "", "test", False))
    engine.fails = lambda text: UsageError("no such sampling")
    with pytest.raises(R1Error, match="none of 100 samples came"):
        generate(**{"sampling.n": 20})
    assert len(engine.asked) == 100, "few prompts, however many samples, may all be odd"
    with pytest.raises(UsageError, match="no such sampling"):
        generate(**{"dataset.name": "many"})
    assert len(engine.asked) == 100 + 2 * 31 + 1 and not (tmp_path / "out.jsonl").exists()


def test_prompts_that_are_always_refused_keep_nothing_from_being_written(generate, engine, plugins):
    many = [{"prompt": f"{'odd' if n % 2 else 'fine'} {n}"} for n in range(100)]
    plugins["datasets"].add(Entry("datasets", "many", lambda: many, "", "test", False))
    refusal = Refused("status 400: odd", 400, "odd")
    engine.fails = lambda text: refusal if "odd" in text else None
    settings = {"dataset.name": "many", "sampling.n": 1}
    assert generate(**settings)[0].failed == 50
    tally, rows = generate("again.jsonl", **settings)  # those alone are asked, one after the other
    assert (tally.failed, len(rows)) == (50, 50)


def test_greedy_samples_are_one_of_each_and_that_is_said(generate, caplog):
    assert generate(**{"sampling.n": 4, "sampling.temperature": 0})[0].rows == 5
    assert "temperature 0 draws one sample per prompt, not 4" in caplog.text


def test_other_settings_are_other_attempts(generate, engine):
    changes = [
        *({"model": "other"}, {"prompt.system": "Think."}, {"sampling.temperature": 0.7}),
        *({"sampling.seed": 1}, {"sampling.max_tokens": 9}, {"prompt.template": "{{prompt}}!"}),
    ]
    generate()
    for number, change in enumerate(changes, 2):
        generate(**change)
        assert len(engine.asked) == 10 * number, change
    assert len(set(engine.seeds)) < len(engine.seeds)  # the same noise for the same place


def test_shards_are_the_whole(generate, plugins, tmp_path):
    twice = [ROWS[0], ROWS[1], ROWS[0], ROWS[0]]
    plugins["datasets"].add(Entry("datasets", "twice", lambda: twice, "", "test", False))
    parts = [generate(None, (i, 5), **{"dataset.name": "twice"})[0] for i in range(5)]
    assert [part.sampled for part in parts] == [2, 2, 2, 2, 0], "one has no rows"
    tally, whole = generate(**{"dataset.name": "twice"})
    assert (tally.sampled, len({row["attempt"] for row in whole})) == (0, 8)
    for path in (tmp_path / "records" / "attempts").iterdir():
        path.unlink()
    assert generate(**{"dataset.name": "twice"})[1] == whole, "as without shards"


def test_a_template_writes_the_prompt_in_a_sandbox(generate, engine):
    _, rows = generate(**{"prompt.template": "Q: {{ prompt | upper }} ({{ solution }})"})
    assert rows[0]["messages"][0]["content"] == "Q: P0 (0)"
    for template, said in {
        "{{ nothing }}": "fails on row 1: 'nothing' is undefined; its columns: prompt, solution",
        "{{ prompt.__class__.__mro__ }}": "fails on row 1: access to attribute",
        "{% if %}": "is no Jinja template: line 1",
    }.items():
        with pytest.raises(UsageError, match=said):
            generate(**{"prompt.template": template})


def test_beside_a_template_the_prompt_column_may_hold_anything(generate, plugins):
    rows = [{"prompt": datetime.date(2020, 1, day), "q": f"q{day}"} for day in (1, 2)]
    plugins["datasets"].add(Entry("datasets", "dated", lambda: rows, "", "test", False))
    _, made = generate(**{"dataset.name": "dated", "prompt.template": "{{ q }}", "sampling.n": 1})
    assert [row["messages"][0]["content"] for row in made] == ["q1", "q2"]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "assistant's"),
        ([{"role": "robot", "content": "a"}], "role 'robot' is none of system, user"),
        ([], "neither text nor messages"),
        ([{"role": "user", "content": None}], "no message with role and content"),
    ],
)
def test_a_conversation_that_cannot_be_answered(generate, plugins, engine, turns, said):
    rows = [{"prompt": [{"role": "user", "content": "x"}]}, {"prompt": turns}]
    plugins["datasets"].add(Entry("datasets", "talk", lambda: rows, "", "test", False))
    with pytest.raises(UsageError, match=f"row 2.*{said}"):
        generate(**{"dataset.name": "talk"})
    assert engine.asked == []


def test_a_conversation_keeps_its_own_system_prompt(generate, plugins):
    own = [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}]
    several = [*own, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    rows = [{"prompt": own}, {"prompt": several}, {"prompt": own[1:]}]
    plugins["datasets"].add(Entry("datasets", "talk", lambda: rows, "", "test", False))
    _, made = generate(**{"dataset.name": "talk", "prompt.system": "T", "sampling.n": 1})
    assert [row["messages"][0]["content"] for row in made] == ["S", "S", "T"]
    assert [len(row["messages"]) for row in made] == [3, 5, 3]
    assert len({row["uuid"] for row in made}) == 3 and "u0" not in made[0]["uuid"]


def test_a_conversation_does_not_depend_on_the_others_keys(generate, plugins, tmp_path):
    def asks(text, **keys):
        call = {"function": {"name": "f", "arguments": {text: 1}}}
        called = {"role": "assistant", "content": "", "tool_calls": [call]}
        return {"prompt": [called, {"role": "user", "content": text, **keys}]}

    plain, named = asks("a"), asks("b", name="ada")
    plugins["datasets"].add(Entry("datasets", "talk", lambda: [plain], "", "test", False))
    plugins["datasets"].add(Entry("datasets", "both", lambda: [plain, named], "", "test", False))
    _, first = generate(**{"dataset.name": "talk"})
    tally, both = generate(**{"dataset.name": "both"})
    assert (tally.kept, tally.sampled) == (2, 2)
    assert both[0]["messages"] == first[0]["messages"]
    assert [both[0]["messages"][:-1], both[2]["messages"][:-1]] == [
        plain["prompt"],
        named["prompt"],
    ]
    with Store(tmp_path / "records") as store:
        problems = {attempt.problem for attempt in store.scan()}
    assert problems == {problem_hash(one["prompt"]) for one in (plain, named)}


def test_what_identifies_a_row_is_kept_whatever_it_is(generate, plugins):
    rows = [{"prompt": "a", "id": 0}, {"prompt": "b", "id": None}]
    plugins["datasets"].add(Entry("datasets", "ids", lambda: rows, "", "test", False))
    _, made = generate(**{"dataset.name": "ids", "uuid": "id", "sampling.n": 1})
    assert made[0]["uuid"] == "0" and len(made[1]["uuid"]) == 36
    with pytest.raises(UsageError, match="no column 'idd' in the dataset, given as --uuid-column"):
        generate(**{"dataset.name": "ids", "uuid": "idd"})


def test_what_failed_here_and_another_process_drew_is_in_the_file(generate, engine, tmp_path):
    def fails(text):
        if text == "p4" and not there:
            there.append(text)
            engine.fails = lambda text: None
            generate("other.jsonl")
            engine.fails = fails
        return ProviderError("odd") if text == "p4" else None

    there, engine.fails = [], fails
    tally, rows = generate()
    assert (tally.failed, len(rows)) == (2, 10)
    with Store(tmp_path / "records") as store:
        assert {row["attempt"] for row in rows} == {attempt.id for attempt in store.scan()}


def test_what_a_sweep_drops_meanwhile_is_said(generate, engine, tmp_path, caplog):
    def fails(text):
        sweep(tmp_path / "records", matching(source="generate"))

    generate(limit=2)
    engine.fails = fails
    tally, rows = generate(limit=3)
    assert (tally.kept, tally.sampled, len(rows)) == (4, 2, 2)
    assert "4 samples are no longer in the store; the next run draws them" in caplog.text
    assert generate(limit=3)[0].sampled == 4


def test_what_a_sweep_drops_before_its_turn_is_drawn(
    generate, engine, plugins, monkeypatch, tmp_path
):
    def fails(text):
        if text == "p0":
            sweep(tmp_path / "records", matching(source="generate"))

    def missing(store, key, wanted):
        store.refresh()  # as a reader does that finds a file gone
        return looked(store, key, wanted)

    looked = Store.missing
    plugins["datasets"].add(Entry("datasets", "end", lambda: ROWS[3:], "", "test", False))
    generate(**{"dataset.name": "end"})
    engine.fails = fails
    monkeypatch.setattr(Store, "missing", missing)
    tally, rows = generate()
    assert (tally.kept, tally.sampled, len(rows)) == (4, 10, 10)


def judged(folder):
    return sum(len(read_rows(path)) for path in (folder / "records" / "rewards").glob("*.jsonl"))


def test_scores_stand_beside_and_are_asked_for_once(generate, tmp_path):
    rewards = [{"name": "even"}]
    _, rows = generate(rewards=rewards)
    right = [int(row["generation"].split()[-1]) % 2 == 0 for row in rows]
    assert [row["reward/even"] for row in rows] == [float(one) for one in right]
    assert judged(tmp_path) == 10
    generate(rewards=rewards)
    assert judged(tmp_path) == 10
    _, kept = generate(rewards=rewards, keep="correct")
    assert len(kept) == sum(right) and judged(tmp_path) == 10
    _, best = generate(rewards=rewards, keep="best", **{"sampling.n": 4})
    assert [row["solution"] for row in best] == [row["solution"] for row in ROWS]
    assert judged(tmp_path) == 20


def test_samples_that_were_drawn_before_are_scored_too(generate, plugins):
    generate()
    _, rows = generate(rewards=[{"name": "even"}])
    assert all(row["outcome/even"] == "score" for row in rows)
    gone = [{**row, "solution": None} for row in ROWS]
    plugins["datasets"].add(Entry("datasets", "gone", lambda: gone, "", "test", False))
    _, rows = generate(rewards=[{"name": "even"}], **{"dataset.name": "gone"})
    assert {row["outcome/even"] for row in rows} == {"not_applicable"}  # another gold


async def among(completions, prompts):
    """How many samples there are of the prompt in one call."""
    return [float(prompts.count(prompt)) for prompt in prompts]


def test_samples_are_compared_with_those_of_their_row_alone(generate, plugins):
    twice = [{"prompt": "a"}, {"prompt": "b"}, {"prompt": "a"}]
    plugins["datasets"].add(Entry("datasets", "twice", lambda: twice, "", "test", False))
    plugins["rewards"].add(Entry("rewards", "among", among, "", "test", False))
    for n in (2, 4, 1, 2):
        options = {"dataset.name": "twice", "sampling.n": n}
        _, rows = generate(rewards=[{"name": "among"}], **options)
        assert [row["reward/among"] for row in rows] == [float(n)] * 3 * n


def test_what_was_said_of_another_answer_goes_with_it(generate, plugins):
    judged = [{"prompt": "a", "reward/old": 1.0, "outcome/old": "score", "pass_rate": 0.5}]
    plugins["datasets"].add(Entry("datasets", "judged", lambda: judged, "", "test", False))
    _, rows = generate(**{"dataset.name": "judged"})
    assert [(row.keys() & judged[0].keys()) for row in rows] == [{"prompt", "pass_rate"}] * 2


def test_samples_that_could_not_be_judged_are_said(generate, plugins, caplog):
    def flaky(completions):
        if down:
            raise ProviderError("the judge is down")
        return [1.0] * len(completions)

    down = [True]
    plugins["rewards"].add(Entry("rewards", "flaky", flaky, "", "test", False))
    _, rows = generate(rewards=[{"name": "even"}, {"name": "flaky"}])
    assert {row["outcome/flaky"] for row in rows} == {"failed"}
    assert "10 judgements failed and count for nothing" in caplog.text
    assert "the judge is down" in caplog.text
    caplog.clear()
    down.clear()
    assert len(generate(rewards=[{"name": "flaky"}], keep="correct")[1]) == 10
    assert "judgements failed" not in caplog.text


def test_a_reward_that_raises_ends_it_and_the_samples_stay(generate, plugins, tmp_path):
    def broken(completions):
        raise ValueError("a bug")

    plugins["rewards"].add(Entry("rewards", "broken", broken, "", "test", False))
    with pytest.raises(R1Error, match="reward 'broken' raised ValueError: a bug"):
        generate(rewards=[{"name": "broken"}])
    with Store(tmp_path / "records") as store:
        assert 0 < len(store) <= 10


def test_an_engine_without_a_stream_is_asked_in_batches(generate, plugins, monkeypatch, tmp_path):
    monkeypatch.setattr("r1cli.collecting.BATCH", 4)
    batches = Batches()
    plugins["engines"].add(Entry("engines", "plain", lambda *, model: batches, "", "test", False))
    _, rows = generate(**{"engine.name": "plain"})
    assert len(rows) == 10 and len(set(batches.seeds)) == 3
    generate(**{"engine.name": "plain", "sampling.n": 3})
    assert len(set(batches.seeds)) == 5  # what is added is drawn by other noise


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keep": "best"}, "keep 'best' needs a reward"),
        ({"keep": "some"}, "keep = 'some' at the options"),
        ({"sampling.temprature": 1}, "did you mean 'temperature'"),
        ({"prompt.column": "promt"}, "no column 'promt'.*'prompt'"),
        ({"rewards": [{"name": "evn"}]}, "did you mean 'even'"),
        ({"rewards": [{"name": "even"}], "dataset.name": "bare"}, "wants column 'solution'"),
        ({"engine.name": "fak"}, "no engine 'fak'.*did you mean 'fake'"),
        ({"out": "x.txt"}, "rows are written as"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_drawn(
    generate, plugins, engine, tmp_path, options, said
):
    bare = [{"prompt": "p"}]
    plugins["datasets"].add(Entry("datasets", "bare", lambda: bare, "", "test", False))
    with pytest.raises(UsageError, match=said):
        generate(**options)
    assert engine.asked == []


def test_nothing_kept_is_an_error_and_no_file(generate, engine, tmp_path):
    with pytest.raises(R1Error, match="keep 'correct' leaves none of 10 samples"):
        generate(rewards=[{"name": "even"}], keep="correct", threshold=2.0)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_recipe_and_the_options_say_the_same(r1, plugins, engine, monkeypatch, tmp_path):
    monkeypatch.setattr("r1cli.plugins.load_plugins", lambda: plugins)
    (tmp_path / "t.jinja").write_text("{{ prompt }}?\n")
    (tmp_path / "g.yaml").write_text(
        "model: m\ndataset: {name: some}\nengine: {name: fake}\nsampling: {n: 3}\n"
        "prompt: {template: x}\nrewards: [{name: even}]\n"
    )
    given = ("--n", "2", "--prompt-template", "@t.jinja", "--out", "o/x.parquet")
    done = r1("generate", "--recipe", "g.yaml", *given)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "10 samples drawn, 0 kept from before; 10 rows: o/x.parquet"
    )
    assert engine.asked[0] == "p0?" and len(list(Path("runs/records/attempts").glob("*"))) == 2
    options = ("--model", "m", "--dataset", "some", "--engine", "fake", "--reward", "even")
    again = r1("generate", *options, *given)
    assert "0 samples drawn, 10 kept" in again.stderr
    listed = json.loads(r1("records", "list", "--json").stdout)
    assert [(row["attempts"], row["source"]) for row in listed] == [(10, "generate")]


def test_what_is_read_is_not_written_over(generate, engine, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    with pytest.raises(UsageError, match="rows.jsonl is what is read"):
        generate("rows.jsonl", limit=1, **{"dataset.name": str(tmp_path / "rows.jsonl")})
    assert engine.asked == [] and len(read_rows(tmp_path / "rows.jsonl")) == 2


@pytest.fixture
def recipe(tmp_path):
    text = (
        "model: m\ndataset: {name: hub, args: {id: a/b}}\nengine: {name: vllm, args: {dtype: x}}\n"
    )
    (tmp_path / "g.yaml").write_text(text)
    return tmp_path / "g.yaml"


def test_another_dataset_or_engine_is_not_given_the_arguments_of_the_files(recipe):
    made = load(
        recipe, {"dataset.name": "p.jsonl", "engine.name": "openai", "engine.args.url": "u"}
    )
    assert (made.dataset.name, made.dataset.args) == ("p.jsonl", {})
    assert (made.engine.name, made.engine.args) == ("openai", {"url": "u"})
    same = load(recipe, {"dataset.name": "hub", "dataset.args.split": "test"})
    assert same.dataset.args == {"id": "a/b", "split": "test"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: m\ndataset: p.jsonl", "dataset at .*:2 has no keys; it takes: name, args"),
        ("model: m\ndataset: {name: d}\nprompt: [x]", "prompt at .*:3 has no keys"),
        ("model: m\ndataset: {name: d}\nrewards: [{name: a, weight: -1}]", "'a' has weight -1"),
        ("model: m\ndataset: {name: d}\nrewards: [{name: a, weight: 0}]", "weight 0: no score"),
        ("model: m\ndataset: {name: d}\nrewards: [{name: a}, {name: a}]", "'a' is there twice"),
        (
            "model: m\ndataset: {name: d}\nprompt: {chat_template_kwargs: {a: 1}}\n"
            "engine: {args: {chat_template_kwargs: {b: 1}}}",
            "say it at one of them",
        ),
    ],
)
def test_a_recipe_that_says_nothing_sensible(recipe, text, said):
    recipe.write_text(text)
    with pytest.raises(UsageError, match=said):
        load(recipe, {"dataset.args.split": "test", "prompt.system": "s"})


def test_a_section_without_keys_takes_options(recipe):
    recipe.write_text("model: m\ndataset:\nengine:\n")
    assert load(recipe, {"dataset.name": "d", "engine.name": "openai"}).engine.name == "openai"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--reward-arg=accuracy.x=1", "--reward-arg is for a --reward"),
        ("--threshold=0.5", "--threshold is for --keep correct, not all"),
        ("--public", "--public is for --push REPO"),
        ("--dataset=countdown", "give one of them"),
    ],
)
def test_options_that_would_do_nothing(r1, option, said):
    done = r1("generate", "--model=m", "--data=x.jsonl", "--out=o.jsonl", option)
    assert done.exit_code == 2 and said in done.stderr


@pytest.mark.parametrize("shard", ["1/1", "a/b", "2", "-1/2"])
def test_a_shard_that_is_none(r1, shard):
    done = r1("generate", "--model=m", "--data=x", "--out=o.jsonl", f"--shard={shard}")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1) and "--shard" in done.stderr
