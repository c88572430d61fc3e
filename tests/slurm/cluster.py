"""A SLURM of two nodes on this machine, for the tests: its own configuration, folder and ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
_NODES = ("n1", "n2")
_PATIENCE = 60.0


def missing() -> list[str]:
    """List the programs that are not here; those of Debian's slurm-wlm and munge."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


class Cluster(NamedTuple):
    """What runs.

    Args:
        environment: That in which sbatch and its kin find this cluster.
        start_node: Starts the daemon of a node.
        nodes: The daemons.
    """

    environment: dict[str, str]
    start_node: Callable[[str], None]
    nodes: dict[str, subprocess.Popen[bytes]]


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start the daemons, and stop them in the end.

    Args:
        folder: Where all of it lies.

    Yields:
        The cluster.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "SLURM_CONF": str(folder / "slurm.conf"),
    }
    started: list[subprocess.Popen[bytes]] = []

    nodes: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str, *arguments: str) -> None:
        command = [shutil.which(name, path=environment["PATH"]) or name, *arguments]
        with (folder / f"{name}-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def start_node(name: str) -> None:
        start("slurmd", "-D", "-N", name, "-f", environment["SLURM_CONF"])
        nodes[name] = started[-1]

    for name in ("munge", "state", *(f"spool-{node}" for node in _NODES)):
        (folder / name).mkdir(mode=0o700)
    key, munge = folder / "munge" / "key", folder / "munge" / "socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "slurm.conf").write_text(_configuration(folder, munge))
    try:
        files = {"key-file": key, "socket": munge, "pid-file": folder / "munge" / "pid"}
        files |= {"log-file": folder / "munge" / "log", "seed-file": folder / "munge" / "seed"}
        start("munged", "--foreground", "--force", *(f"--{n}={p}" for n, p in files.items()))
        _wait(munge.exists, "munged")
        start("slurmctld", "-D", "-f", environment["SLURM_CONF"])
        for node in _NODES:
            start_node(node)

        def idle() -> bool:
            told = subprocess.run(
                ["sinfo", "-h", "-o", "%D %T"], capture_output=True, text=True, env=environment
            )
            return told.stdout.strip() == f"{len(_NODES)} idle"

        _wait(idle, f"slurm, see {folder}")
        yield Cluster(environment, start_node, nodes)
    finally:
        subprocess.run(["scancel", "-u", str(os.getuid())], env=environment, capture_output=True)
        for process in reversed(started):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _configuration(folder: Path, munge: Path) -> str:
    host, ports = socket.gethostname(), _free_ports(3)
    cores = os.cpu_count() or 1
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={max(4, cores)} "
        "RealMemory=4000 State=UNKNOWN"
        for node, port in zip(_NODES, ports[1:], strict=True)
    )
    return f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
JobRequeue=1
KillWait=10
SlurmdTimeout=15
MinJobAge=300
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
{nodes}
PartitionName=main Nodes={",".join(_NODES)} Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not there():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start within {_PATIENCE:.0f} s.")
        time.sleep(0.2)
