"""What the hub's client raises, as one line without a token in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from r1cli.errors import ProviderError, R1Error, UsageError

SHOWN = 200  # characters of another library's message


@contextmanager
def hub_errors(repo: str) -> Iterator[None]:
    """UsageError for what the user can mend, ProviderError for a hub or network that failed."""
    # The hub client's own name for its HTTP library's errors: the library changes (httpx, httpx2).
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    try:
        yield
    except R1Error:
        raise
    except HFValidationError as error:
        raise UsageError(f"--repo {repo} is no name for the hub: {_line(error)}") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        answers = [one for one in _chain(error) if isinstance(one, HfHubHTTPError)]
        if answers:
            raise _answered(repo, answers[0]) from error
        raise ProviderError(
            f"the upload to {repo} broke off: {_line(_chain(error)[-1])}"
        ) from error


def _answered(repo: str, error: BaseException) -> R1Error:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status == 401:
        return UsageError(
            "the hub refused the token (expired, revoked or mistyped): log in with "
            "`hf auth login`, or set HF_TOKEN"
        )
    if status == 403:
        return UsageError(
            f"the token may not write to {repo}: choose another --repo, or give it the right to "
            "write there"
        )
    if status == 404:
        return UsageError(f"the hub has no {repo} that this token may see")
    if status in (409, 412):
        return ProviderError(f"somebody else is changing {repo} at this moment; try again")
    if status == 400:
        return UsageError(f"the hub refused the push to {repo}: {_line(error)}")
    return ProviderError(f"the hub failed for {repo}: {_line(error)}")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what led to it, the first cause last."""
    chain = [error]
    while before := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(before)
    return chain


def _line(error: BaseException) -> str:
    """The message in one line, without the token in use, which a client may have put into it."""
    from huggingface_hub import get_token

    line = " ".join(str(error).split()) or type(error).__name__
    for token in (get_token(), os.environ.get("HF_TOKEN")):
        line = line.replace(token, "***") if token else line
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."
