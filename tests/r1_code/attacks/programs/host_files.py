# ruff: noqa: F821
import shutil

secret = facts["secret"]
attempt("secret", read, secret)
attempt("passwd", read, "/etc/passwd")
attempt("shadow", read, "/etc/shadow")
attempt("through root", read, "/proc/self/root" + secret)
attempt("through init", read, "/proc/1/root" + secret)
attempt("through cwd", read, "/proc/self/cwd/" + "../" * 12 + secret)
attempt("through parent", read, f"/proc/{os.getppid()}/root{secret}")
attempt("relative", read, "../" * 12 + secret)
attempt("list home", os.listdir, facts["home"])
attempt("list /etc", os.listdir, "/etc/ssl/private")
attempt("list /home", os.listdir, "/home")
attempt("list /proc", os.listdir, "/proc")
attempt("copy", shutil.copy, secret, "copied")
attempt("disk", read, "/dev/vda")
attempt("memory", read, "/dev/mem")
attempt("kernel log", read, "/dev/kmsg")
attempt("own executable", write, sys.executable)
attempt("append", write, secret)
attempt("home", write, facts["home"] + "/evil")
attempt("var tmp", write, "/var/tmp/r1-evil")
attempt("shared memory", write, "/dev/shm/r1-evil")
attempt("null device replaced", os.rename, "/dev/null", "/dev/null2")
attempt("truncate", os.truncate, secret, 0)
attempt("unlink", os.unlink, secret)
attempt("rename", os.rename, secret, secret + ".gone")
attempt("new folder", os.mkdir, facts["home"] + "/folder")


def by_link():
    os.symlink(secret, "link")
    return read("link")


def by_hard_link():
    os.link(secret, "hard")
    return read("hard")


def by_handle():
    handle = ctypes.create_string_buffer(b"\x80\0\0\0" + bytes(132))
    mount = ctypes.c_int()
    call(303, -100, secret.encode(), handle, ctypes.byref(mount), 0)
    return call(304, mount.value, handle, os.O_RDONLY)


attempt("symbolic link", by_link)
attempt("hard link", by_hard_link)
attempt("file handle", by_handle)
for change in (
    lambda: os.chmod(secret, 0o777),
    lambda: os.chown(secret, os.getuid(), os.getgid()),
    lambda: os.utime(secret, (1, 1)),
    lambda: os.setxattr(secret, "user.evil", b"1"),
):
    try:
        change()  # the fallback answers success and does nothing; the test looks at the file
    except OSError as error:
        print("held", error)
