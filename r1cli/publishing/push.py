"""The push: one commit per piece on top of what is there; asked again, only what is missing.

The hub's own client does the work and tells what the hub has already: a file with the same content
is not sent twice; of a file that was cut off midway `hf_xet` sends what it had not noted as sent.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from r1cli.errors import ProviderError, R1Error, UsageError
from r1cli.hub import endpoint, unreachable
from r1cli.publishing.hub_errors import hub_errors
from r1cli.publishing.pending import Ledger
from r1cli.publishing.pieces import Piece, Wanted, pieces
from r1cli.run import Run

log = logging.getLogger(__name__)

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*", "adapter_*")
"""Loading prefers some of these names to others: old ones left beside new ones would win."""

CARD = "README.md"

FILES = 200
"""Files of one commit; the hub asks for few per commit, and rollouts may be thousands."""

BIG = 64 * 2**20
"""Bytes from which a file is sent on its own before the commit, and then is kept by the hub."""

Row = dict[str, Any]


def push(run: Run, wanted: Wanted) -> list[Row]:
    """Push what `wanted` names and say where each piece is. Raises in one line with what is left.

    A piece that push.json has at a commit that the hub still holds is not looked at again.
    """
    ledger = Ledger(run.directory)
    offered = pieces(run, wanted)
    with _left(run, wanted, ledger, offered), hub_errors(wanted.repo):
        api = _api()
        if "/" not in wanted.repo:
            wanted = replace(wanted, repo=f"{api.whoami()['name']}/{wanted.repo}")
            offered[:] = pieces(run, wanted)
        for kind, repo in dict.fromkeys((piece.kind, piece.repo) for piece in offered):
            _make(api, kind, repo, wanted.private)
        ledger.aim(wanted)
        rows = []
        for piece in offered:
            commit, state = ledger.commit(piece), "as before"
            if not commit or not _holds(api, piece, commit):
                commit, state = _commit(api, piece), "pushed"
                ledger.record(piece, commit)
            rows.append(row(piece, state, commit))
    return rows


def push_piece(piece: Piece, *, private: bool) -> Row:
    """Push a piece that belongs to no run and say where it is."""
    with hub_errors(piece.repo):
        api = _api()
        if "/" not in piece.repo:
            piece = replace(piece, repo=f"{api.whoami()['name']}/{piece.repo}")
        _make(api, piece.kind, piece.repo, private)
        return row(piece, "pushed", _commit(api, piece))


def check_push(repo: str, kind: str, *, private: bool) -> None:
    """Raise what a push of that piece would raise at once, before hours of work; makes nothing.

    Whether the token may write there only a push tells.
    """
    from huggingface_hub.errors import RepositoryNotFoundError
    from huggingface_hub.utils import validate_repo_id

    with hub_errors(repo):
        validate_repo_id(repo)
        api = _api()
        user = api.whoami()["name"]
        try:
            info = api.repo_info(repo if "/" in repo else f"{user}/{repo}", repo_type=kind)
        except RepositoryNotFoundError:
            return
        _check_seen_by(repo, info, private)


def row(piece: Piece, state: str, commit: str | None = None) -> Row:
    """A piece as the command line lists it."""
    place = f"{'datasets/' if piece.kind == 'dataset' else ''}{piece.repo}@{piece.revision}"
    return {
        "what": piece.name,
        "state": state,
        "place": place,
        "files": len(piece.files),
        "bytes": piece.size,
        "commit": commit,
    }


@contextmanager
def _left(run: Run, wanted: Wanted, ledger: Ledger, offered: list[Piece]) -> Iterator[None]:
    """Add to an error what is left to push and the command that does it."""
    try:
        yield
    except R1Error as error:
        left = ", ".join(ledger.left(offered)) or "nothing but a look at what is there"
        raise type(error)(
            f"{error}; left to push: {left}; then run: {wanted.command(run)}"
        ) from error


def _api() -> Any:
    """The hub's client. Raises in seconds without a token or a network."""
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils import disable_progress_bars

    if problem := unreachable(anew=True):
        raise ProviderError(problem)
    if not get_token():
        raise UsageError(
            "there is no token for the hub: log in with `hf auth login`, or set HF_TOKEN"
        )
    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(endpoint=endpoint())


def _make(api: Any, kind: str, repo: str, private: bool) -> None:
    """The repository, made where it is not there. Never changes who may see it."""
    api.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
    info = api.repo_info(repo, repo_type=kind)
    _check_seen_by(repo, info, private)
    if info.private and not private:
        log.warning("%s exists and stays private; its settings on the hub change that", repo)


def _check_seen_by(repo: str, info: Any, private: bool) -> None:
    if private and not info.private:
        raise UsageError(
            f"{repo} exists on the hub and is public; add --public to push there all the same, or "
            "choose another repository"
        )


def _holds(api: Any, piece: Piece, commit: str) -> bool:
    """Whether the hub has that commit; a repository may have been deleted and made anew."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        api.repo_info(piece.repo, repo_type=piece.kind, revision=commit)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return False
    return True


def _commit(api: Any, piece: Piece) -> str:
    """The piece's files on top of its branch. Returns the commit's id."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    where = {"repo_id": piece.repo, "repo_type": piece.kind}
    if piece.revision != "main":
        # From the first commit, so that a checkpoint's branch holds that checkpoint alone.
        first = api.list_repo_commits(**where)[-1].commit_id
        api.create_branch(**where, branch=piece.revision, revision=first, exist_ok=True)
    info = api.repo_info(**where, revision=piece.revision)
    there = {file.rfilename for file in info.siblings} - {".gitattributes"}
    files = dict(piece.files)
    if piece.keeps_card and CARD in there and "r1" not in (info.tags or ()):
        log.warning("%s keeps its own %s; r1 writes none over it", piece.repo, CARD)
        del files[CARD]
    if others := there - files.keys():
        log.info("%s keeps %d other files, from commit %s", piece.repo, len(others), info.sha[:8])
    replaced = (*WEIGHTS, *piece.replaces)
    stale = [path for path in sorted(others) if any(fnmatch(path, name) for name in replaced)]
    additions = [
        CommitOperationAdd(path, file if isinstance(file, bytes) else str(file))
        for path, file in files.items()
    ]
    for addition in additions:
        if addition.upload_info.size >= BIG:
            api.preupload_lfs_files(**where, revision=piece.revision, additions=[addition])
    operations: list[Any] = [*(CommitOperationDelete(path) for path in stale), *additions]
    commit = ""
    for start in range(0, len(operations), FILES):
        done = api.create_commit(
            **where,
            revision=piece.revision,
            operations=operations[start : start + FILES],
            commit_message=f"{piece.name}, pushed by r1",
        )
        commit = str(done.oid)
    return commit
