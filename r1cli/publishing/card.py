"""The card of a pushed repository: recipe, data, rewards, scores with their intervals, versions.

Written from run.json and the resolved recipe alone, so a card can be made anew at any time. Names
of folders on this machine, its host name and tokens stay out of it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from r1cli import source
from r1cli.adapters import StoredAdapter, stored_adapter
from r1cli.recipe import Recipe
from r1cli.recipe_file import validate
from r1cli.run import RESOLVED, Run

TOKEN = re.compile(r"\b(hf_|sk-|ghp_|github_pat_|wandb_|e2b_(?=[0-9a-f]{16}))[\w-]{16,}")
USER = re.compile(r"(?<=://)[^/\s@]+@")
SECRET = re.compile(
    r"""(\b\w*(?:api_?key|access_key|(?:access|auth|hf)_token|secret|password)["']?\s*[:=]\s*)"""
    r"""(?!null\b)("[^"]*"|'[^']*'|[^\s,}]+)""",
    re.IGNORECASE,
)


def model_card(run: Run, *, step: int | None = None, adapter: bool = False) -> str:
    """README.md of a model: of the final policy, or of the checkpoint at `step`.

    Scores are the final policy's, so a checkpoint's card has none. `model-index` holds them in
    per cent, as the hub shows them.
    """
    from huggingface_hub import EvalResult, ModelCardData

    recipe, state = run.recipe, run.state
    name = recipe.name or run.directory.resolve().name
    scores = state.get("scores", []) if step is None else []
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=score["benchmark"],
            dataset_name=score["benchmark"],
            dataset_args={"spec": score["spec"], "problems": score["problems"]},
            metric_type="accuracy",
            metric_name=f"{score['label']} (95 % interval {_interval(score)})",
            metric_value=round(100 * score["mean"], 2),
        )
        for score in scores
    ]
    base, revision = base_model(recipe)
    data = ModelCardData(
        base_model=base if is_hub_id(base) else None,
        base_model_relation="adapter" if adapter and is_hub_id(base) else None,
        datasets=hub_datasets(recipe) or None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["r1", str(recipe.trainer.name)],
        model_name=name,
        eval_results=results or None,
    )
    if not results:
        data.model_name = None
    at = "" if step is None else f" This is the checkpoint at step {step}."
    kind = f" {_kind(recipe)}." if adapter else ""
    start = _base(base, revision)
    intro = f"Trained with `r1 train {recipe.trainer.name}` from {start}.{kind}{at}"
    return clean(
        f"---\n{data.to_yaml()}\n---\n\n# {name}\n\n{intro}\n\n{_scores(scores)}{_made(run)}"
    )


def merged_card(adapter: StoredAdapter) -> str:
    """README.md of an adapter merged into its base; what its own card told stands below."""
    from huggingface_hub import ModelCard, ModelCardData

    path = adapter.path.parent / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    told = ModelCard(text, ignore_metadata_errors=True).text.strip()
    data = ModelCardData(
        base_model=adapter.base if is_hub_id(adapter.base) else None,
        base_model_relation="finetune" if is_hub_id(adapter.base) else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["r1"],
    )
    base = _base(adapter.base, adapter.base_revision)
    intro = f"An adapter merged into {base}: a plain model." + (" Its own card:" if told else "")
    return clean(f"---\n{data.to_yaml()}\n---\n\n{intro}\n\n{told}\n")


def rollouts_card(run: Run, repo: str) -> str:
    """README.md of a dataset repository that holds the run's rollouts."""
    name = run.recipe.name or run.directory.resolve().name
    about = {
        "tags": ["r1", "rollouts"],
        "configs": [{"config_name": "default", "data_files": "rollouts/*.parquet"}],
    }
    return clean(
        f"---\n{source.dump(about)}---\n\n# Rollouts of {name}\n\n"
        f"Every completion that training [{repo}](/{repo}) sampled, with its rewards, advantage "
        f"and outcome; one file per step and rank.\n\n{_made(run)}"
    )


def base_model(recipe: Recipe) -> tuple[str, str | None]:
    """The model, and its revision, that the run's chain of stages began with.

    A stage starts from a run's folder; an adapter that no run left stands for its base.
    """
    name, revision = recipe.model.name, recipe.model.revision
    before = Path(name).parent / RESOLVED
    if Path(name).is_dir() and before.is_file():
        return base_model(validate(Recipe, source.read(before)))
    if adapter := stored_adapter(name, revision):
        return adapter.base, adapter.base_revision
    return name, revision


