"""`failures/`: the samples on which a reward raised, for `r1 reward test --replay`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from r1cli.files import write_atomic
from r1cli.scoring.judge import Sample
from r1cli.scoring.reward import BoundReward, RewardError
from r1cli.signature import SERVICES


def save(
    folder: Path, reward: BoundReward, samples: Sequence[Sample], error: RewardError, step: int
) -> Path:
    """Write the samples with all that the reward was given; return the file."""
    path = folder / f"{reward.name}-{step}.json"
    names = [name for name in samples[0][1] if name != "prompts"] if samples else []
    saved = {
        "reward": reward.name,
        "args": {k: v for k, v in reward.args.items() if k not in SERVICES},
        "error": str(error),
        "trace": error.trace,
        "completions": [
            {
                "text": str(text)[len(getattr(text, "prefill", "")) :],
                "prefill": getattr(text, "prefill", ""),
                "tokens": getattr(text, "tokens", 0),
                "truncated": getattr(text, "truncated", False),
            }
            for text, _ in samples
        ],
        "prompts": [data.get("prompts", "") for _, data in samples],
        "columns": {name: [data[name] for _, data in samples] for name in names},
    }
    write_atomic(path, json.dumps(saved, indent=2, ensure_ascii=False, default=str) + "\n")
    return path
