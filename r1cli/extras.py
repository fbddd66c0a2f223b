"""A missing heavy package in one sentence: which extra brings it, and the line to type."""

from __future__ import annotations

import importlib.util

from r1cli.errors import MissingExtra


def require(extra: str, *modules: str) -> None:
    """Raise MissingExtra unless every module can be found. Looks, does not import."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{', '.join(missing)} is not installed; run: pip install 'r1cli[{extra}]'"
        )
