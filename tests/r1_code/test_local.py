"""Programs in every language that is installed, run by `local` in its real sandbox."""

import signal
import textwrap

import pytest

from r1_code import tools
from r1_code.languages import BY_NAME
from r1_code.local import local
from r1_code.sandbox.client import Sandboxes
from r1_code.sandbox.task import Ending, TaskResult
from r1cli import CodeService, Input, Limits, Program, UsageError

ECHO = {
    "python": "import sys\nprint(sys.argv[1], sys.stdin.read())",
    "cpp": """
        #include <bits/stdc++.h>
        int main(int, char **argv) {
            std::string line;
            std::getline(std::cin, line);
            std::cout << argv[1] << ' ' << line << std::endl;
        }""",
    "cpp20": """
        #include <iostream>
        #include <span>
        #include <string>
        int main(int count, char **argv) {
            std::string line;
            std::getline(std::cin, line);
            std::cout << std::span(argv, count)[1] << ' ' << line << std::endl;
        }""",
    "c": """
        #include <math.h>
        #include <stdio.h>
        int main(int count, char **argv) {
            char line[100];
            printf("%s %s\\n", argv[(int)sqrt(count - 1)], fgets(line, 100, stdin));
        }""",
    "javascript": "console.log(process.argv[2], require('fs').readFileSync(0, 'utf8'))",
    "java": """
        package some.where;
        public class Echo {
            static class Line { String text = new java.util.Scanner(System.in).nextLine(); }
            public static void main(String[] args) {
                System.out.println(args[0] + " " + new Line().text);
            }
        }""",
    "go": """
        package main
        import ("bufio"; "fmt"; "os")
        func main() {
            line, _ := bufio.NewReader(os.Stdin).ReadString('\\n')
            fmt.Println(os.Args[1], line)
        }""",
    "rust": """
        fn main() {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            println!("{} {}", std::env::args().nth(1).unwrap(), line);
        }""",
    "bash": 'read line; echo "$1" "$(echo "$line" | cat)"',
}


@pytest.fixture(scope="module")
def code():
    with CodeService("local", local) as service:
        yield service


def need(language):
    if why := BY_NAME[language].lacking():
        pytest.skip(why)


def program(language, source, *inputs, **more):
    need(language)
    given = [Input(text) for text in inputs] or [Input()]
    return Program(language, textwrap.dedent(source), given, **more)


def run(code, *args, **more):
    [result] = code.run([program(*args, **more)])
    return result


def one(code, *args, **more):
    """The only execution of a program."""
    result = run(code, *args, **more)
    assert result.compilation is None or result.compilation.status == "ok", result.compilation
    [execution] = result.executions
    return execution


# -- what every language can do --------------------------------------------------------------------


@pytest.mark.parametrize("language", ECHO)
def test_arguments_stdin_and_text_beyond_ascii(language, code):
    result = run(code, language, ECHO[language], b"eins\n", "zwölf\n".encode(), args=["n°"])
    assert [e.status for e in result.executions] == ["ok", "ok"], result
    written = [execution.stdout.decode().split() for execution in result.executions]
    assert written == [["n°", "eins"], ["n°", "zwölf"]]
    assert (result.compilation is not None) == bool(BY_NAME[language].compile)
    assert result.isolation == code.capabilities.isolation != ""
    assert result.provider == "local"
    for execution in result.executions:
        assert execution.exit_code == 0
        assert 0 < execution.cpu_seconds < 10
        assert execution.peak_mb > 0


EXITS = {
    "python": "import sys; sys.exit(int(input()))",
    "cpp": "#include <iostream>\nint main() { int n; std::cin >> n; return n; }",
    "c": '#include <stdio.h>\nint main() { int n; scanf("%d", &n); return n; }',
    "javascript": "process.exit(+require('fs').readFileSync(0, 'utf8'))",
    "java": "class A { public static void main(String[] a) "
    "{ System.exit(new java.util.Scanner(System.in).nextInt()); } }",
    "rust": """
        fn main() {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            std::process::exit(line.trim().parse().unwrap())
        }""",
    "bash": "read n; exit $n",
}


