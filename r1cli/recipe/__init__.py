"""The shape of a recipe. Read by `recipe_file.py`; what its names mean is checked in `check.py`."""

from r1cli.recipe.dataset import Dataset, MixtureItem
from r1cli.recipe.model import Adapter, Edits, Model
from r1cli.recipe.parts import Component, Strict
from r1cli.recipe.recipe import (
    Batch,
    BenchmarkRun,
    Hub,
    Launch,
    Pipeline,
    Recipe,
    RewardTerm,
    Scoring,
    Stage,
    Trainer,
    Vllm,
)

__all__ = [
    "Adapter",
    "Batch",
    "BenchmarkRun",
    "Component",
    "Dataset",
    "Edits",
    "Hub",
    "Launch",
    "MixtureItem",
    "Model",
    "Pipeline",
    "Recipe",
    "RewardTerm",
    "Scoring",
    "Stage",
    "Strict",
    "Trainer",
    "Vllm",
]
