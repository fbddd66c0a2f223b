"""What every part of a recipe is: strict, frozen, with a name where it stands for something."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Component(Strict):
    """A registered thing by name, with its keyword arguments."""

    name: str
    args: dict[str, Any] = {}
