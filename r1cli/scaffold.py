"""A new plugin as a folder that works as it is: `r1 plugins new`."""

from __future__ import annotations

import builtins
import keyword
import tempfile
from importlib import resources
from pathlib import Path
from string import Template

from r1cli.errors import UsageError
from r1cli.files import disk_errors
from r1cli.plugins import PREFIX, builtin_plugins
from r1cli.registry import NAME

_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "module.py.txt": "$module/__init__.py",
    "golden.jsonl.txt": "$module/golden/$name.jsonl",
    "test.py.txt": "tests/test_$name.py",
}


def new_plugin(name: str, to: Path) -> Path:
    """Write the plugin `r1-plugin-NAME` with the reward NAME below `to`; its folder.

    Raises UsageError, and writes nothing, where the name cannot be one or the folder exists.
    """
    reward = name.removeprefix(PREFIX).replace("-", "_")
    _check(name, reward)
    words = {
        "name": reward,
        "module": f"r1_plugin_{reward}",
        "distribution": PREFIX + reward.replace("_", "-"),
    }
    folder = to / words["distribution"]
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} exists; remove it, or choose another name or --to")
    with disk_errors(folder):
        to.mkdir(parents=True, exist_ok=True)
        # Written beside its place and renamed: whole or not there.
        with tempfile.TemporaryDirectory(dir=to, prefix=".new-") as beside:
            whole = Path(beside) / "plugin"
            for template, path in _FILES.items():
                file = whole / Template(path).substitute(words)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(Template(_read(template)).substitute(words), encoding="utf-8")
            whole.rename(folder)
    return folder


def _check(name: str, reward: str) -> None:
    if not NAME.fullmatch(reward) or not reward.isascii():
        raise UsageError(
            f"{name!r} cannot name a plugin; write small letters, digits and dashes, "
            "a letter first: my-reward, say"
        )
    if keyword.iskeyword(reward) or hasattr(builtins, reward):
        raise UsageError(
            f"{name!r} is a word of Python, and a reward is a function; {reward}-reward would work"
        )
    rewards = builtin_plugins()["rewards"]
    if reward in rewards:
        raise UsageError(
            f"{name!r} is a built-in reward, which owns its name; my-{reward} would work"
        )


def _read(template: str) -> str:
    folder = resources.files("r1cli") / "templates" / "plugin"
    return (folder / template).read_text(encoding="utf-8")
