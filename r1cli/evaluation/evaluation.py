"""One benchmark on one model: sample what is missing, judge it beside the sampling, sum up.

Every judged sample is a row of `<benchmark>-<spec>-<model>.jsonl`, written as it comes; asked
again, only what is missing is sampled, and more samples are added to those that are there. Beside
it, `.json` says the spec in full and, once there is one, the score.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from r1cli.evaluation.beside import Beside
from r1cli.evaluation.problems import load_problems, prompts
from r1cli.evaluation.score import Sample, Score, summarise
from r1cli.evaluation.spec import hash_of, write_spec
from r1cli.files import append_row, read_rows, write_atomic
from r1cli.plugins import Plugins
from r1cli.problem import problem_hash
from r1cli.recipe import BenchmarkRun, Component
from r1cli.scoring import Scorer, bind_reward
from r1cli.types import Benchmark, Completion

Progress = Callable[[int, int], None]

Place = tuple[int, int]
"""Which sample: the number of its problem, and its own among those of the problem."""

Source = Callable[[set[Place]], Iterable[tuple[Place, Completion]]]
"""Where completions come from: asked for those of some places, it gives them in any order."""

CHUNK = 512
"""Samples judged at a time: enough for all workers, few enough to lose little to a kill."""


class Evaluation:
    """A benchmark with its problems loaded and its scorer bound; no model yet."""

    def __init__(
        self,
        run: BenchmarkRun,
        benchmark: Benchmark,
        plugins: Plugins,
        *,
        code: Component | None = None,
    ) -> None:
        """`code` names the provider for scorers that run programs."""
        self.name, self.benchmark = run.name, benchmark
        self.problems = load_problems(benchmark, plugins, limit=run.limit, name=run.name)
        self.prompts = prompts(benchmark, self.problems, run.name)
        self.scorer, *self.measures = (
            bind_reward(name, args, plugins, where="the benchmark", code=code)
            for name, args in [
                (benchmark.scorer, benchmark.scorer_args),
                *benchmark.measures.items(),
            ]
        )
        self.scorer.check_columns(list(self.problems[0]), f"benchmark {run.name!r} columns")

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What decides the number besides the model; see `spec.py`."""
        return write_spec(self.benchmark, self.problems, self.prompts, self.scorer, self.measures)

    @cached_property
    def hash(self) -> str:
        """Of the spec: where it is equal, scores compare."""
        return hash_of(self.spec)

    @property
    def places(self) -> set[Place]:
        """The samples that the benchmark asks for."""
        sampling = self.benchmark.sampling
        each = 1 if sampling.temperature == 0 else sampling.n
        return {(p, s) for p in range(len(self.problems)) for s in range(each)}

    def is_sampled(self, directory: Path, model_key: str) -> bool:
        """Whether `directory` holds every sample of this model."""
        return self.places <= {_place(row) for row in read_rows(self._path(directory, model_key))}

    def run(
        self,
        draw: Source,
        directory: Path,
        *,
        model_key: str,
        places: set[Place] | None = None,
        ks: Sequence[int] = (),
        progress: Progress = lambda done, total: None,
        judged: Callable[[Sequence[Sample]], None] = lambda samples: None,
    ) -> Score:
        """The score of the samples at `places`, all by default.

        Only what `directory` does not hold yet of this model is drawn; what the scorer failed on
        earlier is judged again, not drawn again. `judged` is told of every sample with its score:
        of those held first, of the others as they come, on a thread of their own.
        """
        started, wanted = time.perf_counter(), self.places if places is None else places
        path = self._path(directory, model_key)
        kept = {p: row for row in read_rows(path) if (p := _place(row)) in wanted}
        failed = {place: row for place, row in kept.items() if row["failed"]}
        rows = {place: row for place, row in kept.items() if place not in failed}
        missing = wanted - kept.keys()
        progress(len(rows), len(wanted))
        judged(list(rows.values()))
        if failed or missing:
            with Scorer([self.scorer, *self.measures], folder=directory / "failures") as scorer:

                def judge(taken: list[tuple[Place, Completion]]) -> None:
                    if not path.exists():
                        self._describe(path, model_key, None)
                    new = self._judged(taken, scorer)
                    for row in new:
                        append_row(path, row)
                        rows[_place(row)] = row
                    judged(new)
                    progress(len(rows), len(wanted))

                with Beside(judge, CHUNK) as judging:
                    for place, row in failed.items():
                        judging.take((place, completion_of(row)))
                    for drawn in draw(missing) if missing else ():
                        judging.take(drawn)
        score = summarise(
            [rows[place] for place in sorted(rows)],
            name=self.name,
            spec=self.hash,
            problems=len(self.problems),
            greedy=self.benchmark.sampling.temperature == 0,
            votes=self.benchmark.votes,
            ks=ks,
            seconds=round(time.perf_counter() - started, 3),
        )
        self._describe(path, model_key, score)
        return score

    def _path(self, directory: Path, model_key: str) -> Path:
        return directory / f"{_file_name(self.name)}-{self.hash}-{model_key}.jsonl"

    def _judged(self, drawn: Sequence[tuple[Place, Completion]], scorer: Scorer) -> list[Sample]:
        problems = [self.problems[problem] for (problem, _), _ in drawn]
        columns = {name: [row.get(name) for row in problems] for name in problems[0]}
        completions = [completion for _, completion in drawn]
        asked = [self.prompts[problem] for (problem, _), _ in drawn]
        outcomes, *measured = scorer.score(completions, asked, columns, step=drawn[0][0][0])
        read = getattr(self.scorer.function, "answer", None)
        rows = []
        for number, ((problem, sample), completion) in enumerate(drawn):
            outcome = outcomes[number]
            row = {
                "problem": problem,
                "sample": sample,
                "hash": problem_hash(self.prompts[problem]),
                "prompt": self.prompts[problem],
                "prefill": completion.prefill,
                "completion": str(completion)[len(completion.prefill) :],
                "tokens": completion.tokens,
                "truncated": completion.truncated,
                "score": outcome.value,
                "failed": outcome.reason if outcome.status == "failed" else "",
                "gold": self.problems[problem].get("solution"),
                "measures": {
                    reward.name: column[number].value
                    for reward, column in zip(self.measures, measured, strict=True)
                },
            }
            if read is not None:
                row["answer"] = read(completion, **self.scorer.args)
            rows.append(row)
        return rows

    def _describe(self, path: Path, model_key: str, score: Score | None) -> None:
        """The file beside the samples, that says what they are samples of."""
        about = {
            "benchmark": self.name,
            "citation": self.benchmark.citation,
            "data": {"dataset": self.benchmark.dataset, **dict(self.benchmark.args)},
            "prepared": dict(self.benchmark.prepare_args),
            "model": model_key,
            "spec": {"hash": self.hash, **self.spec},
            "score": score.to_dict() if score else None,
        }
        text = json.dumps(about, indent=2, ensure_ascii=False, default=str)
        write_atomic(path.with_suffix(".json"), text + "\n")


def completion_of(row: Sample) -> Completion:
    """The completion of a stored sample."""
    return Completion(
        row["completion"], prefill=row["prefill"], tokens=row["tokens"], truncated=row["truncated"]
    )


def _place(row: Sample) -> Place:
    return row.get("problem", -1), row.get("sample", -1)


def _file_name(benchmark: str) -> str:
    return benchmark.replace(":", "-").replace("/", "-")
