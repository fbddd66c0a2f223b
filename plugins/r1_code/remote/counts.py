"""Numbers of things to have at a time: with none, everybody would wait for ever."""

from __future__ import annotations

from r1cli import UsageError


def at_least_one(provider: str, **counts: float) -> None:
    """Raises UsageError for an argument below 1."""
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"code provider {provider!r}: {name} {count} is not 1 or more")
