"""What a run has to offer the hub: pieces, each for one branch of one repository."""

from __future__ import annotations

import hashlib
import logging
import shlex
from dataclasses import dataclass
from pathlib import Path

from r1cli.adapters import ADAPTER_CONFIG, StoredAdapter, stored_adapter
from r1cli.errors import UsageError
from r1cli.publishing.card import clean, model_card, rollouts_card
from r1cli.run import RESOLVED, Run

log = logging.getLogger(__name__)

LOADED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py", "pytorch_model*.bin")
"""What loading a model reads. Optimizer and generator states are for resuming here, and
training_args.bin is a pickle with this machine's paths in it."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; `repo` is `owner/name`, or a name under the token's own account."""

    repo: str
    private: bool = True
    revision: str = "main"
    checkpoints: bool = False
    rollouts: bool = False
    eval: bool = False

    def command(self, run: Run) -> str:
        """The command line that asks for the same."""
        words = ["r1", "push", str(run.directory), "--repo", self.repo]
        words += [] if self.private else ["--public"]
        words += ["--revision", self.revision] if self.revision != "main" else []
        extras = ("checkpoints", "rollouts", "eval")
        return shlex.join([*words, *(f"--{name}" for name in extras if getattr(self, name))])


@dataclass(frozen=True)
class Piece:
    """Files by their path in the repository: on disk, or text made for the push.

    Other files there stay, but for old weights and those that match `replaces`. With `keeps_card`
    so does a README.md that somebody wrote: one without the tag `r1`.
    """

    name: str
    kind: str  # the hub's repo_type: "model" or "dataset"
    repo: str
    revision: str
    files: dict[str, Path | bytes]
    replaces: tuple[str, ...] = ()
    keeps_card: bool = False

    @property
    def size(self) -> int:
        return sum(
            len(f) if isinstance(f, bytes) else f.stat().st_size for f in self.files.values()
        )

    def digest(self) -> str:
        """Changes with the files: by content where it was made here, else by size and time."""
        digest = hashlib.sha256()
        for path, file in sorted(self.files.items()):
            if isinstance(file, bytes):
                mark = hashlib.sha256(file).hexdigest()
            else:
                mark = f"{file.stat().st_size} {file.stat().st_mtime_ns}"
            digest.update(f"{path} {mark}\n".encode())
        return digest.hexdigest()[:16]


def pieces(run: Run, wanted: Wanted) -> list[Piece]:
    """All that `wanted` names, the policy first. Raises UsageError for what the run lacks.

    A run that is not through yet can push the checkpoints it has.
    """
    found = []
    if wanted.checkpoints and not run.model.is_dir():
        log.warning("%s has no final model yet", run.directory)
    else:
        found.append(_policy(run, wanted))
    if wanted.checkpoints:
        found += _checkpoints(run, wanted)
    if wanted.rollouts:
        found.append(_rollouts(run, wanted))
    return found


def _policy(run: Run, wanted: Wanted) -> Piece:
    """What the run trained: a model, or an adapter."""
    if not run.model.is_dir():
        status = run.state.get("status", "not started")
        raise UsageError(f"{run.directory} has no final model yet, its status is: {status}")
    files = _model_files(run.model)
    adapter = stored_adapter(str(run.model))
    if adapter:
        _say_what_it_needs(run, adapter)
    files["README.md"] = model_card(run, adapter=adapter is not None).encode()
    files[RESOLVED] = clean((run.directory / RESOLVED).read_text(encoding="utf-8")).encode()
    if wanted.eval:
        samples = sorted((run.directory / "eval").glob("*.jsonl"))
        if not samples:
            raise UsageError(f"{run.directory} holds no evaluation; see: r1 eval --list")
        files |= {f"eval/{path.name}": path for path in samples}
    name = "adapter" if adapter else "model"
    return Piece(name, "model", wanted.repo, wanted.revision, files)


def _say_what_it_needs(run: Run, adapter: StoredAdapter) -> None:
    """An adapter is of use to others only where they have its base."""
    merge = f"r1 model merge {run.directory} --out DIR"
    if Path(adapter.base).is_dir():
        log.warning(
            "the adapter's base is the folder %s of this machine: push that model too, or merge "
            "the adapter into it, for others to use it: %s",
            *(adapter.base, merge),
        )
    elif adapter.edited_config:
        log.warning(
            "the adapter's base was edited (model.edits): r1 reads that from its config.json, "
            "others load the base as it was; a merged model has it in itself: %s",
            merge,
        )


def _checkpoints(run: Run, wanted: Wanted) -> list[Piece]:
    """Checkpoints that were written whole, each on a branch `step-N`."""
    steps = {
        int(folder.name.split("-")[-1]): folder
        for folder in run.checkpoints.glob("checkpoint-*")
        if folder.name.split("-")[-1].isdigit() and (folder / "trainer_state.json").is_file()
    }
    if not steps:
        raise UsageError(f"{run.checkpoints} holds no checkpoint")
    found = []
    for step, folder in sorted(steps.items()):
        files = _model_files(folder)
        if not {"config.json", ADAPTER_CONFIG} & files.keys():
            log.warning("left out %s: it is not in a form that transformers loads", folder)
            continue
        card = model_card(run, step=step, adapter=ADAPTER_CONFIG in files)
        files["README.md"] = card.encode()
        found.append(Piece(f"step-{step}", "model", wanted.repo, f"step-{step}", files))
    return found


def _rollouts(run: Run, wanted: Wanted) -> Piece:
    """A dataset repository of its own, beside the model's."""
    tables = sorted((run.directory / "rollouts").glob("*.parquet"))
    if not tables:
        raise UsageError(f"{run.directory} holds no rollouts; supervised training has none")
    files: dict[str, Path | bytes] = {f"rollouts/{path.name}": path for path in tables}
    files["README.md"] = rollouts_card(run, wanted.repo).encode()
    return Piece("rollouts", "dataset", f"{wanted.repo}-rollouts", "main", files)


def _model_files(folder: Path) -> dict[str, Path | bytes]:
    found = {path for pattern in LOADED for path in folder.glob(pattern) if path.is_file()}
    files: dict[str, Path | bytes] = {
        path.name: path for path in sorted(found) if not path.name.startswith(".")
    }
    if ADAPTER_CONFIG in files:  # it names its base, which may lie in the user's home
        text = (folder / ADAPTER_CONFIG).read_text(encoding="utf-8")
        files[ADAPTER_CONFIG] = clean(text).encode()
    return files
