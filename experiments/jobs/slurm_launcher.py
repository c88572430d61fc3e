"""Steps as batch jobs of SLURM, which go on without the command that submitted them."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.command.errors import CommandError, usage_error
from experiments.jobs.context import outlives_parent
from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.local import inherited_environment
from experiments.jobs.step import Step

_SCRIPT, _EXIT_CODE = "job.sh", "exit_code"
_OPTIONS = {"open-mode": "append", "requeue": "", "signal": "USR1@120"}
_DECIDED = {"array", "chdir", "error", "job-name", "output", "parsable", "wait", "wrap"}
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "TIMEOUT"),
}
_KILLED = _ENDED - {"COMPLETED", "FAILED"}
# Seconds that a file of another node may take to be seen here.
_PATIENCE = 60.0


@dataclass(frozen=True)
class _Queued:
    """A line of squeue."""

    number: str
    state: str
    name: str
    reason: str


@dataclass(eq=False)
class SlurmJob(Job):
    """A step as a batch job.

    Args:
        step: The step.
        start: Where in the step's log its output begins.
        number: Number of the job.
        state: Its state as squeue calls it; empty where SLURM has forgotten it.
        reason: Why it is in that state, as squeue says it.
    """

    number: str
    state: str = "PENDING"
    reason: str = ""

    def __post_init__(self) -> None:
        self._code: int | None = None
        self._gone_since: float | None = None

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative where a signal did it; None while it waits or runs."""
        return self._code

    def output(self) -> str:
        """Return what it has printed since it last started, or why it waits."""
        if self.state == "PENDING":
            return f"job {self.number} waits in the queue ({self.reason or 'just submitted'})"
        text = super().output() if self.step.log.exists() else ""
        said = f"\n{text}".rpartition("\n--- ")[2].partition("\n")[2]
        # SLURM's own lines come after the sentence with which a command ends.
        return re.sub(r"^(srun|slurmstepd): .*\n?", "", said, flags=re.MULTILINE)

    def sentence(self) -> str:
        """Return why it failed, as a person can read it."""
        if (self.step.folder / _EXIT_CODE).exists():
            return f"{super().sentence()} (job {self.number})"
        return f"job {self.number} ended as {self.state or 'unknown to SLURM'}"

    def look(self, queued: _Queued | None) -> None:
        """Find out whether it has ended.

        Args:
            queued: What squeue says of it, None where that is nothing.
        """
        self.state, self.reason = (queued.state, queued.reason) if queued else ("", "")
        if queued is not None and queued.state not in _ENDED:
            self._gone_since = None  # it may have been sent back to the queue
            return
        file = self.step.folder / _EXIT_CODE
        if file.exists() and (text := file.read_text().strip()):
            code = int(text)
            killed = code - 128 in [*signal.Signals]  # as a shell tells of it
            self._code = 128 - code if killed else code
            return
        self._gone_since = self._gone_since or time.monotonic()
        if self.state in _KILLED or time.monotonic() - self._gone_since > _PATIENCE:
            self._code = -signal.SIGKILL


