"""The reward runtime against TRL's `accuracy_reward` and a plain loop over math-verify, in one run.

    python benchmarks/rewards.py [--problems 64] [--peer-problems 64] [--seed 0]

A GRPO-like batch: `problems` x 16 different completions of about 2,000 words, half of them right.
Prints throughputs and ratios, the samples on which the verdicts differ with who is right, the time
for 1,000 pathological answers, and what a trivial reward costs per sample. `--peer-problems` has
the peers judge the first few problems only; their throughput is per sample either way.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r1_rewards.accuracy import accuracy
from r1cli import Completion, Scorer, ui
from r1cli.recipe import Scoring
from r1cli.scoring import BoundReward

DATA = Path(__file__).parents[2] / "shared/data/bench/math_500.jsonl"
GROUP, WORDS = 16, 2000


def trivial(completions: list[str]) -> list[float]:
    return [float(len(text) % 2) for text in completions]


def problems(count: int, rng: random.Random) -> list[dict[str, str]]:
    if DATA.exists():
        rows = [json.loads(line) for line in DATA.read_text().splitlines()]
        return rng.sample(rows, count)
    pairs = [(rng.randint(2, 99), rng.randint(2, 99)) for _ in range(count)]
    return [
        {"problem": f"What is ${a}/{b}$?", "answer": rf"\frac{{{a}}}{{{b}}}", "solution": "Divide."}
        for a, b in pairs
    ]


def batch(rows: list[dict[str, str]], rng: random.Random) -> tuple[list[Completion], list[int]]:
    """Completions and whether each states the gold answer; formulas among the words, as in life."""
    pool = " ".join(row["solution"] for row in rows).replace(r"\boxed", "").split()
    texts, right = [], []
    for number, row in enumerate(rows):
        for sample in range(GROUP):
            start = rng.randrange(max(len(pool) - WORDS, 1))
            words = (pool * (WORDS // len(pool) + 2))[start : start + WORDS]
            good = sample % 2 == 0
            said = row["answer"] if good else rows[(number + 1 + sample) % len(rows)]["answer"]
            text = f"<think>{' '.join(words)}</think>The answer is $\\boxed{{{said}}}$."
            texts.append(Completion(text, tokens=WORDS))
            right.append(int(good or said == row["answer"]))
    return texts, right


def math_verify_loop(texts: list[Completion], golds: list[str]) -> list[float | None]:
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig()]
    found: list[float | None] = []
    for text, gold in zip(texts, golds, strict=True):
        expected = parse(f"${gold}$", config)
        found.append(float(verify(expected, parse(text, config))) if expected else None)
    return found


def trl_reward(texts: list[Completion], golds: list[str]) -> list[float | None]:
    from trl.rewards import accuracy_reward

    messages = [[{"role": "assistant", "content": str(text)}] for text in texts]
    return list(accuracy_reward(messages, [f"${gold}$" for gold in golds]))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return call(), time.perf_counter() - started


def differences(rows: Any, ours: Any, theirs: Any, right: list[int], texts: Any) -> list[Any]:
    """The samples on which two verdicts differ, and whose is the text's own."""
    return [
        {
            "sample": i,
            "gold": rows[i // GROUP]["answer"][:40],
            "said": str(texts[i]).rpartition("</think>")[2][15:60],
            "r1": a,
            "peer": b,
            "right": "r1" if a == right[i] else "peer",
        }
        for i, (a, b) in enumerate(zip(ours, theirs, strict=False))
        if a != b
    ]


PATHOLOGIES = [
    lambda n: "9" + "^9" * n,
    lambda n: "9" + "^{9" * n + "}" * n,
    lambda n: r"\frac{1}{" * n + "2" + "}" * n,
    lambda n: "(" * n + "x" + ")" * n,
    lambda n: f"(x+y+1)^{{{n}0}}-(x+y+1)^{{{n}0}}",
    lambda n: "!".join(["9"] * 1) + "!" * (n % 9),
    lambda n: rf"\sum_{{k=1}}^{{10^{n}}} \frac{{1}}{{k!}}",
    lambda n: rf"\int_0^{n} e^{{x^x}} \sin(x^{n}) dx",
    lambda n: r"\sqrt{" * n + "2" + "}" * n,
    lambda n: "|" * n + "x" + "|" * n,
    lambda n: "1" * (n * 100),
    lambda n: f"x^{n}+" * n + "1=0",
    lambda n: r"\begin{pmatrix}" + "&".join("1" * n) + r"\end{pmatrix}",
    lambda n: "{" * n,
    lambda n: ",".join(map(str, range(n * 10))),
    lambda n: rf"\binom{{10^{n}}}{{10^{n // 2}}}",
    lambda n: r"\cos(" * n + "x" + ")" * n,
    lambda n: f"{n}" + r"\%" * n,
    lambda n: "\u202e" * n + str(n),
    lambda n: " or ".join(str(i) for i in range(n)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--peer-problems", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    rng = random.Random(given.seed)
    rows = problems(given.problems, rng)
    texts, right = batch(rows, rng)
    golds = [row["answer"] for row in rows for _ in range(GROUP)]
    prompts = [row["problem"] for row in rows for _ in range(GROUP)]
    part = slice(0, min(given.peer_problems, given.problems) * GROUP)
    reward = BoundReward("accuracy", accuracy, {})

    with Scorer([reward]) as scorer:
        warm = [Completion(rf"\boxed{{\frac{{{n}}}{{x}}}}") for n in range(1, 33)]
        scorer.score(warm, [str(n) for n in range(32)], {"solution": [r"$\frac{1}{x}$"] * 32})
        found, seconds = timed(lambda: scorer.score(texts, prompts, {"solution": golds}))
        _, again = timed(lambda: scorer.score(texts, prompts, {"solution": golds}))
    ours = [outcome.value for outcome in found[0]]
    speeds = {"r1 accuracy, pool": len(texts) / seconds}
    peers = {"trl accuracy_reward": trl_reward, "math-verify loop": math_verify_loop}
    verdicts = {}
    for name, peer in peers.items():
        peer(texts[:2], golds[:2])  # imports
        verdicts[name], took = timed(lambda peer=peer: peer(texts[part], golds[part]))
        speeds[name] = len(texts[part]) / took
    best = speeds["r1 accuracy, pool"]
    table = [
        {"math reward": name, "samples/s": round(speed), "r1 is faster by": f"{best / speed:.1f}x"}
        for name, speed in speeds.items()
    ]
    ui.table(table, list(table[0]))
    ui.say(f"the same batch once more (known): {len(texts) / again:.0f} samples/s")
    wrong = sum(a != b for a, b in zip(ours, right, strict=True))
    ui.say(f"r1 differs from what was written into the batch on {wrong} of {len(right)}")
    for name, theirs in verdicts.items():
        differ = differences(rows, ours, theirs, right, texts)
        ui.say(f"verdicts differ from {name} on {len(differ)} of {len(theirs)}")
        if differ:
            ui.table(differ[:40], list(differ[0]))

    bombs = [make(n) for n in range(1, 51) for make in PATHOLOGIES]
    attacks = [Completion(rf"\boxed{{{bomb}}}") for bomb in bombs]
    gold = {"solution": [r"\frac{x^2+1}{3}"] * len(attacks)}
    with Scorer([reward], limits=Scoring(seconds=5)) as scorer:
        found, seconds = timed(lambda: scorer.score(attacks, ["bomb"] * len(attacks), gold))
    ends = [o.status if o.value is None else str(o.value) for o in found[0]]
    said = ", ".join(f"{end}: {ends.count(end)}" for end in sorted(set(ends)))
    ui.say(f"{len(attacks)} pathological answers in {seconds:.1f} s, hangs: 0 ({said})")

    from rewards import trivial as importable  # by name: a worker has another __main__

    few = [Completion(f"{text}{n}") for n, text in enumerate(texts[:1024])]
    owned = [f"p{n // GROUP}" for n in range(len(few))]
    with Scorer([BoundReward("trivial", importable, {})]) as scorer:
        scorer.score(few[:64], owned[:64], {})
        times = []
        for number in range(9):
            fresh = [Completion(f"{text}{number}") for text in few]
            times.append(timed(lambda fresh=fresh: scorer.score(fresh, owned, {}))[1])
    middle = sorted(times)[len(times) // 2]
    ui.say(
        f"a trivial reward on {len(few)} completions of {WORDS} words costs "
        f"{1e6 * middle / len(few):.0f} us per sample (median of {len(times)}; goal 100)"
    )


if __name__ == "__main__":
    main()
