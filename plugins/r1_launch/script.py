"""The batch script of one job: a script of slurm/ with this job's resources and this site's setup.

The scripts in slurm/ work by hand; nothing is written here that they do not say too.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from r1_launch.site import Site
from r1cli import UsageError, suggest

ENDED = (
    "trap 'echo \"${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID} $? $(date +%s) "
    '${SLURM_ARRAY_TASK_COUNT:-1}" '
    '> "$R1_JOB/job.ended${SLURM_ARRAY_TASK_ID:+.$SLURM_ARRAY_TASK_ID}"\' EXIT'
)
"""What `records.exit_code` reads."""


def scripts() -> dict[str, Path]:
    """The shipped scripts by name, from the package or from a checkout."""
    package = Path(str(resources.files("r1cli")))
    folder = package / "slurm" if (package / "slurm").is_dir() else package.parent / "slurm"
    return {path.stem: path for path in sorted(folder.glob("*.slurm"))}


def render(
    name: str, flags: Sequence[str], site: Site, directory: Path, exports: Mapping[str, str]
) -> str:
    """The script `name` for a job whose directory is `directory`.

    `flags` are sbatch's and stand before the script's own, so that they win. How it ended is noted
    in `job.ended`, each task of an array in one of its own: id, exit code, time, number of tasks.
    SLURM forgets it after some minutes.
    """
    known = scripts()
    if name not in known:
        raise UsageError(f"no script {name!r} to submit; {suggest(name, known)}")
    body = known[name].read_text(encoding="utf-8").splitlines()
    given = {flag.partition("=")[0] for flag in flags}
    own = [line.removeprefix("#SBATCH ") for line in body if line.startswith("#SBATCH ")]
    directives = [*flags, *(flag for flag in own if flag.partition("=")[0] not in given)]
    said = {"R1_JOB": str(directory), **exports}
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *(f"#SBATCH {shlex.quote(flag)}" for flag in directives),
            f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
            *(f"module load {shlex.quote(module)}" for module in site.modules),
            *site.setup,
            *(f"export {key}={shlex.quote(value)}" for key, value in said.items()),
            ENDED,
            "",
            *(line for line in body[1:] if not line.startswith("#SBATCH ")),
            "",
        ]
    )
