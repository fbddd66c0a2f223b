"""What was generated, to the hub: one split of a dataset, and a card that says how it was made."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from r1cli.data.hub_files import push_rows
from r1cli.data.row_file import RowFile
from r1cli.errors import ProviderError, UsageError
from r1cli.generation.recipe import GenerateRecipe
from r1cli.publishing.card import clean
from r1cli.source import dump

HOST = re.compile(r"(?<=://)[^/\s]+")


def publish(out: Path, repo: str, recipe: GenerateRecipe, *, private: bool) -> dict[str, Any]:
    """Push the rows of `out` as the split `train`; what was pushed, and where to.

    Raises UsageError and ProviderError with the command that pushes the file later.
    """
    try:
        return push_rows(RowFile(out), repo, split="train", private=private, about=about(recipe))
    except (UsageError, ProviderError) as error:
        later = ["r1", "data", "push", str(out), repo, *([] if private else ["--public"])]
        raise type(error)(f"{error}; {out} is whole, to push it: {shlex.join(later)}") from error


def about(recipe: GenerateRecipe) -> str:
    """The text of the card: the model, the data, and the recipe that makes the same again.

    Which machine served the model is blotted out.
    """
    said = recipe.model_dump(mode="json", exclude_defaults=True)
    for key, value in (args := said.get("engine", {}).get("args", {})).items():
        args[key] = HOST.sub("***", value) if isinstance(value, str) else value
    return clean(
        f"Completions of {recipe.model} for the prompts of {recipe.dataset.name}, "
        f"{recipe.sampling.n} per prompt, kept: {recipe.keep}. Each row has the conversation in "
        "`messages`, ready for supervised fine-tuning.\n\n"
        f"Made by `r1 generate --recipe` with this recipe:\n\n```yaml\n{dump(said)}```\n"
    )
