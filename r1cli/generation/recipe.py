"""The shape of a recipe for `r1 generate`; every option of the command is one of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from r1cli import source
from r1cli.errors import UsageError
from r1cli.recipe import Component, RewardTerm, Strict
from r1cli.recipe_file import validate
from r1cli.types import Sampling

Keep = Literal["all", "best", "correct"]
Backend = Literal["r1", "distilabel"]

UUID = "uuid"
"""The column that identifies a row, where there is one and no other is named."""


class PromptKeys(Strict):
    """How a row becomes what the model is given.

    `column` holds a text or a conversation. `template`, in Jinja over the row's columns, writes the
    user's message instead. `system` goes before what has no system message of its own.
    """

    column: str = "prompt"
    template: str | None = None
    system: str | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)


class SamplingKeys(Strict):
    n: int = Field(default=1, ge=1)
    temperature: float = Field(default=0.6, ge=0, allow_inf_nan=False)
    top_p: float = Field(default=0.95, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=2048, ge=1)
    seed: int = Field(default=0, ge=0)


class EngineKeys(Strict):
    name: str = "transformers"
    args: dict[str, Any] = Field(default_factory=dict)


class GenerateRecipe(Strict):
    """`keep`: all samples, the best of each prompt, or those whose score is at least `threshold`.

    A score is the mean of the rewards, weighted. `uuid` names the column that identifies a row.
    """

    model: str
    dataset: Component
    engine: EngineKeys = EngineKeys()
    backend: Backend = "r1"
    sampling: SamplingKeys = SamplingKeys()
    prompt: PromptKeys = PromptKeys()
    rewards: list[RewardTerm] = Field(default_factory=list)
    code: Component = Component(name="local")
    keep: Keep = "all"
    threshold: float = Field(default=1.0, allow_inf_nan=False)
    uuid: str = UUID
    limit: int | None = Field(default=None, ge=1)

    @property
    def engine_name(self) -> str:
        """What samples: the engine, or the pipeline that stands for it."""
        return "distilabel" if self.backend == "distilabel" else self.engine.name

    @property
    def draws(self) -> Sampling:
        return Sampling(**self.sampling.model_dump())

    @property
    def engine_args(self) -> dict[str, Any]:
        """The engine's arguments, with those of the chat template where any are given."""
        kwargs = self.prompt.chat_template_kwargs
        template = {"chat_template_kwargs": kwargs} if kwargs else {}
        return {**template, **self.engine.args}


def load(path: Path | None, options: Mapping[str, Any]) -> GenerateRecipe:
    """The recipe of a file, if any, with the given options laid over it, by dotted key.

    Another dataset or engine than the file's is not given the arguments of the file's.
    """
    text = source.read(path) if path else source.Source({}, "the options", {})
    if not isinstance(text.data, dict):
        raise UsageError(f"{path} holds no recipe: expected keys such as model, dataset, engine")
    for part in ("dataset", "engine"):
        there, name = text.data.get(part), options.get(f"{part}.name")
        if isinstance(there, dict) and name and there.get("name", name) != name:
            text.data[part] = {}
    for key, value in options.items():
        _lay(text.data, key, value)
    recipe = validate(GenerateRecipe, text)
    if recipe.keep != "all" and not recipe.rewards:
        raise UsageError(f"keep {recipe.keep!r} needs a reward to go by; name one with --reward")
    for place, reward in enumerate(recipe.rewards):
        if reward.name in (other.name for other in recipe.rewards[:place]):
            raise UsageError(f"reward {reward.name!r} is there twice: its columns have one name")
        if reward.weight < 0:
            raise UsageError(
                f"reward {reward.name!r} has weight {reward.weight:g}: a score is a mean, "
                "which takes none below 0"
            )
    if recipe.rewards and not any(reward.weight for reward in recipe.rewards):
        raise UsageError("every reward has weight 0: no score can be made of them")
    if recipe.prompt.chat_template_kwargs and "chat_template_kwargs" in recipe.engine.args:
        raise UsageError(
            "chat_template_kwargs is an argument of the engine and a key of prompt "
            "(--chat-template-kwarg): say it at one of them"
        )
    chosen = recipe.engine.name if "name" in recipe.engine.model_fields_set else "openai"
    if recipe.backend == "distilabel" and chosen != "openai":
        raise UsageError(
            f"backend 'distilabel' asks an OpenAI-compatible endpoint; engine "
            f"{chosen!r} is none: leave it out, or give openai"
        )
    return recipe


def _lay(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; what stands in its way is left there, for `validate` to name."""
    place: Any = data
    *parents, last = key.split(".")
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            return
    place[last] = value
