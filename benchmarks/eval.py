"""What evaluation costs: scoring stored completions, and the evaluator over the bare engine.

    python benchmarks/eval.py [--completions 10000] [--lighteval] [--tokens 512] [--rounds 3]

Scoring: distinct GSM8K completions (published outputs of five models, then the set's own worked
solutions) through `r1 eval --completions`, all included: reading, matching, judging, writing rows.
`--lighteval` judges the same ones by LightEval's own metric, in the environment that r1 makes.
Overhead: answers of a small random model to held-out sums, drawn by the engine alone, then by
`r1 eval` with its store and its scorer, then read from the store: what is not the engine's. Where
the engine and the scorer's workers share CPUs, they take them from each other.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from r1cli import Sampling, ui
from r1cli.collecting import Sampler, seed_of, stream
from r1cli.dataset import problem_hash
from r1cli.evaluation import Evaluation, read_stored
from r1cli.evaluation.binding import bind_benchmark
from r1cli.evaluation.measuring import measure
from r1cli.plugins import Plugins, builtin_plugins
from r1cli.recipe import BenchmarkRun
from r1cli.registry import Entry
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Draw

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


def overhead(tokens: int, rounds: int, problems: int, plugins: Plugins) -> list[dict[str, Any]]:
    """A row per round: seconds, and CPU seconds of this process and its workers."""
    model = str(plugins["models"].get("r1_tiny_blank").load()())
    sampling = Sampling(temperature=1.0, max_tokens=tokens, n=1)
    args = {"max_tokens": tokens, "n": 1, "size": problems}
    run = BenchmarkRun(name="chain_sums", args=args)
    benchmark = bind_benchmark(run, plugins, "here")
    prompts = Evaluation(run, benchmark, plugins).prompts
    draws = [Draw(p, seed_of(0, problem_hash(p), 0)) for p in prompts]
    found = []
    with Sampler("transformers", model, {}, plugins).open() as engine:
        plugins["engines"].add(
            Entry("engines", "loaded", lambda *, model: nullcontext(engine), "", "here", False)
        )

        def evaluate(place: Path) -> None:
            options: dict[str, Any] = {"engine": "loaded", "records": place / "records"}
            folder = Path(tempfile.mkdtemp(dir=place))
            measure(Path(model), [(run, benchmark)], plugins, folder, **options)

        list(stream(engine, draws[:64], sampling))  # warm
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as name:
                bare = clocked(lambda: list(stream(engine, draws, sampling)))
                whole = clocked(lambda: evaluate(Path(name)))
                own = clocked(lambda: evaluate(Path(name)))  # all samples are in the store now
            found.append(
                {
                    "samples": len(draws),
                    "engine s": bare[0],
                    "eval s": whole[0],
                    "more %": 100 * (whole[0] / bare[0] - 1),
                    "engine CPU s": bare[1],
                    "eval CPU s": whole[1],
                    "eval without engine s": own[0],
                    "its CPU s": own[1],
                }
            )
    return found


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
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--problems", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    plugins = builtin_plugins()
    found = scoring(given.completions, given.lighteval, plugins)
    ui.table([found], list(found), title="scoring")
    rounds = overhead(given.tokens, given.rounds, given.problems, plugins)
    ui.table(rounds, list(rounds[0]), title="overhead")


if __name__ == "__main__":
    main()
