"""`lightning study`: fill the table of a study, on as many devices as there are, and go on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.command.errors import CommandError
from experiments.crossval.command import check_before, describe
from experiments.crossval.folder import find_folder, open_folder
from experiments.crossval.report import write_report
from experiments.crossval.summary import collect, summarize
from experiments.jobs.launch import detach, make_launcher
from experiments.jobs.lock import lock_steps
from experiments.jobs.signals import ends_in_order
from experiments.jobs.slurm import refuse_several_tasks
from experiments.report.markdown import write_files
from experiments.study.arguments import CellPlan, Options, parse
from experiments.study.cells import Cell, CellFolders
from experiments.study.queue import StudyQueue
from experiments.study.summary import rows_of, summary_of
from experiments.study.table import as_markdown, as_rows

if TYPE_CHECKING:
    from experiments.command.resolve import ResolvedExperiment

Cells = dict[tuple[str, str, int], Cell | str]
"""The cells of a study by row, data set and seed, or why there is none."""


def study(args: Sequence[str]) -> None:
    """Run `lightning study`.

    Raises:
        CommandError: If the command line or the file is wrong, or not every cell is filled.
    """
    refuse_several_tasks("study")
    options = parse(args)
    folder = options.runs_dir / "studies" / options.study.name
    print(f"Study: {folder}", flush=True)
    if options.launch.detach and not options.summarize:
        detach(options.launch, "study", args, folder)
        return
    cells = _find_cells(options, CellFolders(folder))
    ran = not options.summarize and _run(options, cells)
    rows = rows_of(options.study, cells)
    summary = summary_of(options.study, rows)
    text = as_markdown(summary)
    write_files(folder, "study", summary, text, ("study.csv", as_rows(summary)))
    if ran or not (options.summarize or (folder / "wandb").exists()):
        from experiments.study.tracking import send_summary

        send_summary(folder, options.fit, summary, rows)
    print(f"\n{text}")
    for name in ("study.md", "study.json", "study.csv"):
        print(folder / name, flush=True)
    missing = [phrase for row in rows for phrase in row.missing]
    if missing and not options.summarize:
        raise CommandError(
            f"{len(missing)} {'parts' if len(missing) > 1 else 'part'} of the study failed, see "
            f"{folder / 'study.md'}; the same command runs what is missing again."
        )


def _find_cells(options: Options, folders: CellFolders) -> Cells:
    """Find the cells, and resolve the command lines of those that are not known to be filled."""
    cells: Cells = {}
    resolved: dict[tuple[str, ...], ResolvedExperiment] = {}
    for plan in options.cells():
        folder = folders.find(plan)
        cell: Cell | str | None = None
        if folder is not None:
            cell = Cell(plan, folder, options.study.fold)
        if not isinstance(cell, Cell) or not (options.summarize or cell.is_done):
            cell = _open(plan, _resolve(plan, resolved), options)
            if isinstance(cell, Cell):
                folders.remember(plan, cell.folder)
        cells[plan.row, plan.data, plan.seed] = cell
    folders.save()
    return cells


def _resolve(
    plan: CellPlan, known: dict[tuple[str, ...], ResolvedExperiment]
) -> ResolvedExperiment:
    """Resolve a command line, once for all seeds, since that takes a third of a second."""
    # Late, since it takes seconds to import and is not needed where all is done.
    from experiments.command.console import quiet
    from experiments.command.resolve import NO_SEED, ResolvedExperiment

    fit = tuple(word for word in plan.fit if word != f"--seed_everything={plan.seed}")
    if fit not in known:
        with quiet():
            known[fit] = ResolvedExperiment([*fit, f"--seed_everything={NO_SEED}"])
    return known[fit].with_seed(plan.seed)


def _open(plan: CellPlan, experiment: ResolvedExperiment, options: Options) -> Cell | str:
    """Find the folder of a cell, or make it where the cell is to be run."""
    description = describe(experiment, plan.fit)
    if options.summarize:
        folder = find_folder(experiment.runs_dir, description.experiment, description.config_hash)
        return Cell(plan, folder, options.study.fold) if folder.path.exists() else "not started"
    folder = open_folder(experiment.runs_dir, description)
    try:
        check_before(folder)
    except CommandError as error:
        print(f"{plan.row}, {plan.data}, seed {plan.seed}: {error}", flush=True)
        return str(error)
    return Cell(plan, folder, options.study.fold)


def _run(options: Options, cells: Cells) -> bool:
    """Run what is not done; tell whether there was any."""
    waiting = [cell for cell in cells.values() if isinstance(cell, Cell) and not cell.is_done]
    if not waiting:
        return False
    launcher = make_launcher(options.launch)

    def progress() -> str:
        done = sum(isinstance(cell, Cell) and cell.is_done for cell in cells.values())
        return f"{done} of {len(cells)} cells are done"

    with ends_in_order(progress), contextlib.ExitStack() as held:
        folders = {cell.folder.path: cell.folder for cell in waiting}
        before = {p.run.path: None for cell in waiting if (p := cell.plan.pretraining) is not None}
        for path in (*folders, *before):
            held.enter_context(lock_steps(path))
        StudyQueue(waiting, launcher).run()
        for path, crossval in folders.items():
            records, missing = collect(crossval)
            if records:
                write_report(path, summarize(crossval.description(), records, missing), records)
    return True
