"""Real attacks that use the machine up: memory, processes, output, disk."""

import time

from r1_code.sandbox.task import Task
from tests.r1_code.attacks.attacking import (
    BOUNDS,
    FORKING,
    Harness,
    c_program,
    has_cgroups,
    left,
    only,
)


def test_memory_of_one_process(harness: Harness) -> None:
    source = b"""
#include <sys/mman.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
static size_t had;
static int fill(int flags, int fd) {
  size_t step = 16 << 20;
  int write = fd < 0;
  volatile char sum = 0;
  while (had < (600u << 20)) {
    char *p = mmap(0, step, PROT_READ | (write ? PROT_WRITE : 0), flags, fd, 0);
    if (p == MAP_FAILED) return 0;
    for (size_t i = 0; i < step; i += 4096) { if (write) p[i] = 1; else sum += p[i]; }
    had += step;
  }
  return 1;
}
int main(void) {
  int zero = open("/dev/zero", O_RDONLY), out = 0;
  out |= fill(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  size_t private = had;
  out |= fill(MAP_SHARED | MAP_ANONYMOUS, -1);
  out |= fill(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
  if (zero >= 0) out |= fill(MAP_SHARED, zero);
  for (void *p; had < (600u << 20) && (p = malloc(1 << 20)); had += 1 << 20) memset(p, 1, 1 << 20);
  while (had < (600u << 20) && sbrk(1 << 20) != (void *)-1) had += 1 << 20;
  printf("%zu %zu", private >> 20, had >> 20);
  return out;
}
"""
    ending = only(harness.run(c_program(source, data_mb=256)))
    private, had = map(int, ending.stdout.split())
    assert ending.exit_code == 0
    assert 128 <= private <= 256
    assert had <= 256
    assert ending.peak_mb <= 280


def test_memory_of_python(harness: Harness) -> None:
    source = "kept = []\nwhile True: kept.append(bytearray(1 << 24))"
    ending = only(harness.run(Task(BOUNDS, python=source)))
    assert ending.exit_code == 1
    assert ending.stderr.endswith(b"MemoryError\n")
    assert ending.peak_mb < 280


MANY = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        kept = bytearray(150 << 20)
        for i in range(0, len(kept), 4096): kept[i] = 1
        time.sleep(1)
        os._exit(0)
ends = [os.wait()[1] for _ in range(4)]
print(sum(end == 0 for end in ends))
"""


def test_memory_of_many_processes(harness: Harness) -> None:
    ending = only(harness.run(Task(FORKING, python=MANY)))
    if harness.user == "root" and has_cgroups():
        assert ending.oom
        assert int(ending.stdout or b"0") < 4
    else:
        # What is let through: each has its own limit, and there are as many as may be started.
        assert ending.stdout == b"4\n"


def test_fork_bomb(harness: Harness) -> None:
    number = f"55{harness.pid}".zfill(12)
    source = (
        "import os\n"
        "made = 0\n"
        "while made < 200:\n"
        "    try: pid = os.fork()\n"
        "    except OSError: break\n"
        f"    if pid == 0: os.execv('/bin/sleep', ['sleep', '600.{number}'])\n"
        "    made += 1\n"
        "print(made)\n"
    )
    started = time.monotonic()
    ending = only(harness.run(Task(FORKING, python=source)))
    assert 1 <= int(ending.stdout) <= 8
    assert time.monotonic() - started < 10
    assert not left(f"600.{number}")


def test_endless_output(harness: Harness) -> None:
    for stream in ("stdout", "stderr"):
        source = f"import sys\nwhile True: sys.{stream}.write('x' * 1000)"
        ending = only(harness.run(Task(BOUNDS, python=source)))
        assert ending.stopped == "output"
        assert ending.truncated
        assert len(getattr(ending, stream)) == BOUNDS.output_bytes
        assert ending.cpu_seconds < 2


def test_disk(harness: Harness) -> None:
    source = (
        "had = 0\n"
        "try:\n"
        "    for number in range(64):\n"
        "        with open(f'file{number}', 'wb') as file:\n"
        "            had += file.write(bytes(4 << 20))\n"
        "except OSError as error: print(had >> 20, error.errno)\n"
    )
    ending = only(harness.run(Task(BOUNDS, python=source)))
    had, errno = map(int, ending.stdout.split())
    assert had <= (BOUNDS.disk_mb if harness.level == "namespaces" else 0)
    assert errno in (28, 13)


def test_inodes(harness: Harness) -> None:
    source = (
        "import os\n"
        "made = 0\n"
        "try:\n"
        "    for made in range(20_000): os.mkdir(str(made))\n"
        "except OSError as error: print(made)\n"
    )
    ending = only(harness.run(Task(BOUNDS, python=source)))
    assert int(ending.stdout) <= 4096


def test_odd_files_leave_nothing(harness: Harness) -> None:
    source = """
import os
os.symlink("/etc/passwd", "link")
os.mkfifo("fifo")
os.mkdir("locked", 0)
os.link("given", "hard")
open("bad\\udcff\\nname", "w").close()
for depth in range(1200):
    os.mkdir("deeper")
    os.chdir("deeper")
print("made")
"""
    task = Task(BOUNDS, python=source, files={"given": b"1"}, fetch=["*"])
    (result,) = harness.run(task)
    (ending,) = result.endings
    assert (ending.stdout, ending.broken) == (b"made\n", "")
    assert all(data in (b"", b"1") for data in result.files.values())
    assert "link" not in result.files
    assert "fifo" not in result.files