class SlurmLauncher(Launcher):
    """Starts each step as a batch job by `sbatch`, and asks `squeue` how all of them are.

    A job runs the very command that would run here, by `srun`, so that all tasks of a job that has
    several train one fold together. It writes the exit code of that command into the step's
    folder, which needs no accounting database. It is found again by its name, a hash of the
    step's folder: a command that is started again, after Ctrl-C, kill -9 or on another login node,
    adopts what waits and runs. SLURM's warning of the end sends a job back to the queue, see
    `run.requeue`.

    submitit is not used: it pickles a function for the same Python on the other side, and writes
    the same script around it; a step is a command line already. Nor are arrays: a test needs the
    checkpoint that its training chose, and how many folds there are is known when the first has
    set up its data, so that jobs are submitted as they become ready.

    Args:
        options: Options of sbatch without `--`, such as `{"partition": "gpu"}`; a switch has an
            empty value.
        jobs: Jobs in the queue at once; None sets no bound.

    Raises:
        CommandError: If there is no SLURM here, or an option cannot be chosen.
    """

    look_every = 5.0

    def __init__(self, options: Mapping[str, str], jobs: int | None = None) -> None:
        for name in sorted(_DECIDED & options.keys()):
            raise usage_error(f"--slurm.{name} is decided by the launcher: leave it out.")
        for program in ("sbatch", "squeue"):
            if shutil.which(program) is None:
                raise CommandError(
                    f"--launcher slurm needs {program}, which is not on this machine: give the "
                    "command on a login node of the cluster, or leave the option out."
                )
        self.running: list[SlurmJob] = []
        # In a whole node srun would start a task for each core.
        tasks = {} if any(re.match("ntasks|nodes", name) for name in options) else {"ntasks": "1"}
        self._options = {**_OPTIONS, **tasks, **options}
        self._jobs = jobs
        self._queue: list[_Queued] | None = None
        cores = options.get("cpus-per-task", "1")
        if not cores.isdecimal():
            raise usage_error(f"--slurm.cpus_per_task takes a whole number, not {cores or 'none'}.")
        self._inherited = inherited_environment(os.environ, int(cores))
        if "SLURM_CONF" in os.environ:  # where the programs find their cluster
            self._inherited["SLURM_CONF"] = os.environ["SLURM_CONF"]

    def has_room(self) -> bool:
        """Tell whether one more job may be submitted."""
        return self._jobs is None or len(self.running) < self._jobs

    def adopt(self, step: Step) -> bool:
        """Take up the job of a step that waits or runs, if there is one."""
        if self._queue is None:
            self._queue = self._ask()
        for queued in self._queue or ():
            if queued.name == _name(step) and queued.state not in _ENDED:
                self.running.append(SlurmJob(step, 0, queued.number, queued.state, queued.reason))
                return True
        return False

    def start(self, step: Step) -> None:
        """Submit a job.

        Raises:
            CommandError: If SLURM refuses the job.
        """
        step.folder.mkdir(parents=True, exist_ok=True)
        (step.folder / _EXIT_CODE).unlink(missing_ok=True)
        environment = {**self._inherited, **outlives_parent(step.environment())}
        script = step.folder / _SCRIPT
        script.write_text(self._script(step, environment))
        done = self._run("sbatch", "--parsable", str(script), environment=environment)
        if done.returncode:
            raise CommandError(
                f"SLURM refused {script}: {' '.join(done.stderr.split())} Change its --slurm.* "
                "options; where too many jobs are in the queue, --jobs bounds them."
            )
        number = done.stdout.strip().partition(";")[0]
        start = step.log.stat().st_size if step.log.exists() else 0
        self.running.append(SlurmJob(step, start, number))

    def ended(self) -> list[SlurmJob]:
        """Return what has ended since the last call."""
        self._queue = self._ask()
        if self._queue is None:  # the controller does not answer now; the jobs do not need it
            return []
        queue = {queued.number: queued for queued in self._queue}
        for job in self.running:
            job.look(queue.get(job.number))
        ended = [job for job in self.running if job.exit_code is not None]
        self.running = [job for job in self.running if job.exit_code is None]
        return ended

    def stop(self) -> None:
        """Leave the jobs in the queue, and say so."""
        if self.running:
            numbers = " ".join(job.number for job in self.running)
            print(
                f"{len(self.running)} jobs stay in SLURM's queue: the same command adopts them, "
                f"scancel {numbers} ends them.",
                file=sys.stderr,
                flush=True,
            )

    def _ask(self) -> list[_Queued] | None:
        """Return the jobs of this user, None where SLURM does not answer."""
        done = self._run("squeue", "--me", "-h", "-t", "all", "-o", "%A|%T|%j|%r")
        if done.returncode:
            return None
        lines = (line.split("|", 3) for line in done.stdout.splitlines())
        return [_Queued(*line) for line in lines if len(line) == 4]

    def _run(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=environment or self._inherited, capture_output=True, text=True
        )

    def _script(self, step: Step, environment: Mapping[str, str]) -> str:
        log, code = step.log.absolute(), (step.folder / _EXIT_CODE).absolute()
        header = f"{step.verb}, job $SLURM_JOB_ID on $SLURM_JOB_NODELIST"
        options = {
            **self._options,
            "job-name": _name(step),
            "chdir": str(Path.cwd()),
            "output": str(log).replace("%", "%%"),
        }
        # The rest is what the person who submits has; secrets stay out of the file.
        own = {name: value for name, value in environment.items() if os.environ.get(name) != value}
        return "\n".join(
            [
                "#!/bin/bash",
                *(
                    f"#SBATCH --{name}={shlex.quote(value)}" if value else f"#SBATCH --{name}"
                    for name, value in options.items()
                ),
                *(f"export {name}={shlex.quote(value)}" for name, value in own.items()),
                "# srun takes it from the job in old versions of SLURM only.",
                'export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"',
                f"rm -f {shlex.quote(str(code))}",
                f'echo "--- $(date "+%F %T") {header}"',
                f"srun --kill-on-bad-exit {shlex.join(step.command())}",
                "code=$?",
                f"echo $code > {shlex.quote(str(code))}",
                "exit $code",
                "",
            ]
        )


def _name(step: Step) -> str:
    """Name the job of a step, as no step of another folder or verb is named."""
    path = step.folder.resolve()
    digest = hashlib.sha1(f"{path} {step.verb}".encode(), usedforsecurity=False).hexdigest()[:8]
    readable = "-".join([*path.parts[-2:], step.verb])
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', readable)}-{digest}"