@pytest.mark.parametrize("language", EXITS)
def test_exit_codes(language, code):
    result = run(code, language, EXITS[language], b"0\n", b"3\n", b"255\n")
    assert [e.exit_code for e in result.executions] == [0, 3, 255]
    assert [e.status for e in result.executions] == ["ok", "runtime_error", "runtime_error"]
    assert result.executions[1].message == "exit code 3"


FOREVER = {
    "python": "while True: pass",
    "cpp": "int main() { for (volatile int i = 0;; i = i + 1) {} }",
    "c": "int main() { for (volatile int i = 0;; i = i + 1) {} }",
    "javascript": "for (;;) {}",
    "java": "class A { public static void main(String[] a) { while (true) {} } }",
    "rust": "fn main() { loop { std::hint::black_box(1); } }",
    "bash": "while :; do :; done",
}


@pytest.mark.parametrize("language", FOREVER)
def test_what_never_ends_is_ended_by_its_cpu_time(language, code):
    limits = Limits(cpu_seconds=1, wall_seconds=60)
    execution = one(code, language, FOREVER[language], limits=limits)
    assert execution.status == "time_limit"
    assert execution.message == "used more than 1 CPU seconds"
    assert 0.5 <= execution.cpu_seconds <= 2.5, "clocks differ where a hypervisor takes time"


HUNGRY = {
    "python": "kept = []\nwhile True: kept.append(bytearray(1 << 20))",
    "cpp": "#include <vector>\nint main() { std::vector<int> v; for (;;) v.push_back(1); }",
    "javascript": "const kept = []; for (;;) kept.push(new Array(100000).fill(1.5));",
    "java": "class A { public static void main(String[] a) {"
    " var k = new java.util.ArrayList<long[]>(); while (true) k.add(new long[100000]); } }",
    "rust": "fn main() { let mut v = Vec::new(); loop { v.push(vec![1u8; 1 << 20]); } }",
}


@pytest.mark.parametrize("language", HUNGRY)
def test_what_takes_all_memory_is_said_to(language, code):
    execution = one(code, language, HUNGRY[language], limits=Limits(memory_mb=128))
    assert execution.status == "memory_limit", execution
    assert execution.message == "needed more than 128 MB"
    assert execution.peak_mb < 128 + 300


DEEP = {
    "cpp": "int f(int n) { volatile char c[1000]; c[0] = n; return n ? f(n - 1) + c[0] : 0; }"
    "int main() { f(100000); }",
    "c": "int f(int n) { volatile char c[1000]; c[0] = n; return n ? f(n - 1) + c[0] : 0; }"
    "int main() { f(100000); }",
    "java": "class A { static int f(int n) { return n == 0 ? 0 : 1 + f(n - 1); }"
    "public static void main(String[] a) { f(100000); } }",
    "python": "import sys\nsys.setrecursionlimit(200000)\n"
    "def f(n): return n and 1 + f(n - 1)\nf(100000)",
}


@pytest.mark.parametrize("language", DEEP)
def test_recursion_is_as_deep_as_solutions_need(language, code):
    assert one(code, language, DEEP[language]).status == "ok"


@pytest.mark.parametrize("language", ["cpp", "python"])
def test_recursion_without_an_end_fails(language, code):
    source = DEEP[language].replace("100000", "-1")
    assert one(code, language, source).status in ("runtime_error", "memory_limit")


THREADS = {
    "cpp": "#include <thread>\n#include <vector>\nint main() { std::vector<std::thread> all;"
    " for (int i = 0; i < 8; i++) all.emplace_back([] {}); for (auto &t : all) t.join(); }",
    "java": "class A { public static void main(String[] a) throws Exception {"
    " for (int i = 0; i < 8; i++) { var t = new Thread(() -> {}); t.start(); t.join(); } } }",
    "python": "import threading\n"
    "all = [threading.Thread(target=print) for _ in range(8)]\n"
    "for t in all: t.start()\nfor t in all: t.join()",
    "rust": "fn main() { let all: Vec<_> = (0..8).map(|_| std::thread::spawn(|| {})).collect();"
    " for t in all { t.join().unwrap(); } }",
}


