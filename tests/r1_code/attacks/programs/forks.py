# ruff: noqa: F821
import subprocess
import threading


def forked():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def with_vfork():
    return subprocess.run([sys.executable, "-c", ""], close_fds=False, check=False)


def cloned(flags):
    pid = call(56, flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid


attempt("fork", forked)
attempt("vfork", with_vfork)
attempt("clone", cloned, 0)
attempt("clone, waited for", cloned, 0x4000)
attempt("sibling", cloned, 0x8000)
attempt("posix_spawn", os.posix_spawn, "/bin/true", ["true"], {})
attempt("system", lambda: os.system("true") == 0 or 1 / 0)
done = []
threads = [threading.Thread(target=done.append, args=(i,)) for i in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(done) == 8, "threads are free"