def is_hub_id(name: str) -> bool:
    """Whether a model's name can be one of the hub's, not a folder or a registered source."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not Path(name).exists()


def hub_datasets(recipe: Recipe) -> list[str]:
    """The hub ids among the recipe's datasets, for the card's metadata."""
    found = [str(i.args.get("id", "")) for i in recipe.dataset.items if i.name == "hub"]
    return [name for name in dict.fromkeys(found) if is_hub_id(name)]


def clean(text: str) -> str:
    """Without tokens, keys and passwords, and without the name of the user's home."""
    home = str(Path.home())
    text = SECRET.sub(r"\1***", USER.sub("", TOKEN.sub(r"\1***", text)))
    return text if home == "/" else re.sub(rf"{re.escape(home)}(?=[/\s\"'`]|$)", "~", text)


def _base(name: str, revision: str | None) -> str:
    if not is_hub_id(name):
        return f"`{Path(name).name}`"
    return f"[{name}](/{name})" + (f" at revision `{revision}`" if revision else "")


def _kind(recipe: Recipe) -> str:
    """What an adapter is and what it needs, in a sentence."""
    loading = "An adapter: load it with peft on its base"
    edited = ", whose config it brings edited (config.json)" if recipe.model.edits else ""
    made = recipe.model.adapter
    if made is None:
        return f"{loading}{edited}"
    kind = "DoRA" if made.dora else "LoRA"
    return f"{loading}{edited}; {kind} of rank {made.rank}, alpha {made.alpha}"


def _interval(score: dict[str, Any]) -> str:
    return f"{100 * score['low']:.1f} to {100 * score['high']:.1f}"


def _scores(scores: list[dict[str, Any]]) -> str:
    if not scores:
        return ""
    rows = "".join(
        f"| {s['benchmark']} | {s['label']} | {100 * s['mean']:.1f} | {_interval(s)} "
        f"| {s['problems']} | {s['samples']} | {100 * s['truncated']:.1f} | `{s['spec']}` |\n"
        for s in scores
    )
    head = "| benchmark | score | % | 95 % interval | problems | samples | truncated % | spec |\n"
    return f"## Scores\n\n{head}|---|---|---|---|---|---|---|---|\n{rows}\n"


def _made(run: Run) -> str:
    """Data, rewards, provenance, versions and the recipe itself."""
    recipe, state, rows = run.recipe, run.state, run.metrics()
    data = "\n".join(
        f"- `{item.name}` {_args(item.args)}, share {item.weight:g}"
        for item in recipe.dataset.items
    )
    rewards = "\n".join(
        f"- `{reward.name}`, weight {reward.weight:g}, {_args(reward.args)}"
        for reward in recipe.rewards
    )
    numbers = {k: v for k, v in (rows[-1] if rows else {}).items() if isinstance(v, (int, float))}
    last = ", ".join(f"{key} {value:.4g}" for key, value in list(numbers.items())[:12])
    facts = state.get("dataset", {})
    versions = "\n".join(f"- {name} {value}" for name, value in state.get("versions", {}).items())
    return f"""## Data

{data}

{facts.get("rows", "?")} rows, fingerprint `{facts.get("fingerprint", "?")}`.

## Rewards

{rewards or "None: supervised."}

## How it was made

- Command: `r1 {" ".join(state.get("argv", []))}`
- Started: {state.get("started", "?")}; trained for {state.get("train_seconds", 0):.0f} s; status \
{state.get("status", "?")}
- Seed: {recipe.seed}
- Commit of the working directory: `{state.get("git") or "unknown"}`
- Last metrics: {last or "none"}

The whole recipe, also in `{RESOLVED}`; `r1 train {recipe.trainer.name} --recipe {RESOLVED}` makes
it again:

```yaml
{source.dump(recipe.model_dump(mode="json")).rstrip()}
```

## Versions

- python {state.get("python", "?")}
{versions}
"""


def _args(args: dict[str, Any]) -> str:
    return f"`{json.dumps(args, ensure_ascii=False, default=str)}`" if args else "no arguments"
