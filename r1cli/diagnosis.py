"""What `r1 doctor` looks at. Heavy packages are tried in a child process: one may crash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from r1cli.code.opening import code_service
from r1cli.errors import R1Error
from r1cli.files import free_bytes
from r1cli.home import cache_folder
from r1cli.plugins import load_plugins
from r1cli.recipe import Component

MINIMUM_PYTHON = (3, 11)

IMPORTS = {
    "torch": ("train", "import torch"),
    "transformers": ("train", "from transformers import Qwen3ForCausalLM"),
    "datasets": ("train", "import datasets"),
    "trl": ("train", "from trl import GRPOTrainer, SFTTrainer"),
    "math-verify": ("train", "import math_verify"),
    "peft": ("train", "import peft"),
    "vllm": ("vllm", "import vllm"),
    "deepspeed": ("deepspeed", "import deepspeed"),
}
REQUIRED = ("torch", "transformers", "datasets", "trl", "math-verify")


class Finding(NamedTuple):
    check: str
    state: Literal["ok", "absent", "broken", "note"]
    detail: str


def diagnose() -> list[Finding]:
    """Every finding, cheapest first. `broken` means that training cannot work."""
    return [_python(), *_hardware(), _disk(), *_packages(), *_plugins(), *_code()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= MINIMUM_PYTHON
    return Finding("python", "ok" if good else "broken", f"{version} at {sys.executable}")


def _hardware() -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = [Finding("cpu", "ok", f"{cores} cores usable, load {os.getloadavg()[0]:.1f}")]
    if shutil.which("nvidia-smi"):
        query = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            hung = "nvidia-smi gives no answer in 20 s: a GPU or its driver hangs"
            return [*found, Finding("gpu", "broken", hung)]
        lines = done.stdout.strip().splitlines() if done.returncode == 0 else []
        found += [Finding(f"gpu {i}", "ok", line) for i, line in enumerate(lines)]
    if len(found) == 1:
        found.append(Finding("gpu", "note", "none found; the tiny recipes run on the CPU"))
    return found


def _disk() -> Finding:
    home = cache_folder("models")
    free = free_bytes(Path.cwd()) / 2**30
    state: Literal["ok", "note"] = "ok" if free > 5 else "note"
    return Finding("disk", state, f"{free:.1f} GiB free here; cache in {home}")


def _packages() -> list[Finding]:
    """Versions, then one child process that imports what is installed and says what fails."""
    found = []
    for name, (extra, line) in IMPORTS.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            state: Literal["broken", "absent"] = "broken" if name in REQUIRED else "absent"
            found.append(Finding(name, state, f"run: pip install 'r1cli[{extra}]'"))
            continue
        try:
            done = subprocess.run(
                (sys.executable, "-c", line),
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            tail = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            problem = "" if done.returncode == 0 else tail[0]
        except subprocess.TimeoutExpired:
            problem = "no answer within 300 s"
        if problem:
            found.append(Finding(name, "broken", f"{version}: {line!r} fails: {problem}"))
        else:
            found.append(Finding(name, "ok", version))
    return found


def _plugins() -> list[Finding]:
    loaded = load_plugins().loaded
    bad = [Finding(f"plugin {p.name}", "note", p.problem) for p in loaded if p.problem]
    return bad or [Finding("plugins", "ok", f"{len(loaded)} loaded")]


def _code() -> list[Finding]:
    """What holds model-written programs in here, and which languages want something installed."""
    try:
        with code_service(Component(name="local"), load_plugins(), where="doctor") as code:
            can = code.capabilities
    except R1Error as error:
        return [Finding("code sandbox", "note", str(error))]
    wanted = sorted(set(can.missing.values()))
    languages = ", ".join(can.languages)
    found = [Finding("code sandbox", "ok", f"local, by {can.isolation}: {languages}")]
    return found + [Finding("code language", "absent", line) for line in wanted]
