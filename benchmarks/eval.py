"""What evaluation costs: scoring stored completions, and the evaluator over the bare engine.

    python benchmarks/eval.py [--completions 10000] [--lighteval] [--rounds 5]
    python benchmarks/eval.py --completions 0 --engine transformers --tokens 512 --problems 256

Scoring: distinct GSM8K completions (published outputs of five models, then the set's own worked
solutions) through `r1 eval --completions`, all included: reading, matching, judging, writing rows.
`--lighteval` judges the same ones by LightEval's own metric, in the environment that r1 makes.
Overhead: the same samples drawn by the engine alone, then by `r1 eval` with its store, its scorer
and its rows; in alternating order, as the median of the rounds' ratios. The engine is one that
takes time and no CPU, as a GPU does (`--seconds` for `--together` samples at a time), on GSM8K; or
a tiny model on this CPU, which the scorer's workers then share. The workers start, and import what
they judge by, beside the sampling: how long that takes says how short a run is too short for it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from r1cli import Completion, Sampling, ui
from r1cli.collecting import Sampler, seed_of, stream
from r1cli.evaluation import Evaluation, read_stored
from r1cli.evaluation.binding import bind_benchmark
from r1cli.evaluation.measuring import measure
from r1cli.plugins import Plugins, builtin_plugins
from r1cli.problem import problem_hash
from r1cli.recipe import BenchmarkRun, Component
from r1cli.registry import Entry
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Benchmark, Draw, Drawn

DATA = Path(__file__).parents[2] / "shared/data"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


def completions(count: int) -> list[dict[str, str]]:
    """Distinct completions with their question and gold answer."""
    found = [
        {"question": r["question"], "answer": r["answer"], "completion": r["code"][0]}
        for r in rows("graded/qwen25_3b_instruct_gsm8k.jsonl")
    ]
    for row in rows("graded/gsm8k_openai_example_solutions.jsonl"):
        gold = row["ground_truth"].replace("\nA: ", "\n#### ")
        for model in MODELS:
            said = row[model]["solution"].replace("\nA: ", "\n#### ")
            found.append({"question": row["question"], "answer": gold, "completion": said})
    for row in rows("bench/gsm8k_train.jsonl"):
        found.append({**row, "completion": row["answer"]})
    distinct = {(row["question"], row["completion"]): row for row in found}
    return list(distinct.values())[:count]


def scoring(count: int, lighteval: bool, plugins: Plugins) -> dict[str, Any]:
    given = completions(count)
    with tempfile.TemporaryDirectory() as place:
        data, file = Path(place) / "data.jsonl", Path(place) / "given.jsonl"
        problems = {row["question"]: row for row in given}
        data.write_text("".join(json.dumps(row) + "\n" for row in problems.values()))
        file.write_text("".join(json.dumps(row) + "\n" for row in given))
        run = BenchmarkRun(name="gsm8k", data=str(data))
        started = time.perf_counter()
        evaluation = Evaluation(run, bind_benchmark(run, plugins, "here"), plugins)
        stored = read_stored(file, evaluation)
        score = evaluation.run(stored.draw, Path(place), model_key="m", places=stored.places)
        seconds = time.perf_counter() - started
    found = {"completions": len(given), "seconds": seconds, "right": score.mean}
    if lighteval:
        reward = bind_reward("lighteval", {"task": "gsm8k"}, plugins, where="here")
        columns = {"solution": [row["answer"] for row in given]}
        asked = [[{"role": "user", "content": row["question"]}] for row in given]
        texts = [stored.completions[place] for place in sorted(stored.completions)]
        with Scorer([reward]) as scorer:
            scorer.score(texts[:1], asked[:1], {"solution": columns["solution"][:1]})
            started = time.perf_counter()
            scorer.score(texts, asked, columns)
            found["lighteval_seconds"] = time.perf_counter() - started
    return found


HARD = Completion(r"<answer>\boxed{\frac{\sqrt[3]{x^2+1}}{\log_2 7}}</answer>")
"""An answer that only a computer algebra system can compare with a number."""


class Waiting:
    """An engine whose samples take `seconds` each, `together` at a time, and no CPU: a model that
    another device samples. It answers worked solutions, so that the scorer has something to read.
    """

    def __init__(self, seconds: float, together: int, answers: Sequence[str]) -> None:
        self.seconds, self.together, self.answers = seconds, together, answers

    def stream(self, draws: Iterable[Draw], sampling: Sampling) -> Iterator[list[Drawn]]:
        started, numbered = time.perf_counter(), enumerate(draws)
        waves = 0
        while wave := list(islice(numbered, self.together)):
            waves += 1
            # Due by the clock: an evaluator that keeps up is not charged for the time it takes.
            time.sleep(max(0.0, started + waves * self.seconds - time.perf_counter()))
            yield [Drawn(p, self._completion(p)) for p, _ in wave]

    def _completion(self, position: int) -> Completion:
        text = self.answers[position % len(self.answers)]
        return Completion(text, tokens=len(text.split()))


def overhead(given: argparse.Namespace, plugins: Plugins) -> list[dict[str, Any]]:
    """A row per round: the engine alone and the evaluator with it, one after the other.

    Which of the two is first alternates, so that a machine that gets slower or faster favours none.
    """
    held: list[Any] = []  # the engine that is timed, loaded
    entry = Entry("engines", "loaded", lambda *, model: nullcontext(held[0]), "", "here", False)
    plugins["engines"].add(entry)
    run, benchmark, model, engine = _asked(given, plugins)
    evaluation = Evaluation(run, benchmark, plugins)
    draws = [Draw(p, seed_of(0, problem_hash(p), 0)) for p in evaluation.prompts]
    sampling = benchmark.sampling
    found = []
    with engine as opened:
        held.append(opened)

        def bare() -> None:
            for _ in stream(opened, draws, sampling):
                pass

        def evaluate(place: Path) -> None:
            folder = Path(tempfile.mkdtemp(dir=place))
            measure(model, [(run, benchmark)], plugins, folder, records=place / "records")

        bare()  # warm
        for number in range(given.rounds):
            with tempfile.TemporaryDirectory() as name:
                place = Path(name)
                works = [bare, lambda place=place: evaluate(place)]
                order = (0, 1) if number % 2 == 0 else (1, 0)
                seconds = {which: clocked(works[which]) for which in order}
                own = clocked(lambda place=place: evaluate(place))  # all is in the store now
            starting = clocked(lambda: start(evaluation))
            (alone, alone_cpu), (whole, whole_cpu) = seconds[0], seconds[1]
            found.append(
                {
                    "samples": len(draws),
                    "engine s": alone,
                    "eval s": whole,
                    "more s": whole - alone,
                    "more %": 100 * (whole / alone - 1),
                    "workers' start s": starting[0],
                    "engine CPU s": alone_cpu,
                    "eval CPU s": whole_cpu,
                    "eval without engine s": own[0],
                }
            )
    return found


def start(evaluation: Evaluation) -> None:
    """The scorer's workers from nothing to a verdict that needs their libraries, and their end."""
    columns = {name: [value] for name, value in evaluation.problems[0].items()}
    with Scorer([evaluation.scorer]) as scorer:
        scorer.score([HARD], evaluation.prompts[:1], columns)


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each column the median over the rounds: of ratios, not a ratio of sums."""
    return {name: median(row[name] for row in rounds) for name in rounds[0]}


def _asked(
    given: argparse.Namespace, plugins: Plugins
) -> tuple[BenchmarkRun, Benchmark, Path, Any]:
    """The benchmark, the model it is said to be of, and the engine that both are timed with."""
    model = Path(plugins["models"].get("r1_tiny_blank").load()())
    loaded = Component(name="loaded")
    if given.engine == "transformers":
        args = {"max_tokens": given.tokens, "n": 1, "size": given.problems}
        run = BenchmarkRun(name="chain_sums", args=args, engine=loaded)
        engine = Sampler("transformers", str(model), {}, plugins).open()
    else:
        data = str(DATA / "bench/gsm8k_test.jsonl")
        run = BenchmarkRun(name="gsm8k", data=data, limit=given.problems, engine=loaded)
        answers = [row["answer"] for row in rows("bench/gsm8k_test.jsonl")[: given.problems]]
        engine = nullcontext(Waiting(given.seconds, given.together, answers))
    benchmark = bind_benchmark(run, plugins, "here")
    return run, benchmark, model, engine


def clocked(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and CPU seconds with those of the worker processes, which end before it does."""
    before, started = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - started, os.times()
    return seconds, sum(after[:4]) - sum(before[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--completions", type=int, default=10_000)
    parser.add_argument("--lighteval", action="store_true")
    parser.add_argument("--engine", choices=("waiting", "transformers"), default="waiting")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--together", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--problems", type=int, default=1319)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    plugins = builtin_plugins()
    if given.completions:
        found = scoring(given.completions, given.lighteval, plugins)
        ui.table([found], list(found), title="scoring")
    rounds = overhead(given, plugins)
    ui.table([*rounds, medians(rounds)], list(rounds[0]), title="overhead; the last row: medians")


if __name__ == "__main__":
    main()
