"""slurmctld and two slurmd on 127.0.0.1, without munge, cgroups or systemd; up in about a second.

By hand, until Ctrl-C:  python tests/r1_launch/slurm_cluster.py DIRECTORY
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "setpriv")

CONF = """
ClusterName=r1test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
# A requeued job waits this long; less, or nothing said, is 120 s.
AuthInfo=cred_expire=5
CredType=cred/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
SwitchType=switch/none
# Ports where ranks meet are derived from job ids, and other sessions may share this machine.
FirstJobId={first}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd-%n.log
KillWait=20
MinJobAge=300
MessageTimeout=30
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=4000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} CPUs=4 RealMemory=4000 Gres=gpu:2
PartitionName=low Nodes=n1,n2 Default=YES MaxTime=60 State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=grace Nodes=n1,n2 MaxTime=60 State=UP PriorityTier=1 GraceTime=60
PartitionName=high Nodes=n1,n2 MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""


def why_not() -> str:
    """Why a cluster cannot be started here; empty if it can."""
    missing = [name for name in PROGRAMS if not _path(name)]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurmctld slurmd slurm-client"
    return "" if os.geteuid() == 0 else "slurmd starts jobs as root only"


def _path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Cluster:
    """Entering starts the daemons; leaving ends them, and so does the death of this process."""

    def __init__(self, root: Path) -> None:
        self.root, self.conf = root, root / "slurm.conf"
        self.daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cluster:
        for folder in ("state", "spool/n1", "spool/n2", "log"):
            (self.root / folder).mkdir(parents=True)
        host, first = socket.gethostname().partition(".")[0], random.randrange(1, 10**6)
        text = CONF.format(host=host, ports=_free_ports(4), root=self.root, first=first)
        self.conf.write_text(text)
        (self.root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        gpus = "NodeName=n[1-2] Name=gpu File=/dev/tty[1-2]\n"  # any two devices
        (self.root / "gres.conf").write_text(gpus)
        try:
            self._start("slurmctld")
            self._start("slurmd", "-N", "n1")
            self._start("slurmd", "-N", "n2")
            self.wait(lambda: len(self.run("sinfo", "-hN", "-t", "idle").split()) >= 8, "no nodes")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(Exception):
            self.clear()
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start(self, name: str, *more: str) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", _path(name) or name, "-D", *more]
        log = (self.root / "log" / "started.log").open("ab")
        quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        self.daemons.append(subprocess.Popen([*command, "-f", str(self.conf)], **quiet))
        log.close()

    def run(self, *command: str, **extra: str) -> str:
        """The answer of one of SLURM's programs; `extra` is added to its environment."""
        env = {**os.environ, "SLURM_CONF": str(self.conf), **extra}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or command[0] == "sinfo", done.stderr
        return done.stdout

    def state(self, job: str) -> str:
        """The state of a job, of all its tasks where they agree."""
        answer = self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").split()
        return " ".join(sorted(set(answer)))

    def wait_for(self, job: str, wanted: str, seconds: float = 240) -> None:
        """Wait for a state; one that a job never leaves is not waited through."""

        def reached() -> bool:
            state = self.state(job)
            ended = state in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")
            assert state == wanted or not ended, f"job {job} is {state}, not {wanted}"
            return state == wanted

        self.wait(reached, f"job {job} is not {wanted}", seconds)

    def wait(self, reached, problem: str, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            log = (self.root / "log" / "started.log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"{problem} after {seconds} s\n{log}"
            time.sleep(0.1)

    def clear(self) -> None:
        """End every job and wait until the nodes are free."""
        self.run("scancel", "--user=root")
        free = lambda: not self.run("squeue", "-h").strip()  # noqa: E731
        self.wait(free, "jobs that do not end")


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    with Cluster(Path(sys.argv[1]).absolute()) as cluster:
        print(f"export SLURM_CONF={cluster.conf}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(10**9)
