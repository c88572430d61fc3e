"""`lightning crossval`: run the folds of an experiment, and sum them up."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from callbacks.records.fold_record import FoldRecord, is_tested, trained_with
from callbacks.records.source import source_state
from experiments.command.errors import CommandError, usage_error
from experiments.command.privacy import without_home
from experiments.command.signatures import class_name
from experiments.crossval.arguments import Options, parse
from experiments.crossval.folder import (
    DESCRIPTION_FILE,
    CrossvalFolder,
    Description,
    find_folder,
    open_folder,
)
from experiments.crossval.folds import FoldQueue
from experiments.crossval.report import headline_line, write_report
from experiments.crossval.summary import check_together, collect, commit_of, summarize
from experiments.jobs.launch import detach, make_launcher
from experiments.jobs.launcher import Launcher
from experiments.jobs.lock import lock_steps
from experiments.jobs.signals import ends_in_order
from experiments.jobs.slurm import refuse_several_tasks
from experiments.jobs.step import LOG_FILE
from experiments.published import TRAINER_ARGUMENTS
from experiments.report.frontalization import frontalization_tables
from experiments.run.folder import setting_hash

if TYPE_CHECKING:
    from experiments.command.resolve import ResolvedExperiment
    from experiments.crossval.tracking import CrossvalRun

# Of data modules: what differs from machine to machine.
_PATHS = ("root", "cache_dir", "input", "labels_csv", "label_map")


def crossval(args: Sequence[str]) -> None:
    """Run `lightning crossval`.

    Raises:
        CommandError: If the command line is wrong, or not every fold is done in the end.
    """
    refuse_several_tasks("crossval")
    options = parse(args)
    names = {argument.partition("=")[0] for argument in options.fit}
    if options.summarize and names.isdisjoint({"-c", "--config"}):
        _summarize_all(options.fit)
        return
    # Late, like all that imports torch: what there is can be summed up without it.
    from experiments.command.resolve import ResolvedExperiment

    experiment = ResolvedExperiment(options.fit)
    description = describe(experiment, options.fit)
    if options.summarize:
        folder = find_folder(experiment.runs_dir, description.experiment, description.config_hash)
        _sum_up(folder, _parent_run(folder, experiment))
        return
    launcher = make_launcher(options.launch)
    folder = open_folder(experiment.runs_dir, description)
    print(f"Cross-validation: {folder.path}", flush=True)
    if options.launch.detach:
        detach(options.launch, "crossval", args, folder.path)
        return

    def progress() -> str:
        done = sum(is_tested(folder.fold(fold).path) for fold in folder.started())
        return f"{done} of {folder.num_folds() or 'unknown'} folds are done"

    part = None if options.fold is None else folder.fold(options.fold).path.name
    with ends_in_order(progress), lock_steps(folder.path, part):
        _run(folder, experiment, options, launcher)


def _run(
    folder: CrossvalFolder, experiment: ResolvedExperiment, options: Options, launcher: Launcher
) -> None:
    """Run all folds and sum them up, or run one."""
    records, missing = check_before(folder)
    if options.fold is not None:
        queue = FoldQueue(folder, options.fit, launcher)
        queue.run([options.fold])
        _refuse_failures(folder, queue.failures)
        print(f"Fold {options.fold} is done; sum up all with --summarize.", flush=True)
        return
    parent = _parent_run(folder, experiment)

    def tell() -> None:
        done, left = collect(folder)
        if parent is not None and left:
            parent.update(summarize(folder.description(), done, left))

    queue = FoldQueue(
        folder,
        options.fit,
        launcher,
        expected=(records[0]["folds_hash"], records[0]["manifest_hash"]) if records else None,
        finished_before=len(records),
        on_finished=tell,
    )
    for fold, why in missing.items():
        if why.startswith("its record"):
            queue.say(f"fold {fold}: {why.partition(';')[0]}; its test is run again")
    queue.run(None)
    if not queue.failures or collect(folder)[0]:
        _sum_up(folder, parent)
    _refuse_failures(folder, queue.failures)


def check_before(folder: CrossvalFolder) -> tuple[list[FoldRecord], dict[int, str]]:
    """See that new folds will fit those that are done or begun, before hours go into them.

    Returns:
        Records of the finished folds, and why each other fold has none.

    Raises:
        CommandError: If they would not, such as folds of another commit.
    """
    records, missing = collect(folder)
    if records:
        check_together(records)
    commits = {record["fold"]: commit_of(record) for record in records}
    # A training that goes on would leave no trace of the commit that it was begun with.
    for fold in missing:
        if folder.fold(fold).last.exists():
            commits[fold] = (trained_with(folder.fold(fold).path) or {}).get("commit")
    now = (source_state() or {}).get("commit")
    others = sorted(fold for fold, commit in commits.items() if commit != now)
    if missing and others:
        raise CommandError(
            f"In {folder.path} fold {', '.join(map(str, others))} was made with commit "
            f"{commits[others[0]]}, and this is {now}: check that one out to go on, or move these "
            "folds away to run them again."
        )
    return records, missing


def _refuse_failures(folder: CrossvalFolder, failures: dict[int, str]) -> None:
    if not failures:
        return
    logs = ", ".join(
        f"fold {fold} ({folder.fold(fold).path / LOG_FILE})" for fold in sorted(failures)
    )
    raise CommandError(
        f"{len(failures)} of {folder.num_folds() or 'unknown'} folds failed: {logs}; the same "
        "command runs them again."
    )


def _parent_run(folder: CrossvalFolder, experiment: ResolvedExperiment) -> CrossvalRun | None:
    """Return the W&B run of the whole, None where W&B is not wanted."""
    from experiments.crossval.tracking import CrossvalRun
    from experiments.run.wandb_run import wandb_mode

    mode = wandb_mode(experiment.resolved["wandb"])
    if mode == "disabled":
        return None
    config = experiment.hide(experiment.resolved)
    return CrossvalRun(folder.path, folder.description(), mode, config)


def _sum_up(folder: CrossvalFolder, parent: CrossvalRun | None) -> None:
    records, missing = collect(folder)
    if not records:
        reasons = "; ".join(f"fold {fold}: {why}" for fold, why in missing.items())
        raise CommandError(f"No fold in {folder.path} is done. {reasons or 'None was started.'}")
    summary = summarize(folder.description(), records, missing)
    write_report(folder.path, summary, records)
    if parent is not None:
        parent.sum_up(summary, records)
    for fold, why in missing.items():
        print(f"missing: fold {fold}, {why}")
    for phrase in summary["departures"]:
        print(f"departs from the protocol: {phrase}")
    for line in frontalization_tables(summary):
        print(line)
    for name in ("summary.md", "summary.json", "folds.csv"):
        print(folder.path / name)
    print(headline_line(summary), flush=True)


def _summarize_all(args: Sequence[str]) -> None:
    """Sum up every cross-validation there is."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"))
    known, unknown = parser.parse_known_args(list(args))
    if unknown:
        raise usage_error(f"crossval: {unknown[0]} needs a --config.")
    folders = sorted(
        path.parent for path in known.runs_dir.glob(f"*/crossval-*/{DESCRIPTION_FILE}")
    )
    if not folders:
        raise CommandError(
            f"There is no cross-validation in {known.runs_dir}: run one with lightning crossval "
            "--config experiments/emotion_gan.yaml."
        )
    for folder in folders:
        _sum_up(CrossvalFolder(folder), None)


