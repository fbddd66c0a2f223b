"""The model card saved beside a policy: what it is, how it was made, how to make it again."""

from __future__ import annotations

import json
from typing import Any

from r1cli import Recipe, Run


def card(recipe: Recipe, run: Run, metrics: dict[str, Any]) -> str:
    """A README.md with the recipe's facts and the versions that trained it."""
    state = run.state
    rewards = "\n".join(
        f"- `{r.name}`, weight {r.weight}, args `{json.dumps(r.args)}`" for r in recipe.rewards
    )
    data = ", ".join(f"`{item.name}` {json.dumps(item.args)}" for item in recipe.dataset.items)
    versions = ", ".join(f"{name} {value}" for name, value in state.get("versions", {}).items())
    last = {k: v for k, v in metrics.items() if isinstance(v, (int, float))}
    shown = ", ".join(f"{name} {value:.4g}" for name, value in list(last.items())[:12])
    return f"""---
library_name: transformers
tags: [r1, {recipe.trainer.name}]
---

# {recipe.name}

Trained with `r1 train {recipe.trainer.name}` from `{recipe.model.name}`.

- Data: {data}; fingerprint `{state.get("dataset", {}).get("fingerprint", "?")}`
- Seed: {recipe.seed}
- Command: `r1 {" ".join(state.get("argv", []))}`
- Commit: `{state.get("git")}`
- Versions: {versions}
- Last metrics: {shown or "none"}

## Rewards

{rewards or "none: supervised"}

The whole recipe is in `recipe.resolved.yaml` of the run.
"""
