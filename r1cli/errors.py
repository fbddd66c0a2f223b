"""The error tree. Library code raises these; only the command line prints them.

    R1Error            1    something went wrong that the user can act on
    |- UsageError      2    a wrong name, value, recipe or file
    |- MissingExtra    3    a package that an extra installs is absent
    |- PluginError     4    a plugin broke its contract
    |- ProviderError   5    infrastructure failed: a hub, a server, a disk
    `- Interrupted   130    stopped by the user or a signal; work so far is kept

A message is one line, starts in lower case, names the bad value and where it came from, and says
what would work.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class R1Error(Exception):
    """Anything a user should read as one line instead of a traceback."""

    exit_code = 1


class UsageError(R1Error):
    exit_code = 2


class MissingExtra(R1Error):
    exit_code = 3


class PluginError(R1Error):
    exit_code = 4


class ProviderError(R1Error):
    exit_code = 5


class Interrupted(R1Error):
    exit_code = 130


def one_line(said: object, most: int = 300) -> str:
    """A text, or what an error says, as a message can hold it: one line of `most` characters."""
    line = " ".join(str(said).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def causes(error: BaseException) -> list[BaseException]:
    """The error and what led to it, the first cause last."""
    chain = [error]
    while before := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(before)
    return chain


def suggest(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest known one, else all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known"
