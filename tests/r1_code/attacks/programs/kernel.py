# ruff: noqa: F821
libc.mmap.restype = ctypes.c_void_p
buffer = ctypes.create_string_buffer(4096)
for name, number, *args in (
    ("user namespace", 272, 0x10000000),
    ("mount namespace", 272, 0x20000),
    ("network namespace", 272, 0x40000000),
    ("time namespace", 272, 0x80),
    ("files unshared", 272, 0x400),
    ("clone into a user namespace", 56, 0x10000000 | 17, 0, 0, 0, 0),
    ("clone3", 435, buffer, 88),
    ("setns", 308, 0, 0),
    ("mount", 165, b"none", b"/tmp", b"tmpfs", 0, None),
    ("unmount", 166, b"/", 2),
    ("chroot", 161, b"."),
    ("pivot_root", 155, b".", b"."),
    ("open_tree", 428, -100, b"/", 1),
    ("fsopen", 430, b"tmpfs", 0),
    ("io_uring", 425, 8, buffer),
    ("keyctl", 250, 0, -3, 0),
    ("add_key", 248, b"user", b"evil", b"x", 1, -3),
    ("request_key", 249, b"user", b"evil", None, -3),
    ("userfaultfd", 323, 1),
    ("bpf", 321, 0, buffer, 72),
    ("perf_event", 298, buffer, 0, -1, -1, 0),
    ("personality", 135, 0x0040000),
    ("modify_ldt", 154, 0, buffer, 4096),
    ("shmget", 29, 0, 4096, 0o1600),
    ("semget", 64, 0, 1, 0o1600),
    ("msgget", 68, 0, 0o1600),
    ("mq_open", 240, b"evil", 0o102, 0o600, None),
    ("memfd", 319, b"evil", 0),
    ("memfd_secret", 447, 0),
    ("fanotify", 300, 0, 0),
    ("reboot", 169, 0xFEE1DEAD, 672274793, 0),
    ("swapoff", 168, b"/dev/vda"),
    ("hostname", 170, b"evil", 4),
    ("clock", 227, 0, buffer),
    ("syslog", 103, 3, buffer, 4096),
    ("module", 175, buffer, 1, b""),
    ("kexec", 246, 0, 0, 0, 0),
    ("acct", 163, None),
    ("iopl", 172, 3),
    ("root", 105, 0),
    ("root for files", 122, 0) if os.getuid() else ("root", 105, 0),
    ("x32", 0x40000000 | 39),
    ("terminal", 16, 0, 0x5412, buffer),
):
    if name == "root for files":
        continue  # setfsuid answers the old uid and cannot be told from a success
    if name == "root" and os.getuid() == 0:
        continue  # no change: what it may do is what counts, and it has no capability
    attempt(name, call, number, *args)
with_header = ctypes.create_string_buffer(b"\x22\x05\x08\x20" + bytes(4))
sets = ctypes.create_string_buffer(b"\xff" * 24)
attempt("capabilities", call, 126, with_header, sets)
for name, size, protection, flags in (
    ("shared memory", 1 << 20, 3, 0x21),
    ("shared memory, validated", 1 << 20, 3, 0x23),
    ("growing down", 1 << 20, 3, 0x122),
    ("locked pages", 1 << 24, 3, 0x2022),
):
    got = libc.mmap(0, ctypes.c_size_t(size), protection, flags, -1, 0)
    print("held" if got == ctypes.c_void_p(-1).value else "GOT", name)