@pytest.mark.parametrize("language", THREADS)
def test_threads_are_free(language, code):
    assert one(code, language, THREADS[language]).status == "ok"


BROKEN_SOURCES = {
    "cpp": "int main() { return missing; }",
    "c": "int main() { return missing; }",
    "java": "class A { int missing() { } }",
    "rust": "fn main() { missing() }",
    "go": "package main\nfunc main() { missing() }",
}


@pytest.mark.parametrize("language", BROKEN_SOURCES)
def test_what_does_not_compile_is_not_run(language, code):
    result = run(code, language, BROKEN_SOURCES[language], b"1", b"2")
    assert result.status == "compile_error"
    assert result.executions == []
    assert b"missing" in result.compilation.stderr
    assert result.compilation.exit_code


@pytest.mark.parametrize(
    ("language", "source"),
    [("rust", '#![crate_type = "lib"]\npub fn f() {}'), ("c", "int f() { return 1; }")],
)
def test_a_library_is_not_a_program(language, source, code):
    assert run(code, language, source).status == "compile_error"


# -- what is given to a program, and comes back from it --------------------------------------------


def test_nothing_is_run_after_the_first_failure_where_that_is_asked(code):
    inputs = (b"0\n", b"1\n", b"0\n")
    result = run(code, "python", EXITS["python"], *inputs, stop_at_failure=True)
    assert [e.status for e in result.executions] == ["ok", "runtime_error"]
    assert len(run(code, "python", EXITS["python"], *inputs).executions) == 3


def test_nothing_goes_from_one_input_to_the_next(code):
    source = """
        import os, sys
        print(sorted(os.listdir()), hasattr(sys, "mark"))
        sys.mark = 1
        open("left", "w").write("x")
    """
    result = run(code, "python", source, b"", b"", b"")
    assert result.status == "ok", result
    assert len({execution.stdout for execution in result.executions}) == 1


def test_files_stand_beside_the_source_and_beside_one_input(code):
    source = "import helper\nprint(helper.x, open('case.txt').read())"
    made = Program(
        "python",
        source,
        [Input(files={"case.txt": b"one"}), Input(files={"case.txt": b"two"}), Input()],
        files={"helper.py": b"x = 5"},
    )
    [result] = code.run([made])
    assert [e.stdout for e in result.executions] == [b"5 one\n", b"5 two\n", b""]
    assert b"FileNotFoundError" in result.executions[2].stderr


def test_a_header_and_a_file_named_as_ours_are_no_matter(code):
    source = '#include <stdio.h>\n#include "a.h"\nint main() { puts(WORD); }'
    files = {"a.h": b'#define WORD "header"', "program": b"not the program", "main.c": b"nor this"}
    assert one(code, "c", source, files=files).stdout == b"header\n"


def test_binary_output_comes_back_as_it_is(code):
    source = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4)"
    assert one(code, "python", source).stdout == bytes(range(256)) * 4


@pytest.mark.parametrize("language", ["python", "c", "bash"])
def test_endless_output_is_cut_and_ended(language, code):
    source = {
        "python": "while True: print('x' * 1000)",
        "c": '#include <stdio.h>\nint main() { for (;;) puts("x"); }',
        "bash": "while :; do echo x; done",
    }[language]
    execution = one(code, language, source, limits=Limits(output_bytes=10_000))
    assert execution.status == "output_limit"
    assert execution.truncated
    assert len(execution.stdout) == 10_000
    assert execution.message == "wrote more than 10000 bytes"


def test_output_up_to_the_limit_is_whole(code):
    source = "import sys; sys.stdout.write('x' * 10000)"
    execution = one(code, "python", source, limits=Limits(output_bytes=10_000))
    assert (execution.status, len(execution.stdout), execution.truncated) == ("ok", 10_000, False)


