"""The gold answers of a row whose answers are words."""

from __future__ import annotations


def gold_texts(solution: object) -> list[str]:
    """All that are accepted: one, or a list of them; numbers, as JSON has them, as text."""
    several = solution if isinstance(solution, list) else [solution]
    return [str(text) for text in several if text is not None]
