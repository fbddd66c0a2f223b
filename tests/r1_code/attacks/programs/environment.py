# ruff: noqa: F821, PTH123
def secrets(path):
    data = read_all(path)
    if b"R1_TEST_SECRET" not in data:
        raise ValueError("no secret in it")
    return data


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


def own():
    return os.environ["R1_TEST_SECRET"]


def stack():
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    words = []
    while environ[len(words)]:
        words.append(environ[len(words)])
    if not any(b"R1_TEST_SECRET" in word for word in words):
        raise ValueError("no secret in it")
    return words


attempt("own", own)
attempt("stack", stack)
for pid in ("self", "1", os.getppid(), facts["parent"], facts["victim"], "thread-self"):
    attempt(f"environ of {pid}", secrets, f"/proc/{pid}/environ")
    attempt(f"maps of {pid}", read_all, f"/proc/{pid}/maps")
    attempt(f"command of {pid}", read_all, f"/proc/{pid}/cmdline")
    if pid in ("self", "thread-self"):
        continue  # its own working directory
    attempt(f"folder of {pid}", os.listdir, f"/proc/{pid}/cwd")
    attempt(f"descriptors of {pid}", os.listdir, f"/proc/{pid}/fd")
