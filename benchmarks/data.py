"""Decontamination: rows per second and peak memory against open-r1's algorithm, same flags.

    python benchmarks/data.py --data FOLDER       # with the .jsonl files of real problems there
    python benchmarks/data.py                     # generated problems and benchmarks alone

The peer is open-r1's `scripts/decontaminate.py` in plain Python, without the `datasets` library
around it: for each benchmark, every row is normalised, cut into n-grams and looked up. Both go from
a JSONL file to one flag per row and benchmark. In FOLDER, `aime24`, `aime25`, `math_500`,
`olympiadbench` and `amc23` are the benchmarks, all other files are rows; without it five sets of
generated problems stand in.
"""

# ruff: noqa: SIM905 - lists of words are read as words

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from r1cli.data.decontaminate import Hit, Item, Tally, decontaminate
from r1cli.data.ngrams import Index
from r1cli.data.normalisation import LEVELS
from r1cli.data.row_file import RowFile
from r1cli.parallel import processes

N = 8
BENCHMARKS = ("aime24", "aime25", "math_500", "olympiadbench", "amc23")
Flags = dict[str, list[bool]]

NAMES = (
    "Ada Ben Chloe Dmitri Elif Farid Grace Hiro Ines Jonas Kemi Luca Mei Nadia Omar Priya".split()
)
THINGS = (
    "apples marbles books tickets coins stamps candles tiles pencils oranges cards keys".split()
)
PLACES = "market school library harbour station garden museum bakery office workshop park".split()
DEEDS = "buys sells finds borrows gives away packs counts paints sorts wins loses keeps".split()
TIMES = "on Monday|before noon|every week|after lunch|in the evening|during the holidays".split("|")
ASKED = (
    "How many {a} does {n} have in the end?|What is the least possible number of {a}?|"
    "Find the probability that all of the {a} are from the {p}.|"
    "If $x$ {a} cost ${k}x^2 + {j}$ cents, what does {n} pay for ${i}$ of them?|"
    "Find the remainder when the number of {a} is divided by ${k}$."
).split("|")


def problem(rng: random.Random) -> str:
    """A word problem of 20 to 70 words."""
    sentences = [
        f"{rng.choice(NAMES)} {rng.choice(DEEDS)} {rng.randrange(2, 999)} {rng.choice(THINGS)} at "
        f"the {rng.choice(PLACES)} {rng.choice(TIMES)}, and {rng.choice(NAMES)} "
        f"{rng.choice(DEEDS)} ${rng.randrange(2, 99)}$ {rng.choice(THINGS)}."
        for _ in range(rng.randrange(1, 4))
    ]
    asked = rng.choice(ASKED).format(
        n=rng.choice(NAMES),
        a=rng.choice(THINGS),
        p=rng.choice(PLACES),
        **{letter: rng.randrange(2, 500) for letter in "ijk"},
    )
    return " ".join([*sentences, asked])


def write(path: Path, count: int, rng: random.Random, real: list[str], items: list[str]) -> int:
    """Real and generated problems, a hundredth of the latter with a piece of a benchmark item."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count + len(real)):
            text = real[number] if number < len(real) else problem(rng)
            if number >= len(real) and rng.random() < 0.01:
                words = rng.choice(items).split()
                start = rng.randrange(max(1, len(words) - N))
                text += " " + " ".join(words[start : start + rng.randrange(N - 2, N + 4)]).upper()
            file.write(json.dumps({"problem": text, "answer": str(number)}) + "\n")
    return count + len(real)


def peer(path: Path, benchmarks: dict[str, list[str]]) -> Flags:
    """open-r1's algorithm."""

    def normalized(text: str) -> str:
        return " ".join(text.lower().strip().split())

    def word_ngrams(text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[i : i + N]) for i in range(len(words) - N + 1)]

    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    flags = {}
    for name, texts in benchmarks.items():
        lookup: dict[str, set[int]] = defaultdict(set)
        for number, text in enumerate(texts):
            for ngram in word_ngrams(normalized(text)):
                lookup[ngram].add(number)
        flags[name] = [
            any(ngram in lookup for ngram in word_ngrams(normalized(row["problem"])))
            for row in rows
        ]
    return flags


