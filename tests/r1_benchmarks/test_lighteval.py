"""LightEval in its own environment: how that is made and asked, with programs that stand in for uv
and LightEval; then the real ones, on real problems, where uv can get them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from r1_benchmarks.lighteval import VERSION
from r1_benchmarks.lighteval.environment import SOURCES, environment
from r1_benchmarks.lighteval.session import PROGRAM, session
from r1cli import cache_folder
from r1cli.errors import MissingExtra, ProviderError, UsageError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PIPELINE = Path(__file__).with_name("lighteval_pipeline.py")

UV = """
import os, signal, sys, time
from pathlib import Path

with open(os.environ["UV_LOG"], "a") as log:
    print(*sys.argv[1:], file=log)
how = os.environ.get("UV_DOES", "")
if sys.argv[1] == "venv":
    python = Path(sys.argv[-1]) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(os.environ["UV_PYTHON"])
    python.chmod(0o755)
elif how == "offline":
    sys.exit("error: Request failed after 3 retries\\n  cause: dns error\\n  cause: name not known")
elif how == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.05)
"""

LIGHTEVAL = """
import json, os, re, sys

def reply(asked):
    task = asked.get("task") or asked.get("docs") or asked.get("score")
    if task == "nope":
        return {"refused": "LightEval has no task 'nope'"}
    if "docs" in asked:
        rows = enumerate(asked["rows"])
        docs = [{"row": i, "asked": f"Solve {r['problem']}", "doc": {"gold": r["answer"]},
                 "solution": r["answer"]} for i, r in rows]
        return {"reply": docs}
    if "text" in asked:
        text = asked["text"]
        if text == "die":
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(3)
        if text == "fail":
            return {"error": "ValueError: no"}
        gold = asked["doc"]["gold"] if "doc" in asked else asked["gold"]
        numbers = re.findall("[0-9]+", text)
        return {"reply": {"score": float(gold in text), "extracted": numbers[-1:]}}
    return {"reply": True}

for line in sys.stdin:
    print(json.dumps(reply(json.loads(line))), flush=True)