def describe(experiment: ResolvedExperiment, fit: Sequence[str]) -> Description:
    """Describe what a command line of `fit`, without the fold, cross-validates."""
    config = experiment.hide(experiment.resolved)
    data = config["data"].get("init_args", {})
    return Description(
        experiment=experiment.experiment,
        config_hash=experiment.digest,
        model=experiment.model_name,
        data=experiment.data_name,
        seed=config["seed_everything"],
        model_arguments=config["model"].get("init_args", {}),
        headline=None if config["headline"] is None else tuple(config["headline"]),
        arguments=without_home(tuple(_deciding(fit))),
        data_arguments={name: value for name, value in data.items() if name not in _PATHS},
        setting_hash=setting_hash(experiment.resolved),
        trainer_arguments={
            **{name: config["trainer"].get(name) for name in TRAINER_ARGUMENTS},
            "callbacks": [class_name(node) for node in config["trainer"].get("callbacks") or ()],
        },
    )


def _deciding(args: Sequence[str]) -> Iterator[str]:
    """Leave out where the results are kept and shown."""
    skip = False
    for argument in args:
        name, equals, _ = argument.partition("=")
        if skip or name in ("--runs_dir", "--wandb", "--wandb_artifacts"):
            skip = not skip and not equals
            continue
        yield argument
