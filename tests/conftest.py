"""What every test gets: a home of its own, a command line to call, distributions to invent."""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine, which may be busy with other tests.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Torch reads it at import. Tests share their machine, and waiting threads would burn its cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

STATE = ("R1_PLUGINS", "R1_DEBUG", "R1_LAUNCHED", "RANK", "LOCAL_RANK", "WORLD_SIZE")
"""What a developer's shell or a launcher may have set, and no test may depend on."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A file's tests run in one process, and those of the sandbox in one as well.

    The latter look at the whole host for what a program left behind.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = "tests/r1_code/"
            return folder if nodeid.startswith(folder) else super()._split_scope(nodeid)

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def isolation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One R1_HOME per session: what is built once (a tiny model, say) is shared by the tests."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts background jobs
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("R1_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("COLUMNS", "100")  # help is wrapped to the terminal
        for name in STATE:
            patch.delenv(name, raising=False)
        yield


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def r1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """The CLI in this process and in tmp_path: `r1("runs", "list")`. What it raises is raised."""
    from typer.testing import CliRunner

    from r1cli.cli import app

    monkeypatch.chdir(tmp_path)

    def call(*args: object, env: Mapping[str, str] | None = None) -> Answer:
        result = CliRunner().invoke(app, [str(a) for a in args], env=env, catch_exceptions=False)
        return Answer(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def fake_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """Installs a distribution without pip, found by the real importlib.metadata.

        fake_distribution("r1-plugin-x", "def register...", commands={"hello": "x:app"})

    writes the module `r1_plugin_x`, which `r1cli.plugins` names as its entry point unless
    `plugin=""`. Returns the folder, for the PYTHONPATH of a subprocess.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules = []

    def install(
        name: str,
        source: str = "",
        *,
        plugin: str | None = None,
        commands: Mapping[str, str] | None = None,
        summary: str = "",
        version: str = "0.1",
    ) -> Path:
        # Underscores: importlib.metadata reads `r1-x-0.1.dist-info` as a distribution called `r1`.
        module = name.replace("-", "_")
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        modules.append(module)
        points = {
            "r1cli.plugins": {} if plugin == "" else {module: plugin or module},
            "r1cli.commands": dict(commands or {}),
        }
        folder = site / f"{module}-{version}.dist-info"
        folder.mkdir()
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        about = f"Summary: {summary}\n" if summary else ""
        (folder / "METADATA").write_text(head + about, encoding="utf-8")
        lines = []
        for group, named in points.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in named.items()), ""]
        (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        importlib.invalidate_caches()
        return site

    yield install
    for module in modules:
        sys.modules.pop(module, None)


# Not -X importtime, which does not see importlib.import_module, and so no plugin.
TRACED = (
    "import atexit, sys; from r1cli.cli import main; "
    "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
)


@pytest.fixture
def imported() -> Callable[..., set[str]]:
    """`imported(site, "--help")`: the modules that one `r1`, in a process of its own, imports."""

    def imported(site: Path, *args: str) -> set[str]:
        command = [sys.executable, "-c", TRACED, *args]
        env = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return set(done.stderr.split())

    return imported
