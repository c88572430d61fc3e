"""`lightning transfer`: run the matrix pretrain x train x test, and write its tables."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.command.errors import CommandError, usage_error
from experiments.command.privacy import without_home
from experiments.jobs.launch import detach, make_launcher
from experiments.jobs.launcher import Launcher
from experiments.jobs.lock import lock_steps
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.signals import ends_in_order
from experiments.jobs.slurm import refuse_several_tasks
from experiments.jobs.step import Step
from experiments.run.folder import RunFolder
from experiments.transfer.arguments import parse
from experiments.transfer.plan import Plan
from experiments.transfer.report import as_markdown, summarize, write_report
from experiments.transfer.tracking import send_summary


class _Lines(Watcher):
    """Prints how the steps come along."""

    def starting(self, step: Step) -> None:
        again = ", from its last checkpoint" if RunFolder(step.folder).last.exists() else ""
        print(f"{step.name}: started{again}", flush=True)

    def adopted(self, step: Step) -> None:
        print(f"{step.name}: goes on, by the job of an earlier command", flush=True)

    def done(self, step: Step) -> None:
        print(f"{step.name}: done", flush=True)

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        print(f"{step.name}: failed: {why}\n  its log: {step.log}", flush=True)


def transfer(args: Sequence[str]) -> None:
    """Run `lightning transfer`.

    Raises:
        CommandError: If the command line is wrong, or not every cell has a result in the end.
    """
    refuse_several_tasks("transfer")
    options = parse(args)
    plan = Plan(options)
    if not any(data.labelled for data in plan.sets.values()):
        raise usage_error(
            "transfer: no data set has labels, so there is nothing to train and to test on; add "
            "one, e.g. --data_configs experiments/data/ckplus_faces.yaml."
        )
    launcher = make_launcher(options.launch)
    print(f"Transfer: {plan.folder}", flush=True)
    if options.launch.detach:
        detach(options.launch, "transfer", args, plan.folder)
        return
    steps = plan.steps()

    def progress() -> str:
        return f"{sum(step.is_done() for step in steps)} of {len(steps)} steps are done"

    with ends_in_order(progress), lock_steps(plan.folder):
        failures = run_steps(steps, launcher)
        summary = summarize(plan, without_home(list(args)), failures)
        write_report(plan.folder, summary)
        send_summary(plan, summary)
    print(f"\n{as_markdown(summary)}")
    for name in ("transfer.md", "transfer.json", "transfer.csv"):
        print(plan.folder / name, flush=True)
    if failures:
        raise CommandError(
            f"Failed: {', '.join(failures)}; the same command runs what is missing again."
        )


def run_steps(steps: Sequence[Step], launcher: Launcher) -> dict[str, str]:
    """Run what is not done, and print how it comes along.

    Returns:
        Why steps failed, by their names.
    """
    runner = Runner(launcher, _Lines())
    runner.add(steps)
    left = len(runner.waiting)
    print(f"{left} steps to do, {len(steps) - left} done before", flush=True)
    runner.run()
    return runner.failures