def test_stdin_of_100_mb_and_with_nul_bytes(code):
    data = b"\0line\xff\n" * (100_000_000 // 7)
    source = "import sys\nd = sys.stdin.buffer.read()\nprint(len(d), d.count(b'\\0'), d[-7:])"
    execution = one(code, "python", source, data)
    assert execution.stdout.decode() == f"{len(data)} {len(data) // 7} {data[-7:]!r}\n"


def test_stdin_that_nobody_reads_is_no_failure(code):
    assert one(code, "c", "int main() { return 0; }", b"x" * 1_000_000).status == "ok"


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["\0", "print(1)\0", "print('\ud83d')\nx = \ud83d", "\udcff", "("])
def test_a_source_that_is_no_program_fails_by_itself(text, code):
    execution = one(code, "python", text)
    assert execution.status == "runtime_error"
    assert b"SyntaxError" in execution.stderr or b"ValueError" in execution.stderr


@pytest.mark.parametrize("text", ["", "\0", "\ud83d", "\udcff"])
def test_a_source_that_is_no_c_program_does_not_compile(text, code):
    assert run(code, "c", text).status == "compile_error"


def test_half_an_emoji_in_a_string_does_no_harm(code):
    assert one(code, "python", "print(len('\ud83d\ude00 \ud83d'))").stdout == b"3\n"


def test_an_empty_program_runs(code):
    assert one(code, "python", "").status == "ok"


def test_no_inputs_are_no_executions(code):
    need("c")
    made = Program("c", "int main() {}", inputs=())
    [result] = code.run([made])
    assert (result.executions, result.status, result.compilation.status) == ([], "ok", "ok")


def test_an_unknown_language_is_refused(code):
    with pytest.raises(UsageError, match="has no language 'pyhton'; did you mean 'python'"):
        code.run([Program("pyhton", "print(1)")])


def test_a_missing_compiler_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    tools.find_tool.cache_clear()
    try:
        with CodeService("local", local) as service, pytest.raises(UsageError) as error:
            service.run([Program("c++", "int main() {}")])
    finally:
        tools.find_tool.cache_clear()
    why = "it needs g++, which is not installed; apt-get install g++"
    assert str(error.value) == f"code provider 'local' cannot run 'c++' here; {why}"


def test_a_sleeping_program_is_ended_by_the_clock(code):
    limits = Limits(cpu_seconds=1, wall_seconds=0.5)
    execution = one(code, "python", "import time; time.sleep(60)", limits=limits)
    assert execution.status == "time_limit"
    assert "did not end within 0.5 s" in execution.message
    assert execution.cpu_seconds < 0.5


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGTERM, signal.SIGFPE])
def test_signals_that_a_program_sends_itself(number, code):
    need("c")
    source = f"#include <signal.h>\nint main() {{ raise({int(number)}); }}"
    execution = one(code, "c", source)
    assert execution.status == "runtime_error"
    assert (execution.exit_code, execution.signal) == (None, number)
    assert execution.message == f"ended by {number.name}"


def test_one_slow_input_fails_alone(code):
    source = "n = int(input())\nwhile n: pass"
    limits = Limits(cpu_seconds=1)
    result = run(code, "python", source, b"0\n", b"1\n", b"0\n", limits=limits)
    assert [e.status for e in result.executions] == ["ok", "time_limit", "ok"]


def test_many_programs_at_once(code):
    made = [Program("python", f"print({n})") for n in range(40)]
    written = [result.executions[0].stdout for result in code.run(made)]
    assert written == [f"{n}\n".encode() for n in range(40)]


def test_a_sandbox_that_breaks_is_no_verdict(monkeypatch):
    async def broken(self, task):
        return TaskResult([Ending(broken="the zygote is gone")], "none")

    monkeypatch.setattr(Sandboxes, "run", broken)
    monkeypatch.setattr("r1cli.code.service.FIRST_WAIT_SECONDS", 0.0)
    made = [Program("python", "print(1)")]
    if not BY_NAME["c"].lacking():
        made.append(Program("c", "int main() { return 77; }"))
    with CodeService("local", local) as service:
        for result in service.run(made):
            assert result.broken
            [execution] = result.executions
            assert execution.status == "sandbox_error"
            assert execution.message == "the zygote is gone"
            assert result.compilation is None
