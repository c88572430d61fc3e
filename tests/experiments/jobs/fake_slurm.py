"""Stands for sbatch, squeue and srun: jobs are processes, and a file says what each is.

Every program is a copy of this file. Jobs wait for ever while there is a file `hold`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(os.environ["FAKE_SLURM"])


def options(script: Path) -> dict[str, str]:
    found = {}
    for line in script.read_text().splitlines():
        if line.startswith("#SBATCH --"):
            name, _, value = line.removeprefix("#SBATCH --").partition("=")
            found[name] = "".join(shlex.split(value)).replace("%%", "%")
    return found


def sbatch(script: Path) -> None:
    if (HERE / "refuse").exists():
        sys.exit("sbatch: error: QOSMaxSubmitJobPerUserLimit")
    given, number = options(script), str(len(list(HERE.glob("*.json"))) + 1)
    about = {"number": number, "name": given["job-name"], "state": "PENDING", "options": given}
    if not (HERE / "hold").exists():
        about |= {"state": "RUNNING", "pid": launch(script, given, number)}
    (HERE / f"{number}.json").write_text(json.dumps(about))
    print(number)


def launch(script: Path, given: dict[str, str], number: str) -> int:
    told = {"SLURM_JOB_ID": number, "SLURM_JOB_NODELIST": "n1"}
    with Path(given["output"]).open("ab") as log:
        return subprocess.Popen(
            ["bash", str(script)],
            cwd=given["chdir"],
            env={**os.environ, **told},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).pid


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def squeue() -> None:
    with (HERE / "asked").open("a") as asked:
        asked.write("squeue\n")
    if (HERE / "down").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller")
    for file in HERE.glob("*.json"):
        about = json.loads(file.read_text())
        if about["state"] == "RUNNING" and not alive(about["pid"]):
            about["state"] = "COMPLETED"
        if about["state"] != "FORGOTTEN":
            print(f"{about['number']}|{about['state']}|{about['name']}|Priority")


program = Path(sys.argv[0]).name
if program == "sbatch":
    sbatch(Path(sys.argv[-1]))
elif program == "squeue":
    squeue()
else:
    command = [word for word in sys.argv[1:] if word != "--kill-on-bad-exit"]
    done = subprocess.run(command)
    if done.returncode:
        print("srun: error: n1: task 0: Exited", flush=True)
    sys.exit(128 - done.returncode if done.returncode < 0 else done.returncode)
