"""Curricula: a real store filled by `r1 data pass-rate`, and what recipes then train on."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="rows are datasets.Dataset objects")

from r1_trl.rollouts import write
from r1cli import dataset, pipeline
from r1cli import recipe_file as recipes
from r1cli.commands import data_pass_rate
from r1cli.data import curriculum
from r1cli.errors import ProviderError, UsageError
from r1cli.plugins import builtin_plugins
from r1cli.registry import Entry
from r1cli.types import Completion

RECIPE = """\
model: {name: model}
dataset:
  name: file
  args: {path: rows.jsonl}
  curriculum: {order: easy_first}
rewards: [{name: accuracy}, {name: format, args: {mode: soft}}]
trainer: {name: remember}
callbacks: []
"""
SOLVED = {"Say 0": 0, "Say 1": 0.25, "Say 2": 0.5, "Say 3": 0.75, "Say 4": 1}
seen = []


class Engine:
    """Solves problem p in p of every 4 samples."""

    def __init__(self):
        self.turn = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def generate(self, prompts, sampling):
        answers = []
        for prompt in prompts:
            number = int(prompt[-1]["content"].split()[-1])
            turn = self.turn[number] = self.turn.get(number, -1) + 1
            right = turn % 4 < number
            answers.append([Completion(f"\\boxed{{{number if right else 99}}}", tokens=3)])
        return answers


def engine(*, model: str):
    return Engine()


def remember(recipe, run, *, dataset, rewards, callbacks):
    seen[:] = dataset["prompt"][:]
    return run.directory


@pytest.fixture
def plugins():
    plugins = builtin_plugins()
    plugins["engines"].add(Entry("engines", "known", engine, "", "test", False))
    plugins["trainers"].add(Entry("trainers", "remember", remember, "", "test", False))
    return plugins


@pytest.fixture(scope="module")
def filled():
    """Stores by what filled them: folders that are copied, as judging starts a pool of workers."""
    return {}


@pytest.fixture
def rate(r1, plugins, filled, tmp_path, tmp_path_factory, monkeypatch):
    """`rate(3)` fills the store with 4 judged attempts at each of the first 3 of 5 rows."""
    monkeypatch.setattr(data_pass_rate, "installed_plugins", lambda: plugins)
    rows = [{"prompt": f"Say {n}", "solution": str(n)} for n in (2, 0, 4, 1, 3)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("recipe.yaml").write_text(RECIPE)
    Path("model").mkdir()
    Path("model/config.json").write_text("{}")

    def rate(*asked):
        if asked not in filled:
            fill(*asked)
            filled[asked] = shutil.copytree(
                "runs/records", tmp_path_factory.mktemp("s") / "records"
            )
        shutil.copytree(filled[asked], "runs/records", dirs_exist_ok=True)

    def fill(limit, *more):
        given = ("--model", "model", "--engine", "known", "--n", 4, "--reward", "accuracy")
        done = r1("data", "pass-rate", "rows.jsonl", *given, "--limit", limit, "--json", *more)
        assert done.exit_code == 0, done.stderr

    return rate


def chosen(plugins, *sets, frozen=None):
    sets = [f"dataset.curriculum.{one}" if one[0] != "." else one[1:] for one in sets]
    rows = dataset.load(recipes.load("recipe.yaml", sets), plugins, frozen)
    return {row["prompt"]: row["pass_rate"] for row in rows}


def order(plugins, *sets):
    return [prompt[-1] for prompt in chosen(plugins, *sets)]


def test_rows_come_in_the_order_of_their_rates_each_with_it(rate, plugins):
    rate(5)
    assert chosen(plugins) == SOLVED
    assert order(plugins) == [*"43210"]
    assert order(plugins, "order=hard_first") == [*"01234"]
    assert order(plugins, "order=null", "min=0.25", "max=0.75") == [*"213"]
    assert order(plugins, "min=0.25") == [*"4321"]


def test_rows_without_attempts_come_last_or_not_at_all(rate, plugins):
    rate(3)
    assert order(plugins)[:3] == [*"420"] and sorted(order(plugins)[3:]) == [*"13"]
    assert order(plugins, "order=hard_first")[:3] == [*"024"]
    assert list(chosen(plugins).values()) == [1, 0.5, 0, None, None]
    assert order(plugins, "unknown=drop") == [*"420"]
    assert order(plugins, "order=null", "max=0.5") == [*"2013"]


def test_a_row_that_asks_nothing_is_unknown(rate, plugins):
    rate(5)
    with Path("rows.jsonl").open("a") as file:
        file.write('{"prompt": null, "solution": "1"}\n')
    assert [*chosen(plugins).items()][4:] == [("Say 0", 0), (None, None)]


def test_rows_of_one_rate_are_shuffled_by_the_seed(rate, plugins):
    rate(1)
    orders = {tuple(order(plugins, f".seed={seed}")[1:]) for seed in range(6)}
    assert len(orders) > 1 and {tuple(sorted(one)) for one in orders} == {(*"0134",)}
    assert order(plugins, ".seed=3") == order(plugins, ".seed=3")


def test_mix_says_the_counts_and_writes_what_training_sees(rate, r1, plugins):
    rate(3)
    sets = ("--set", "dataset.curriculum.min=0.25", "--set", "trainer.name=grpo")
    mixed = r1("data", "mix", "recipe.yaml", "--out", "mixed.jsonl", *sets)
    assert "accuracy of 3 rows is known, 0.500 in the mean, by 12 attempts" in mixed.stderr
    assert (
        "4 of 5 rows to train on: 2 with a rate of 0.25 or more, 1 others dropped" in mixed.stderr
    )
    assert "2 unknown kept last" in mixed.stderr
    rows = [json.loads(line) for line in Path("mixed.jsonl").read_text().splitlines()]
    assert {row["prompt"]: row["pass_rate"] for row in rows} == chosen(plugins, "min=0.25")


def test_without_attempts_the_error_says_commands_that_work(rate, r1, plugins):
    Path("runs").mkdir()
    with pytest.raises(UsageError, match=r"recipe.yaml:5\): no attempt of 'model' in runs") as none:
        chosen(plugins)
    mix, fill = re.findall(r"r1 ((?:data mix|data pass-rate) [^;]*)", str(none.value))
    assert r1(*shlex.split(mix.replace("RECIPE", "recipe.yaml"))).exit_code == 0
    assert r1(*shlex.split(fill.replace("--n 8", "--n 4 --engine known"))).exit_code == 0
    assert chosen(plugins) == SOLVED


def test_a_registered_model_is_named_as_the_commands_take_it(rate, plugins):
    folder = Path("model").absolute()
    plugins["models"].add(Entry("models", "mine", lambda: folder, "", "test", False))
    with pytest.raises(UsageError, match=f"r1 data pass-rate [^;]* --model {folder} --reward"):
        chosen(plugins, ".model.name=mine")


def test_judgements_of_another_gold_answer_or_argument_do_not_count(rate, plugins, caplog):
    rate(5, "--reward", "format")
    assert chosen(plugins) == SOLVED
    with pytest.raises(UsageError, match=r"with the recipe's arguments.*--reward-arg format.mode="):
        chosen(plugins, "reward=format")
    assert set(chosen(plugins, "reward=format", ".rewards.1.args={}").values()) == {0}
    assert set(chosen(plugins, "reward=format", ".rewards=[]").values()) == {0}
    with pytest.raises(UsageError, match=r"judged by 'tag_count', but by accuracy \(20\), format"):
        chosen(plugins, "reward=tag_count")
    text = Path("rows.jsonl").read_text()
    Path("rows.jsonl").write_text(text.replace('"solution": "3"', '"solution": "33"'))
    caplog.clear()
    assert chosen(plugins) == {**SOLVED, "Say 3": None}
    assert "4 attempts do not count, as accuracy did not judge them" in caplog.text


def test_whose_attempts(rate, plugins):
    rate(5)
    with pytest.raises(UsageError, match=r"but of model \(20\): name one as dataset.curriculum.m"):
        chosen(plugins, ".model.name=owner/other")
    assert chosen(plugins, ".model.name=owner/other", "model=model") == SOLVED
    Path("model/weights.safetensors").write_bytes(b"trained since")
    with pytest.raises(UsageError, match="no attempt of 'model'"):
        chosen(plugins)
    Path("model").rename("elsewhere")
    assert chosen(plugins, "model=model") == SOLVED


def test_a_problem_is_the_same_as_text_and_as_messages_under_any_system_prompt(rate, plugins):
    rate(5)
    system, turns = [{"role": "system", "content": "Think."}], []
    for n in range(5):
        turns.append([{"role": "user", "content": f"Say {n}"}])
    rows = [{"prompt": system * (n % 2) + turns[n], "solution": str(n)} for n in range(5)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rates = dataset.load(recipes.load("recipe.yaml"), plugins)["pass_rate"]
    assert rates[:] == [1, 0.75, 0.5, 0.25, 0]
    answer = [{"role": "assistant", "content": "4"}]
    rows = [{"messages": [*turns[n], *answer], "solution": str(n)} for n in (4, 1)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert dataset.load(recipes.load("recipe.yaml"), plugins)["pass_rate"][:] == [1, 0.25]


def test_the_rollouts_of_a_run_are_attempts(rate, plugins, tmp_path):
    texts = ["Say 1", "Say 1", "Say 3", "Say 3"]
    system = {"role": "system", "content": "another one"}
    columns = {
        "prompt": [[system, {"role": "user", "content": text}] for text in texts],
        "completion": ["a"] * 4,
        "prefill": [""] * 4,
        "tokens": [1] * 4,
        "truncated": [False] * 4,
        "advantage": [0.0] * 4,
        "outcome": ["score"] * 4,
        "reward/accuracy": [1.0, 0.0, 1.0, 1.0],
    }
    write(tmp_path / "runs" / "before" / "rollouts", 1, 0, columns)
    run = ("run=runs/before", "unknown=drop")
    assert chosen(plugins, *run) == {"Say 3": 1, "Say 1": 0.5}
    with pytest.raises(UsageError, match="leave out run"):
        chosen(plugins, *run, "reward=format")


def test_what_is_held_out_is_of_all_rates(rate, plugins):
    rate(5)
    sets = [".dataset.test_split_size=2", ".dataset.curriculum.max=0"]
    recipe = recipes.load("recipe.yaml", [one[1:] for one in sets])
    train, held_out = dataset.load_split(recipe, plugins)
    assert len(held_out) == 2 and len(train) == 1 and set(train["pass_rate"]) == {0}


# -- a run keeps its rows --------------------------------------------------------------------------


def trained(plugins, **options):
    pipeline.train(recipes.load("recipe.yaml"), plugins, Path("runs/one"), **options)
    return [prompt[-1] for prompt in seen]


def test_a_run_goes_on_with_the_rows_it_began_with(rate, plugins):
    rate(3)
    before = trained(plugins)
    state = Path("runs/one/run.json")
    state.write_text(state.read_text().replace('"finished"', '"failed"').replace("checkpoint", "x"))
    rate(5)
    assert order(plugins) == [*"43210"] != before
    assert trained(plugins) == before
    assert trained(plugins, fresh=True) == [*"43210"]


def test_every_rank_takes_the_rows_of_the_first(rate, plugins, monkeypatch):
    rate(3)
    before = trained(plugins)
    rate(5)
    monkeypatch.setenv("RANK", "1")
    seen.clear()
    state = Path("runs/one/run.json")
    state.write_text(state.read_text().replace("checkpoint", "x"))
    assert trained(plugins) == before
    with pytest.raises(ProviderError, match="the first rank has not chosen its rows"):
        curriculum.wait_for(Path("nowhere.json"), seconds=0)


def test_a_file_that_is_none_is_named(rate, plugins, tmp_path):
    (tmp_path / "curriculum.json").write_text("[]")
    with pytest.raises(UsageError, match="curriculum.json does not say what rows were chosen"):
        chosen(plugins, frozen=tmp_path / "curriculum.json")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["min=0.5", "max=0.1"], "dataset.curriculum at .*: min 0.5 is above max 0.1"),
        (["order=null"], "give min or max, to leave rows out, or order"),
        (["model=m", "run=r"], "all of its own policy: leave out model"),
        (["order=easy"], "curriculum.order = 'easy' at .* 'easy_first' or 'hard_first'"),
        (["run=runs/none"], "runs/none holds no rollouts"),
        ([".rewards=[]"], "needs reward: the recipe has none"),
        (["unknown=drop", "min=1.5"], "none has a rate of 1.5 or more; they are from 0 to 1"),
        ([".dataset.columns={question: prompt}"], "by the column prompt or messages; the dataset"),
    ],
)
def test_what_cannot_work_is_said(rate, plugins, sets, said):
    rate(5)
    with pytest.raises(UsageError, match=said):
        chosen(plugins, *sets)
