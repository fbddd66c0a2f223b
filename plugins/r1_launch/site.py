"""What a cluster wants from every job: one YAML file, written once per user and cluster.

    partition: gpu            account: my-project       qos: normal          constraint: h100
    gpus_per_node: 8          cpus_per_task: 96         memory: 0            time: "24:00:00"
    modules: [cuda/12.8]      # module load, each
    setup: [export NCCL_SOCKET_IFNAME=ib0]      # lines of bash, run before r1
    sbatch: [--exclusive]     # any further flags of sbatch

It is looked for at $R1_SITE, else $XDG_CONFIG_HOME/r1/site.yaml, else ~/.config/r1/site.yaml.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from r1cli import UsageError, one_line, suggest


@dataclass(frozen=True)
class Site:
    """Resources are per node. None says nothing to SLURM, which then has its own default.

    `time` and `memory` are in SLURM's own words: "2-00:00:00" or minutes; "64G" or megabytes, 0
    being all of a node.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: str | None = None
    memory: str | None = None
    gpus_per_node: int | None = None
    cpus_per_task: int | None = None
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    sbatch: tuple[str, ...] = ()

    def overridden(self, **said: Any) -> Site:
        """This site with what a recipe says in its place; None and () say nothing."""
        return replace(
            self, **{key: value for key, value in said.items() if value not in (None, ())}
        )


NUMBERS = ("gpus_per_node", "cpus_per_task")
LISTS = ("modules", "setup", "sbatch")


def seconds(time: str) -> int | None:
    """A time limit in SLURM's words, in seconds: "90" is minutes, "1-12" days and hours."""
    parts = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time)
    if parts is None:
        return None
    days, first, second, third = (int(part or 0) for part in parts.groups())
    if parts[1] or parts[4]:  # D-H[:M[:S]] or H:M:S
        return 86400 * days + 3600 * first + 60 * second + third
    return 60 * first + second  # M[:S]


def site_file() -> Path:
    """Where the site file is or would be."""
    if said := os.environ.get("R1_SITE"):
        return Path(said)
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "r1" / "site.yaml"


def load_site() -> Site:
    """The site file; without one, nothing is said. Raises UsageError for one that is wrong."""
    import yaml

    path = site_file()
    if not path.exists() and "R1_SITE" not in os.environ:
        return Site()
    try:
        # BaseLoader: everything is text. To YAML 1.1 the time 24:00:00 is the number 86400.
        data = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"the site file {path} cannot be read: {one_line(error)}") from error
    if not isinstance(data or {}, dict):
        raise UsageError(f"the site file {path} is no list of keys and values")
    return Site(**{key: _value(key, value, path) for key, value in (data or {}).items()})


def _value(key: str, value: Any, path: Path) -> Any:
    known = [field.name for field in fields(Site)]
    if key not in known:
        raise UsageError(f"unknown key {key!r} in the site file {path}; {suggest(key, known)}")
    if value in ("", "~", "null"):  # a key that is there and says nothing
        return () if key in LISTS else None
    if key in LISTS:
        items = value if isinstance(value, list) else [value]
        if all(isinstance(item, str) for item in items):
            return tuple(items)
    elif isinstance(value, str):
        if key not in NUMBERS:
            return value
        if value.isdecimal():
            return int(value)
    wanted = "a list of lines" if key in LISTS else "a number" if key in NUMBERS else "text"
    raise UsageError(f"{key} is {value!r} in the site file {path}; it takes {wanted}")
