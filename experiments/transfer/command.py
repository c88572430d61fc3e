"""`lightning transfer`: run the matrix pretrain x train x test, and write its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.command.errors import CommandError, usage_error
from experiments.crossval.work import make_slots
from experiments.jobs.lock import claim_all
from experiments.jobs.signals import EndedError, ends_in_order, exit_code
from experiments.transfer.arguments import parse
from experiments.transfer.plan import Plan
from experiments.transfer.report import as_markdown, write_report
from experiments.transfer.schedule import Schedule, is_done
from experiments.transfer.summary import summarize


def transfer(args: Sequence[str]) -> None:
    """Run `lightning transfer`.

    Args:
        args: What follows it on the command line.

    Raises:
        CommandError: If the command line is wrong, or not every cell has a result in the end.
    """
    options = parse(args)
    plan = Plan(options)
    if not any(data.labelled for data in plan.sets.values()):
        raise usage_error(
            "transfer: no data set has labels, so there is nothing to train and to test on; add "
            "one, e.g. --data_configs experiments/data/ckplus_faces.yaml."
        )
    slots = make_slots(options.devices, options.jobs)
    print(f"Transfer: {plan.folder}", flush=True)
    schedule = Schedule(plan, slots, lambda line: print(line, flush=True))
    try:
        with ends_in_order(), claim_all(plan.folder):
            schedule.run()
            home = str(Path.home())
            arguments = [argument.replace(home, "~") for argument in args]
            summary = summarize(plan, arguments, schedule.failures)
            write_report(plan.folder, summary)
    except (KeyboardInterrupt, EndedError) as error:
        steps = plan.steps()
        raise CommandError(
            f"Stopped. {sum(map(is_done, steps))} of {len(steps)} steps are done; the same command "
            "goes on.",
            exit_code(error),
        ) from None
    print(f"\n{as_markdown(summary)}")
    for name in ("transfer.md", "transfer.json", "transfer.csv"):
        print(plan.folder / name, flush=True)
    if schedule.failures:
        raise CommandError(
            f"Failed: {', '.join(schedule.failures)}; the same command runs what is missing again."
        )