"""


def script(source: str) -> str:
    return f"#!{sys.executable}\n{source}"


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """A `uv` on the path whose environments hold the stand-in for LightEval; the log of its calls.

    `UV_DOES=offline` and `dies` say how an installation ends.
    """
    (tmp_path / "path").mkdir()
    program = tmp_path / "path" / "uv"
    program.write_text(script(UV))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("R1_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_LOG", str(tmp_path / "uv.log"))
    monkeypatch.setenv("UV_PYTHON", script(LIGHTEVAL))
    for name in SOURCES:
        monkeypatch.delenv(name, raising=False)
    session.cache_clear()
    yield tmp_path / "uv.log"
    session(VERSION).close()
    session.cache_clear()


def folders(uv) -> list[str]:
    return [path.name for path in (uv.parent / "home" / "environments").iterdir() if path.is_dir()]


def test_the_environment_is_made_once_and_whole(uv):
    python = environment(VERSION)
    assert environment(VERSION) == python and os.access(python, os.X_OK)
    made, installed = uv.read_text().splitlines()
    assert made.startswith("venv") and sys.executable in made
    assert f"lighteval=={VERSION}" in installed and "--torch-backend cpu" in installed
    assert folders(uv) == [f"lighteval-{VERSION}"]


def test_where_packages_come_from_is_the_users_to_say(uv, monkeypatch):
    monkeypatch.setenv("UV_FIND_LINKS", "/wheels")
    environment(VERSION)
    assert "--torch-backend" not in uv.read_text()


@pytest.mark.parametrize(("does", "why"), [("offline", "not known"), ("dies", "ended without")])
def test_a_half_made_environment_is_no_environment(uv, monkeypatch, does, why):
    monkeypatch.setenv("UV_DOES", does)
    with pytest.raises(ProviderError, match=f"needs the network or a mirror.*{why}"):
        environment(VERSION)
    assert folders(uv) == []
    monkeypatch.delenv("UV_DOES")
    assert environment(VERSION).exists()


def test_what_a_killed_process_left_is_made_anew(uv):
    partial = uv.parent / "home" / "environments" / f".lighteval-{VERSION}.partial"
    (partial / "bin").mkdir(parents=True)
    (partial / "bin" / "python").write_text("half")
    assert environment(VERSION).read_text() != "half"
    assert not partial.exists()


def test_several_that_need_it_make_it_once(uv):
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(environment, [VERSION] * 4))) == 1
    assert len(uv.read_text().splitlines()) == 2


def test_a_session_that_died_says_why_and_starts_again(uv):
    asked = {"score": "t", "question": "q", "gold": "4"}
    assert session(VERSION).ask(**asked, text="is 4") == {"score": 1.0, "extracted": ["4"]}
    with pytest.raises(ProviderError, match="exit status 3: out of memory"):
        session(VERSION).ask(**asked, text="die")
    assert session(VERSION).ask(**asked, text="is 5")["score"] == 0.0


def test_a_session_that_hangs_is_ended(uv, monkeypatch):
    monkeypatch.setenv("UV_PYTHON", script("import time\ntime.sleep(60)"))
    monkeypatch.setattr("r1_benchmarks.lighteval.session.SECONDS", 0.3)
    with pytest.raises(ProviderError, match=r"exit status -9 \(an answer has 0.3 s\)"):
        session(VERSION).ask(task="t")


@pytest.fixture
def files(tmp_path):
    """Two problems and two completions of each."""
    rows = [{"problem": "1 + 3", "answer": "4"}, {"problem": "1 + 4", "answer": "5"}]
    said = [["\\boxed{4}", "\\boxed{6}"], ["\\boxed{5}", "\\boxed{5}, no, \\boxed{7}"]]
    given = [{"problem": r["problem"], "completion": c} for r, c in zip(rows, said, strict=True)]
    for name, lines in (("data", rows), ("given", given)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))


def test_a_task_is_a_benchmark_like_any_other(uv, r1, files, tmp_path):
    given = ("--data", "data.jsonl", "--completions", "given.jsonl", "--out", "out", "--json")
    done = r1("eval", "lighteval:sums", *given)
    assert done.exit_code == 0, done.stderr
    [score] = json.loads(done.stdout)
    assert (score["benchmark"], score["mean"], score["label"]) == ("lighteval:sums", 0.75, "avg@2")
    [samples] = (tmp_path / "out" / "eval").glob("*.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [row["answer"] for row in rows] == ["4", "6", "5", "7"]
    assert rows[0]["prompt"][-1]["content"] == "Solve 1 + 3"
    assert VERSION in samples.with_suffix(".json").read_text()


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("lighteval:", 2, "needs a task"), ("lighteval:nope", 2, "no task 'nope'")],
)
def test_what_is_no_task_is_one_line(uv, r1, files, name, code, message):
    done = r1("eval", name, "--data", "data.jsonl", "--completions", "given.jsonl")
    assert (done.exit_code, message in done.stderr) == (code, True), done.stderr


def test_a_completion_that_lighteval_fails_on_is_left_out_and_said(uv, r1, files, tmp_path):
    (tmp_path / "given.jsonl").write_text(
        json.dumps({"problem": "1 + 3", "completion": ["it is 4", "fail"]})
        + "\n"
        + json.dumps({"problem": "1 + 4", "completion": ["it is 5", "no"]})
    )
    given = ("--data", "data.jsonl", "--completions", "given.jsonl", "--json")
    done = r1("eval", "lighteval:sums", *given)
    assert done.exit_code == 0, done.stderr
    [score] = json.loads(done.stdout)
    assert (score["failed"], score["mean"]) == (1, 0.75)


def test_a_cross_check_prints_both_scores_and_where_they_differ(uv, r1, files, tmp_path):
    given = ("--data", "data.jsonl", "--completions", "given.jsonl", "--out", "out")
    done = r1("eval", "aime24", *given, "--cross-check", "lighteval")
    assert done.exit_code == 0, done.stderr
    summary, differing = done.stdout.split("benchmark")[-1].split("problem")
    assert summary.split("aime24")[1].split()[:4] == ["50.0", "75.0", "4", "3"]
    assert differing.split("completion")[-1].split()[1:7] == ["1", "1", "5", "0", "7", "1"]
    done = r1("eval", "aime24", *given, "--cross-check", "lighteval", "--json")
    [score] = json.loads(done.stdout)
    [kept] = (tmp_path / "out" / "eval").glob("*-by-lighteval.json")
    assert score["cross_check"] == json.loads(kept.read_text())


@pytest.mark.parametrize(
    ("does", "code", "message"), [("offline", 5, "needs the network"), ("gone", 3, "install uv")]
)
def test_a_cross_check_that_cannot_be_is_said_before_anything_is_judged(
    uv, r1, files, tmp_path, monkeypatch, does, code, message
):
    monkeypatch.setenv("UV_DOES", does)
    if does == "gone":
        shutil.rmtree(tmp_path / "path")
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.setitem(sys.modules, "uv", None)
    given = ("--data", "data.jsonl", "--completions", "given.jsonl", "--out", "out")
    done = r1("eval", "aime24", *given, "--cross-check", "lighteval")
    assert (done.exit_code, message in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "out").exists()


# -- the real LightEval ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of a real environment: a minute or two, most of it for bytecode; 2 GB."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    with pytest.MonkeyPatch.context() as patch:
        if "PIP_FIND_LINKS" in os.environ:  # uv does not read pip's settings
            patch.setenv("UV_FIND_LINKS", os.environ["PIP_FIND_LINKS"])
        session.cache_clear()
        try:
            yield environment(VERSION)
        except (MissingExtra, ProviderError) as error:
            pytest.skip(f"no LightEval: {error}")
        finally:
            session(VERSION).close()
            session.cache_clear()
            shutil.rmtree(cache_folder("environments"), ignore_errors=True)


def read(name: str, count: int) -> list[dict]:
    lines = (DATA / name).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:count]]


FORMS = (
    "So it is $\\boxed{%s}$.",
    "<think>12, no</think>The answer is $%s$.",
    "ANSWER: %s",
    "I cannot say.",
    "<think>I go on and on about \\boxed{%s}",
    "Therefore, the final answer is: $\\boxed{1 + %s}$. I hope it is correct",
)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["aime24", "math_500"])
def test_the_score_is_that_of_lightevals_own_pipeline(python, r1, tmp_path, task):
    rows = read(f"bench/{task}.jsonl", 24)
    said = [[form.replace("%s", str(row["answer"])) for form in FORMS] for row in rows]
    with (tmp_path / "given.jsonl").open("w") as file:
        for row, texts in zip(rows, said, strict=True):
            print(json.dumps({"problem": row["problem"], "completion": texts}), file=file)
    where = ("--data", DATA / f"bench/{task}.jsonl", "--limit", len(rows))
    done = r1("eval", f"lighteval:{task}", *where, "--completions", "given.jsonl", "--json")
    assert done.exit_code == 0, done.stderr
    [ours] = json.loads(done.stdout)

    asked = {"program": str(PROGRAM), "task": task, "rows": rows, "completions": said}
    command = [str(python), "-I", str(PIPELINE)]
    ran = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    [scores] = (v for k, v in json.loads(ran.stdout.splitlines()[-1]).items() if k != "all")
    theirs = next(value for name, value in scores.items() if name.startswith("pass@k"))
    assert 0 < theirs < 1
    assert ours["mean"] == pytest.approx(theirs, abs=1e-12)


@pytest.mark.slow
def test_the_real_one_refuses_what_is_not_done_here(python):
    for task, message in [
        ("amc23", "no task 'amc23'"),
        ("gpqa", "say one of: gpqa:diamond"),
        ("gpqa:mc", "wants log-probabilities"),
        ("lcb:codegeneration", "runs code"),
    ]:
        with pytest.raises(UsageError, match=message):
            session(VERSION).ask(task=task)
    with pytest.raises(UsageError, match="wants a column 'problem'"):
        session(VERSION).ask(docs="aime24", rows=[{"text": "?"}])


@pytest.mark.slow
def test_what_follows_a_stop_sequence_is_not_read(python):
    ask = session(VERSION).ask
    [made] = ask(docs="gsm8k", rows=[{"question": "2 + 2?", "answer": "2 + 2 = 4\n#### 4"}])
    for text, score in [("It is 4.\n\nQuestion: 3 + 3?\nAnswer: 6", 1.0), ("It is 6.", 0.0)]:
        assert ask(score="gsm8k", doc=made["doc"], text=text)["score"] == score


@pytest.mark.slow
def test_choices_are_letters_in_an_order_that_stays(python):
    row = {"Question": "q?", "Correct Answer": "right"}
    row |= {f"Incorrect Answer {n}": f"wrong {n}" for n in (1, 2, 3)}
    ask = session(VERSION).ask
    first, again = (ask(docs="gpqa:diamond", rows=[row] * 8) for _ in range(2))
    assert first == again
    assert len({doc["solution"] for doc in first}) > 1
    for doc in first:
        assert f"{doc['solution']}) right" in doc["asked"]
        for letter in "ABCD":
            scored = ask(score="gpqa:diamond", doc=doc["doc"], text=f"Answer: {letter}")
            assert scored["score"] == float(letter == doc["solution"])
