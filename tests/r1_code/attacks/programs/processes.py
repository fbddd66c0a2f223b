# ruff: noqa: F821, PTH123
import resource
import signal

PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206


def memory(pid):
    with open(f"/proc/{pid}/mem", "rb") as file:
        return file.fileno()


def process_vm(pid):
    room = ctypes.create_string_buffer(64)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(room), 64)
    there = (ctypes.c_size_t * 2)(0x400000, 64)
    try:
        return call(310, pid, here, 1, there, 1, 0)
    except OSError as error:
        if error.errno == 14:
            return "only the address was wrong"
        raise


def by_descriptor(pid):
    signal.pidfd_send_signal(os.pidfd_open(pid), 0)


def stolen(pid):
    return call(438, os.pidfd_open(pid), 0, 0)


def limited(pid):
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


def limits_changed(pid):
    return resource.prlimit(pid, resource.RLIMIT_CORE, (1234, 1234))


def queued(pid):
    room = ctypes.create_string_buffer(128)
    ctypes.memset(room, 0, 128)
    ctypes.cast(room, ctypes.POINTER(ctypes.c_int))[0] = 0
    ctypes.cast(room, ctypes.POINTER(ctypes.c_int))[2] = -1
    return call(129, pid, 0, room)


pids = {"runner": os.getppid(), "parent": facts["parent"], "victim": facts["victim"]}
pids["group of the runner"] = -os.getppid()
for name, pid in pids.items():
    for number in (0, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        attempt(f"signal {number} to {name}", os.kill, pid, number)
    if pid < 0:
        continue
    attempt(f"thread signal to {name}", call, 234, pid, pid, 9)
    attempt(f"old thread signal to {name}", call, 200, pid, 9)
    attempt(f"queued signal to {name}", queued, pid)
    attempt(f"signal by descriptor to {name}", by_descriptor, pid)
    attempt(f"stolen descriptor of {name}", stolen, pid)
    attempt(f"traced {name}", call, 101, PTRACE_SEIZE, pid, 0, 0)
    attempt(f"attached to {name}", call, 101, PTRACE_ATTACH, pid, 0, 0)
    attempt(f"memory of {name}", process_vm, pid)
    attempt(f"memory file of {name}", memory, pid)
    attempt(f"limits of {name}", limited, pid)
    attempt(f"limits changed of {name}", limits_changed, pid)
    attempt(f"priority of {name}", os.setpriority, os.PRIO_PROCESS, pid, 19)
    attempt(f"cores of {name}", os.sched_setaffinity, pid, {0})
    attempt(f"scheduler of {name}", os.sched_setscheduler, pid, os.SCHED_BATCH, os.sched_param(0))
    attempt(f"compared with {name}", call, 312, pid, os.getpid(), 1, 0, 0)
    attempt(f"pages of {name}", call, 256, pid, 0, 0, 0)
attempt("traced by the runner", call, 101, 0, 0, 0, 0)
for fd in range(3, 1024):
    try:
        os.write(fd, b"forged")
        print("GOT descriptor", fd)
    except OSError:
        pass
print("held descriptors")
