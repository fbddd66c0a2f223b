"""Does the faster GRPO step learn the same? tiny/grpo with it and with TRL's own, one cold start.

    python benchmarks/learning.py --seeds 0 1 2

Prints held-out avg@8 with its 95 % interval and the training seconds of both, per seed. The two
draw different random numbers, so the scores agree within noise, not to the digit.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import r1_trl.fast
from r1cli import recipe_file as recipes
from r1cli import ui
from r1cli.pipeline import train
from r1cli.plugins import builtin_plugins


def stock_trainer():
    """TRL's trainer as it is."""
    from trl import GRPOTrainer

    return GRPOTrainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    plugins, ours, rows = builtin_plugins(), r1_trl.fast.fast_trainer, []
    for seed in parser.parse_args().seeds:
        for name, trainer in (("TRL", stock_trainer), ("r1", ours)):
            r1_trl.fast.fast_trainer = trainer
            recipe = recipes.load("tiny/grpo", [f"seed={seed}", "callbacks=[]"])
            with tempfile.TemporaryDirectory() as folder:
                state = train(recipe, plugins, Path(folder) / "run").state
            score = state["scores"][0]
            interval = ui.with_interval(score["mean"], score["low"], score["high"])
            rows.append(
                {
                    "seed": seed,
                    "step": name,
                    "avg@8_%": interval,
                    "tokens": score["tokens"],
                    "train_s": state["train_seconds"],
                }
            )
    ui.table(rows, list(rows[0]))


if __name__ == "__main__":
    main()