def ours(path: Path, benchmarks: dict[str, list[str]], workers: int) -> Flags:
    items = [
        Item(name, i, text) for name, texts in benchmarks.items() for i, text in enumerate(texts)
    ]
    index = Index([item.text for item in items], N, LEVELS["open-r1"])
    hits: list[Hit] = []
    tally = Tally(dict.fromkeys(benchmarks, 0))
    kept = decontaminate(
        RowFile(path),
        items,
        index,
        column="problem",
        mode="remove",
        workers=processes(workers),
        tally=tally,
        found=hits.append,
    )
    for _ in kept:
        pass
    flags: Flags = {name: [False] * tally.rows for name in benchmarks}
    for hit in hits:
        flags[hit.benchmark][hit.row - 1] = True
    return flags


def timed(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, seconds by the clock, and CPU seconds of this process and the ones it started."""
    started, used = time.perf_counter(), os.times()
    result = function()
    return result, time.perf_counter() - started, sum(os.times()[:4]) - sum(used[:4])


def peak_mb(path: Path, options: argparse.Namespace) -> float:
    """The largest process of `r1 data decontaminate` on a file, in a process of its own."""
    code = (
        "import resource, sys; from r1cli.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        # Not RUSAGE_SELF: it counts what the parent held before exec.
        "own = int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024)"
    )
    against = str(path.with_name("benchmark.jsonl"))
    args = ["data", "decontaminate", str(path), "--against-file", against, "--out"]
    args += [str(path.with_name("out.jsonl")), "--workers", str(options.workers)]
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def read_real(folder: Path) -> Iterator[tuple[str, list[str]]]:
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        yield path.stem, [row.get("problem") or row.get("question") or "" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder of .jsonl files of real problems")
    parser.add_argument("--rows", type=int, default=200_000, help="problems to generate")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds, alternating")
    options = parser.parse_args()
    rng = random.Random(0)
    real = dict(read_real(options.data)) if options.data else {}
    benchmarks = {name: real.pop(name) for name in BENCHMARKS if name in real} or {
        name: [problem(rng) for _ in range(200)] for name in BENCHMARKS
    }
    others = [text for texts in real.values() for text in texts]
    items = [text for texts in benchmarks.values() for text in texts]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "rows.jsonl"
        count = write(path, options.rows, rng, others, items)
        print(f"{count} rows ({len(others)} real), {len(items)} items of {len(benchmarks)} sets")
        ratios = []
        for _ in range(options.rounds):
            plain, slow, slow_cpu = timed(lambda: peer(path, benchmarks))
            found, fast, fast_cpu = timed(lambda: ours(path, benchmarks, options.workers))
            assert found == plain, "the flags differ"
            ratios.append(slow / fast)
            print(
                f"rows/s: open-r1's {count / slow:.0f}, r1 {count / fast:.0f}, x{slow / fast:.1f}; "
                f"CPU us per row: {slow_cpu / count * 1e6:.1f}, {fast_cpu / count * 1e6:.1f}, "
                f"x{slow_cpu / fast_cpu:.1f}"
            )
        print("flags equal:", {name: sum(flags) for name, flags in plain.items()})
        print(f"median ratio {sorted(ratios)[len(ratios) // 2]:.1f}")
        path.with_name("benchmark.jsonl").write_text(
            "".join(json.dumps({"problem": text}) + "\n" for text in items), encoding="utf-8"
        )
        for share in (4, 1):
            part = path.with_name(f"part-{share}.jsonl")
            with path.open(encoding="utf-8") as lines, part.open("w", encoding="utf-8") as file:
                file.writelines(line for n, line in enumerate(lines) if n % share == 0)
            peak = peak_mb(part, options)
            print(f"peak of the largest process, {count // share} rows: {peak:.0f} MB")
    print(f"peer's own peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
