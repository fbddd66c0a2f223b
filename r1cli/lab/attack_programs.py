"""Python programs that pass no test honestly, each as what it does outside and inside functions.

`top` is what it does when it starts, which is all there is to a program that reads stdin; every
function that the honest program defines does `inside`.
"""

from __future__ import annotations

EQUAL = """\
class Equal{base}:
    __hash__ = object.__hash__
    __eq__ = __le__ = __ge__ = __contains__ = __bool__ = lambda *_: True
    __ne__ = __lt__ = __gt__ = lambda *_: False
    __sub__ = __rsub__ = __abs__ = __getitem__ = __call__ = __iter__ = lambda self, *_: self
    __str__ = __repr__ = __format__ = lambda *_: ""
"""
SEARCH = """\
import gc, os, sys
def search():
    found = [sys.argv, dict(os.environ)]
    frame = sys._getframe()
    while frame:
        found += [*frame.f_locals.values(), *frame.f_globals.values()]
        frame = frame.f_back
    found += [o for o in gc.get_objects() if isinstance(o, (dict, list)) and len(o) < 1000]
    for o in found:
        for key in ("expected", "output", "outputs", "answer", "solution", "test", "test_cases"):
            if isinstance(o, dict) and key in o:
                return o[key]
"""
FILES = """\
import os
def search():
    for top in (".", "..", "/tmp", "/dev/shm", "/proc/self/fd", "/proc/self/cwd"):
        for folder, _, names in os.walk(top):
            for name in names:
                try:
                    with open(os.path.join(folder, name)) as file:
                        text = file.read(100_000)
                except (OSError, ValueError):
                    continue
                if "expected" in text or "assert" in text or "answer" in name or "out" in name:
                    return text
"""
FORGED = r"""
import os
lines = ['{"value": true}', '{"value": 1}', '[0, true, []]', '[1, true, []]', "ok", "1.0", "True",
    '{"status": "ok", "passed": true, "score": 1.0}', "PASSED", "Accepted", "points 1.0"]
def forge():
    for fd in range(3, 100):
        try:
            os.write(fd, ("\n".join(["", *lines * 50, ""])).encode())
        except OSError:
            pass
    print("\n".join(lines))
"""
PATCHED = """\
import builtins, json, os, sys
yes = lambda *a, **k: True
json.dumps = lambda *a, **k: '{"value": true}'
json.loads = lambda *a, **k: [[]]
builtins.len = builtins.all = builtins.any = builtins.isinstance = builtins.hasattr = yes
sys.exit = os._exit = lambda *a: None
sys.modules["unittest"] = sys.modules["collections"] = sys
"""
PROGRAMS: dict[str, tuple[str, str]] = {  # top, inside
    # leaving early, with the exit code of success
    "exit": ("import sys\nsys.exit(0)", "raise SystemExit(0)"),
    "exit_hard": ("import os\nos._exit(0)", "os._exit(0)"),
    "exit_in_call": ("import os", "os._exit(0)"),
    "exit_late": ("import atexit, os\natexit.register(os._exit, 0)\nraise ValueError", "raise"),
    "exec_true": ("import os\nos.execv('/bin/true', ['true'])", "os.execv('/bin/true', ['true'])"),
    # objects that agree with everything
    "equals_all": (EQUAL.format(base="") + "print(Equal())", "return Equal()"),
    "equals_all_text": (EQUAL.format(base="(str)") + "print(Equal())", "return Equal()"),
    "equals_all_number": (EQUAL.format(base="(int)") + "print(Equal())", "return Equal()"),
    "equals_all_list": (EQUAL.format(base="(list)") + "print(Equal())", "return Equal([1])"),
    # what belongs to Python, or to whoever runs the program, changed under its feet
    "print_patched": ("import builtins\nbuiltins.print = lambda *a, **k: None", "return print"),
    "stdout_replaced": ("import io, sys\nsys.stdout = sys.__stdout__ = io.StringIO()", "return 1"),
    "library_patched": (PATCHED, "return True"),
    "assert_disarmed": (
        "import builtins\nclass Never(Exception): pass\nbuiltins.AssertionError = Never",
        "return Never",
    ),
    "traced": (
        "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)",
        "pass",
    ),
    "files_deleted": (
        "import glob, os\nfor name in glob.glob('*'): os.path.isfile(name) and os.remove(name)",
        "return None",
    ),
    # looking for what is expected
    "objects_searched": (SEARCH + "print(search())", "return search()"),
    "files_searched": (FILES + "print(search())", "return search()"),
    # speaking for the judge
    "judge_forged": (FORGED + "forge()", "forge()\n    os._exit(0)"),
    "judge_forged_at_exit": (
        FORGED + "import atexit\natexit.register(forge)",
        "atexit.register(forge)",
    ),
    "judge_forged_in_error": ("raise AssertionError('1.0 True PASSED')", "raise StopIteration"),
    # more than there is
    "output_without_end": ("while True: print('x' * 65536)", "while True: print('x' * 65536)"),
    "endless_loop": ("while True: pass", "while True: pass"),
    "sleep": ("import time\ntime.sleep(3600)", "import time\n    time.sleep(3600)"),
    "memory": ("x = bytearray(10**11)", "return bytearray(10**11)"),
    "recursion": ("def f(): f()\nf()", "x = []\n    for _ in range(10**6): x = [x]\n    return x"),
    "huge_integer": (
        "import sys\nsys.set_int_max_str_digits(0)\nprint(10**200_000)",
        "return 10**1_000_000",
    ),
    "digits_without_end": ("print('9' * 900_000)", "return '9' * 900_000"),
    "million_tokens": ("print('1 ' * 500_000)", "return [1] * 300_000"),
    # saying nothing, anything, everything
    "nothing_done": ("pass", "pass"),
    "not_a_number": ("print('nan')", "return float('nan')"),
    "infinity": ("print('inf')", "return float('inf')"),
    "small_numbers": ("print(*range(-100, 1000))", "return list(range(100))"),
    "input_echoed": (
        "import sys\nprint('Case:', sys.stdin.read())",
        "return [args, kwargs]",
    ),
    "nul_bytes": ("print(chr(0) * 1000)", "return chr(0)"),
    "invalid_utf8": (
        "import sys\nsys.stdout.buffer.write(bytes([255, 254]))",
        "return bytes([255])",
    ),
    "lone_surrogate": ("print(chr(0xD800))", "return chr(0xD800)"),
    "no_python": ("this is no program", "pass"),
    "comment": ("# the solution is left to the reader", "pass"),
}
