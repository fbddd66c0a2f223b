"""What the hub's client raises, as one line without a token in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from r1cli.errors import ProviderError, R1Error, UsageError, causes
from r1cli.hub import hub_line


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
        raise UsageError(f"{repo!r} is no name for the hub: {hub_line(error)}") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        answers = [one for one in causes(error) if isinstance(one, HfHubHTTPError)]
        if answers:
            raise _answered(repo, answers[0]) from error
        raise ProviderError(
            f"the upload to {repo} broke off: {hub_line(causes(error)[-1])}"
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
            f"the token may not write to {repo}: choose another repository, or give it the "
            "right to write there"
        )
    if status == 404:
        return UsageError(f"the hub has no {repo} that this token may see")
    if status in (409, 412):
        return ProviderError(f"somebody else is changing {repo} at this moment; try again")
    if status == 400:
        return UsageError(f"the hub refused the push to {repo}: {hub_line(error)}")
    return ProviderError(f"the hub failed for {repo}: {hub_line(error)}")
