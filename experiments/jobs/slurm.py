"""The SLURM job that this process belongs to: its name, and how it goes back to the queue."""

from __future__ import annotations

import os
import shutil
import subprocess

from experiments.command.errors import CommandError, usage_error


def slurm_job() -> str | None:
    """Name the batch job of this process as scontrol does; None outside of one."""
    # A person's own shell within an allocation is not a job that anybody could start again.
    if "SLURM_JOB_ID" not in os.environ or os.environ.get("SLURM_JOB_NAME") in (
        "bash",
        "interactive",
    ):
        return None
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ["SLURM_JOB_ID"]


def can_requeue() -> bool:
    """Tell whether there is the program that sends a job back to the queue."""
    return shutil.which("scontrol") is not None


def requeue(job: str) -> None:
    """Send a job back to the queue.

    Raises:
        CommandError: If SLURM refuses.
    """
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    if done.returncode:
        raise CommandError(
            f"SLURM did not take job {job} back ({done.stderr.strip()}): submit the same command "
            "again, which goes on."
        )


def refuse_several_tasks(command: str) -> None:
    """Refuse a command that starts its own processes where srun starts it several times.

    Raises:
        CommandError: If SLURM's step has several tasks.
    """
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if slurm_job() is not None and tasks != "1":
        raise usage_error(
            f"srun starts {tasks} tasks of lightning {command}, which starts processes of its own: "
            "give srun -n1, and for several GPUs --devices."
        )


def refuse_missing_tasks(command: str) -> None:
    """Refuse a command of Lightning in a job of several tasks that srun did not start.

    It would wait for the others until the job's time is over.

    Raises:
        CommandError: If it is one.
    """
    tasks = os.environ.get("SLURM_NTASKS", "1")
    if slurm_job() is not None and tasks != "1" and "SLURM_STEP_ID" not in os.environ:
        raise usage_error(
            f"This job has {tasks} tasks, but lightning {command} was started once, without srun: "
            "start it with srun, or submit the job with --ntasks=1."
        )


def refuse_unequal_tasks(command: str, devices: object, num_nodes: int) -> None:
    """Refuse a trainer that has another number of processes than the job has tasks.

    With fewer each task would train on its own in one folder, with more it would wait for those
    that nobody starts.

    Args:
        command: Its name.
        devices: `trainer.devices`; what is no number, such as auto, is left to Lightning.
        num_nodes: `trainer.num_nodes`.

    Raises:
        CommandError: If the numbers differ.
    """
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ  # of which srun starts one a node
    if slurm_job() is None or by_torchrun or not str(devices).isdecimal():
        return
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    processes = int(str(devices)) * num_nodes
    if processes != int(tasks):
        raise usage_error(
            f"SLURM starts lightning {command} as {tasks} tasks, but trainer.devices {devices} on "
            f"trainer.num_nodes {num_nodes} makes {processes} processes: start as many tasks by "
            "srun, one for each device, or change the trainer's numbers."
        )
