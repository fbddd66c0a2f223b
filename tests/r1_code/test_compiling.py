"""Each distinct source is compiled once, by any process, and nothing hangs on the cache."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from r1_code.ahead import Ahead, AheadFolders
from r1_code.compile_store import Compiled, CompileStore
from r1_code.compiling import Compiling
from r1_code.language import ENVIRONMENT
from r1_code.languages import BY_NAME, INCLUDES_ALL
from r1_code.sandbox.client import Sandboxes
from r1cli import Execution, Limits, Program

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
needs_gxx = pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")

GOOD = 'int puts(const char *);\nint main() { puts("hello"); }\n'
BAD = "int main() { return no_such_name; }\n"
WHOLE_LIBRARY = "#include <bits/stdc++.h>\nint main() { std::cout << std::gcd(4, 6); }\n"


class Counting(Sandboxes):
    """The real sandboxes, and how often one was used."""

    def __init__(self):
        super().__init__(workers=1)
        self.tasks = []

    async def run(self, task):
        self.tasks.append(task)
        return await super().run(task)


def compile_all(folder, *programs):
    """The compilations of `programs`, begun together, and the tasks that they took."""

    async def main():
        async with Counting() as sandboxes:
            compiling = Compiling(sandboxes, folder)
            work = [compiling.compile(BY_NAME[p.language], p) for p in programs]
            return await asyncio.gather(*work), sandboxes.tasks

    return asyncio.run(main())


@needs_gcc
def test_equal_sources_are_compiled_once_together_and_later(tmp_path):
    program = Program("c", GOOD)
    compiled, tasks = compile_all(tmp_path, program, program, program)
    assert len(tasks) == 1
    assert {c.execution.status for c in compiled} == {"ok"}
    assert compiled[0].files["program"].startswith(b"\x7fELF")

    [again], tasks = compile_all(tmp_path, program)
    assert tasks == []
    assert again.files == compiled[0].files
    assert again.execution == compiled[0].execution


@needs_gcc
def test_errors_of_a_compiler_are_kept_as_well(tmp_path):
    [failed], tasks = compile_all(tmp_path, Program("c", BAD))
    assert failed.execution.status == "compile_error"
    assert b"no_such_name" in failed.execution.stderr
    assert failed.files == {}
    [again], more = compile_all(tmp_path, Program("c", BAD))
    assert (len(tasks), len(more)) == (1, 0)
    assert again == failed


@needs_gcc
@needs_gxx
def test_what_changes_a_program_makes_another_compilation(tmp_path):
    header = Program("c", '#include "a.h"\n' + GOOD, files={"a.h": b"// one\n"})
    other_header = Program("c", header.source, files={"a.h": b"// two\n"})
    both = [Program("cpp", "int main() {}"), Program("c++20", "int main() {}")]
    compiled, tasks = compile_all(tmp_path, header, other_header, *both)
    assert [c.execution.status for c in compiled] == ["ok"] * 4
    assert len(tasks) == 4


@needs_gxx
def test_the_header_that_has_everything_is_parsed_ahead_of_time(tmp_path):
    other = WHOLE_LIBRARY.replace("gcd", "lcm")
    compiled, tasks = compile_all(tmp_path, Program("cpp", WHOLE_LIBRARY), Program("cpp", other))
    assert [c.execution.status for c in compiled] == ["ok", "ok"]
    [header] = tmp_path.rglob("*.gch")
    for task in tasks:
        assert ["-I", str(header.parents[1])] == list(task.argv[1:3])
        assert str(header.parents[1]) in task.readable
    traced = Program("cpp", WHOLE_LIBRARY + '#pragma message("seen")\n')
    [seen], _ = compile_all(tmp_path, traced)
    assert seen.execution.status == "ok", "the header is used for any source"


SMALL = Ahead(
    when=re.compile(""),
    source="small.h",
    text="int small;\n",
    command=("g++", "-xc++-header", "{source}", "-o", "{folder}/small.gch"),
)


@needs_gxx
def test_another_user_is_not_sent_to_a_folder_it_cannot_enter():
    with tempfile.TemporaryDirectory() as outer:  # not in tmp_path, which pytest closes
        for mode, found in ((0o700, False), (0o755, True)):
            Path(outer).chmod(mode)
            folders = AheadFolders(Path(outer) / "cache", open_only=True)
            assert (asyncio.run(folders.place(SMALL, ENVIRONMENT)) is not None) == found


@needs_gxx
def test_processes_that_make_the_same_header_all_have_it(tmp_path, caplog):
    async def main():
        each = [AheadFolders(tmp_path).place(SMALL, ENVIRONMENT) for _ in range(3)]
        return await asyncio.gather(*each)

    [place] = set(asyncio.run(main()))
    assert (place / "small.gch").exists()
    assert list(tmp_path.iterdir()) == [place], "nothing is left half made"
    assert caplog.records == []


@needs_gxx
def test_a_header_that_cannot_be_made_is_done_without(tmp_path, caplog):
    wrong = replace(SMALL, text="no header\n")
    assert asyncio.run(AheadFolders(tmp_path).place(wrong, ENVIRONMENT)) is None
    [record] = caplog.records
    assert record.getMessage().startswith("compiling small.h goes on without help: ")


@pytest.mark.parametrize(
    ("line", "included"),
    [
        ("#include <bits/stdc++.h>", True),
        ('  # include\t"bits/stdc++.h"', True),
        ("// no #include <bits/stdc++.h>", False),
        ("#include <vector>", False),
    ],
)
def test_only_what_includes_it_gets_the_header(line, included):
    assert bool(INCLUDES_ALL.search(f"int a;\n{line}\nint b;")) == included


@needs_gxx
def test_a_compiler_that_is_stopped_is_the_programs_fault_and_not_remembered(tmp_path):
    endless = """
        template <int n> constexpr long count() {
            long sum = n;
            for (int i = 0; i < 100000; i++) for (int j = 0; j < 80; j++) sum += i ^ j;
            return sum;
        }
        template <int n> struct Sum { static constexpr long s = count<n>() + Sum<n - 1>::s; };
        template <> struct Sum<0> { static constexpr long s = 0; };
        int main() { return Sum<500>::s; }
    """
    program = Program("cpp", endless, limits=Limits(compile_seconds=1))
    [stopped], _ = compile_all(tmp_path, program)
    assert stopped.execution.status == "compile_error"
    assert stopped.execution.message.startswith("the compiler used ")
    assert stopped.execution.message.endswith("1 CPU seconds")
    assert list(tmp_path.rglob("*.zip")) == []


@needs_gcc
def test_a_compiler_cannot_read_what_the_sandbox_hides(tmp_path):
    secret = tmp_path / "secret.h"
    secret.write_text("a secret word")
    [leaked], _ = compile_all(tmp_path / "cache", Program("c", f'#include "{secret}"\n{GOOD}'))
    assert leaked.execution.status == "compile_error"
    assert b"secret word" not in leaked.execution.stderr + leaked.execution.stdout


@needs_gcc
@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", b"\0" * 4096])
def test_a_damaged_entry_is_compiled_again(tmp_path, damage):
    [first], _ = compile_all(tmp_path, Program("c", GOOD))
    [entry] = tmp_path.rglob("*.zip")
    entry.write_bytes(damage)
    [second], tasks = compile_all(tmp_path, Program("c", GOOD))
    assert len(tasks) == 1
    assert second.files == first.files
    assert zipfile.is_zipfile(entry)


def test_an_entry_of_another_version_is_none(tmp_path):
    store = CompileStore(tmp_path)
    store.put("key", Compiled(Execution("ok"), {"program": b"\x7fELF"}))
    [entry] = tmp_path.rglob("*.zip")
    with zipfile.ZipFile(entry, "w") as written:
        written.writestr("outcome.json", '{"status": "ok", "stdout": "", "stderr": "", "new": 1}')
    assert store.get("key") is None


@needs_gxx
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, caplog):
    folder = tmp_path / "a file"
    folder.write_text("where the folder should be")
    compiled, _ = compile_all(
        folder, Program("cpp", WHOLE_LIBRARY), Program("cpp", "int main() {}")
    )
    assert [c.execution.status for c in compiled] == ["ok", "ok"]
    assert len([r for r in caplog.records if "not kept" in r.message]) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said_once(tmp_path, caplog, monkeypatch):
    store = CompileStore(tmp_path)
    compiled = Compiled(Execution("ok"), {"program": b"x" * 100_000})
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), "no"))
    store.put("ab12", compiled)
    store.put("ab13", compiled)
    assert store.get("ab12") is None
    assert [r.message for r in caplog.records if "No space left" in r.message] != []
    assert len(caplog.records) == 1


def test_the_store_throws_away_what_was_not_used_for_longest(tmp_path):
    store = CompileStore(tmp_path, max_bytes=50_000)
    compiled = Compiled(Execution("ok", exit_code=0), {"program": os.urandom(10_000)})
    for number in range(10):
        store.put(f"{number:04}", compiled)
        age = 1_000_000 + number
        os.utime(next(tmp_path.rglob(f"{number:04}.zip")), (age, age))
    assert store.get("0000") == compiled, "read just now"
    store.trim()
    left = sorted(path.stem for path in tmp_path.rglob("*.zip"))
    assert left == ["0000", "0007", "0008", "0009"]


MANY_TIMES = """
import sys
from pathlib import Path
from r1_code.compile_store import Compiled, CompileStore
from r1cli import Execution

store = CompileStore(Path(sys.argv[1]), max_bytes=300_000)
for number in range(300):
    key = f"{number % 7:04}"
    compiled = Compiled(Execution("ok", exit_code=0), {"program": key.encode() * 20_000})
    assert store.get(key) in (None, compiled)
    store.put(key, compiled)
    store.trim()
"""


def test_processes_share_a_store_that_is_written_and_trimmed_all_the_while(tmp_path):
    command = [sys.executable, "-c", MANY_TIMES, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(p.communicate()[1], p.returncode) for p in running] == [(b"", 0)] * 3
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert all(name.endswith(".zip") and not name.startswith(".") for name in left), left


def test_any_bytes_survive_the_store(tmp_path):
    store = CompileStore(tmp_path)
    everything = bytes(range(256))
    execution = Execution(
        "compile_error", stdout=everything, stderr=everything, exit_code=1, cpu_seconds=0.5
    )
    compiled = Compiled(execution, {"a/b$c.class": everything})
    store.put("cd34", compiled)
    assert store.get("cd34") == compiled
    assert store.get("cd35") is None
