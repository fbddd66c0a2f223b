"""Which system calls a sandbox refuses: those that reach other processes, the network, the kernel's
rarely used corners, or memory that no limit counts.

Two filters are stacked. `outer` holds everything inside a sandbox, our runner included; `inner`
holds the tested process and takes away what the runner still needs.
"""

from __future__ import annotations

from .bpf import ALLOW, Filter, errno
from .syscalls import ARCH

EPERM, EAGAIN, ENOMEM, ENOSYS, EAFNOSUPPORT = 1, 11, 12, 38, 97
_NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
_THREAD = 0x00010000
_MAP_SHARED_ANONYMOUS, _MAP_GROWSDOWN = 0x21, 0x100
_UNIX, _STREAM, _SEQPACKET = 1, 1, 5
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

# name: (x86_64, aarch64). Numbers from 424 on are the same everywhere.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    # other views of the machine
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # attack surface of the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    # the machine itself
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    # memory that outlives a process, or that RLIMIT_DATA does not count
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "memfd_secret": (447, 447),
    # sockets beyond a socketpair of their own
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
}

# Landlock does not cover them, and some runtimes fail where they do: they answer success.
_ATTRIBUTES: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
}
_OWN_ONLY = [(302, 261), (203, 122), (144, 119), (142, 118), (314, 274)]
"""prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr: on pid 0."""

_SYNC = [(162, 81), (306, 267)]  # sync, syncfs: they would wait for everybody's disks
_SOCKET, _SOCKETPAIR, _SENDTO = (41, 198), (53, 199), (44, 206)
_MMAP, _IOCTL, _CLONE, _CLONE3 = (9, 222), (16, 29), (56, 220), (435, 435)
_FORK, _VFORK, _MEMFD_CREATE = (57, None), (58, None), (319, 279)
_SETSID, _SETPGID = (112, 157), (109, 154)
_KILL, _TKILL, _TGKILL = (62, 129), (200, 130), (234, 131)
_OTHER_SIGNALS = [(129, 138), (297, 240), (424, 424)]  # rt_(tg)sigqueueinfo, pidfd_send_signal


def outer(*, host_files: bool) -> bytes:
    """For the runner and all below it. `host_files`: files of the host are in sight."""
    rules = Filter()
    rules.answer([row[ARCH] for row in _REFUSED.values()], errno(EPERM))
    rules.answer([row[ARCH] for row in _SYNC], errno(0))
    if host_files:
        rules.answer([row[ARCH] for row in _ATTRIBUTES.values()], errno(0))
    # Its flags lie in memory, where no filter can read them; glibc falls back on clone.
    rules.answer([_CLONE3[ARCH]], errno(ENOSYS))
    rules.when(_CLONE[ARCH], ("any", 0, _NAMESPACES), action=errno(EPERM))
    rules.answer([_SOCKET[ARCH]], errno(EAFNOSUPPORT))
    rules.when(_SOCKETPAIR[ARCH], ("!", 0, _UNIX), action=errno(EAFNOSUPPORT))
    # A datagram one could be sent from to any socket of the host by name.
    kinds = ("low!", 1, _STREAM), ("low!", 1, _SEQPACKET)
    rules.when(_SOCKETPAIR[ARCH], *kinds, action=errno(EAFNOSUPPORT))
    rules.when(_SENDTO[ARCH], ("set", 4, 0xFFFFFFFF), action=errno(EPERM))
    for row in _OWN_ONLY:
        rules.when(row[ARCH], ("!", 0, 0), action=errno(EPERM))
    for request in (_TIOCSTI, _TIOCLINUX):
        rules.when(_IOCTL[ARCH], ("=", 1, request), action=errno(EPERM))
    # Neither is counted by RLIMIT_DATA.
    rules.when(_MMAP[ARCH], ("all", 3, _MAP_SHARED_ANONYMOUS), action=errno(ENOMEM))
    rules.when(_MMAP[ARCH], ("any", 3, _MAP_GROWSDOWN), action=errno(ENOMEM))
    return rules.compiled()


def inner(*, fork: bool, leave: bool, signals_to: int | None = None) -> bytes:
    """For the tested process. `leave` lets it change its process group, where it cannot get away.

    `signals_to` is the only pid that it may signal, for a kernel that keeps no border otherwise.
    """
    rules = Filter()
    rules.answer([_MEMFD_CREATE[ARCH]], errno(EPERM))
    if not fork:
        rules.when(_CLONE[ARCH], ("any", 0, _THREAD), action=ALLOW)
        rules.answer([row[ARCH] for row in (_FORK, _VFORK, _CLONE)], errno(EAGAIN))
    if not leave:
        rules.answer([row[ARCH] for row in (_SETSID, _SETPGID)], errno(EPERM))
    if signals_to is not None:
        for row in (_KILL, _TGKILL):
            rules.when(row[ARCH], ("!", 0, 0), ("!", 0, signals_to), action=errno(EPERM))
        rules.answer([row[ARCH] for row in (_TKILL, *_OTHER_SIGNALS)], errno(EPERM))
    return rules.compiled()
