"""`r1 code` as a user types it, on the local sandbox."""

import json
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the local sandbox is Linux only")


@pytest.fixture
def call(r1):
    def run(*args):
        done = r1("code", *args)
        return done.exit_code, done.stdout, done.stderr

    return run


def test_a_program_is_run_on_each_input(call, tmp_path):
    (tmp_path / "double.py").write_text("print(2 * int(input()))")
    (tmp_path / "one").write_text("4\n")
    (tmp_path / "two").write_text("x\n")
    code, out, err = call("run", "double.py", "--stdin", "one", "--stdin", "two", "--json")
    told = json.loads(out)
    assert (code, told["status"], told["provider"]) == (1, "runtime_error", "local")
    assert [run["stdout"] for run in told["executions"]] == ["8\n", ""]
    assert "ValueError" in told["executions"][1]["stderr"]
    code, out, err = call("run", "double.py", "--stdin", "one")
    assert (code, out) == (0, "8\n")
    assert err.startswith("r1: ok: ") and "MB, by local, " in err


def test_limits_are_kept(call, tmp_path):
    (tmp_path / "spin.py").write_text("while True: pass")
    code, _, err = call("run", "spin.py", "--cpu-seconds", "0.2")
    assert code == 1
    assert err.startswith("r1: time_limit")
    (tmp_path / "fat.py").write_text("x = bytearray(10 ** 9)")
    code, _, err = call("run", "fat.py", "--memory-mb", "64")
    assert code == 1
    assert "r1: memory_limit" in err


def test_what_does_not_compile_shows_the_compilers_words(call, tmp_path):
    import shutil

    if not shutil.which("g++"):
        pytest.skip("g++ is not installed")
    (tmp_path / "bad.cpp").write_text("int main() { retrun 0; }")
    code, _, err = call("run", "bad.cpp")
    assert code == 1
    assert "retrun" in err and "r1: compile_error" in err


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (("run", "a.txt"), "what language is .txt? say --language"),
        (("run", "none.py"), "none.py cannot be read: No such file"),
        (("run", "a.txt", "--language", "pyhton"), "no language 'pyhton'; did you mean 'python'?"),
        (("run", "a.txt", "--language", "python", "--stdin", "no"), "no cannot be read"),
        (("run", "a.txt", "--provider", "lokal"), "did you mean 'local'?"),
        (("run", "a.txt", "--language", "python", "--arg", "levle=x"), "did you mean 'level'?"),
        (("run", "a.txt", "--cpu-seconds", "inf"), "cpu_seconds inf is not a number from 0.001 on"),
        (("bench", "--language", "cobol"), "no program in 'cobol' to time"),
    ],
)
def test_wrong_input_is_one_line(call, tmp_path, args, part):
    (tmp_path / "a.txt").write_text("1")
    if args[0] == "run" and "--language" not in args and "a.txt" in args and len(args) > 2:
        args = (*args, "--language", "python")
    code, _, err = call(*args)
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith("error: ") and part in line


def test_providers_say_whether_they_can_be_had(call, monkeypatch):
    for name in ("E2B_API_KEY", "MORPH_API_KEY", "PISTON_ENDPOINTS", "R1_ROUTER_ENDPOINTS"):
        monkeypatch.delenv(name, raising=False)
    code, out, _ = call("providers", "--json")
    rows = {row["provider"]: row for row in json.loads(out)}
    assert code == 0
    assert {"local", "piston", "e2b", "morph", "sandboxfusion", "router"} <= rows.keys()
    assert rows["local"]["state"] == "ready" and "python" in rows["local"]["languages"]
    assert "PISTON_ENDPOINTS" in rows["piston"]["state"]


def test_bench_measures(call):
    code, out, err = call("bench", "--language", "python", "--seconds", "0.2", "--json")
    assert code == 0, err
    assert [row["tests"] for row in json.loads(out)] == [1, 20]
    assert all(row["programs_per_second"] > 0 for row in json.loads(out))
