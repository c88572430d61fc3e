"""`lightning crossval`: run the folds of an experiment, and sum them up."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from callbacks.records.fold_report import trained_with
from callbacks.records.run_record import git_state
from experiments.command.errors import CommandError, usage_error
from experiments.command.resolve import ResolvedExperiment
from experiments.crossval.arguments import Options, parse
from experiments.crossval.folder import About, CrossvalFolder, find_folder, open_folder
from experiments.crossval.progress import FoldProgress
from experiments.crossval.records import FoldRecord
from experiments.crossval.report import headline_line, write_report
from experiments.crossval.schedule import Schedule, Work, next_step
from experiments.crossval.summary import check_together, collect, commit_of, summarize
from experiments.crossval.tracking import ParentRun
from experiments.crossval.work import make_slots, make_work
from experiments.jobs.lock import claim_all, claim_fold
from experiments.jobs.process import LOG_FILE
from experiments.jobs.signals import EndedError, ends_in_order, exit_code
from experiments.run.loggers import wandb_mode

_SOURCE = Path(__file__).resolve().parent.parent.parent


def crossval(args: Sequence[str]) -> None:
    """Run `lightning crossval`.

    Args:
        args: What follows it on the command line.

    Raises:
        CommandError: If the command line is wrong, or not every fold is done in the end.
    """
    options = parse(args)
    if options.summarize and not any(a in ("-c", "--config") for a in _names(options.fit)):
        _summarize_all(options.fit)
        return
    experiment = ResolvedExperiment(options.fit)
    about = _about(experiment, options)
    if options.summarize:
        _summarize_one(
            find_folder(experiment.runs_dir, about.experiment, about.config_hash), experiment
        )
        return
    slots = make_slots(options.devices, options.jobs)
    folder = open_folder(experiment.runs_dir, about)
    work = make_work(folder, options.fit, slots)
    print(f"Cross-validation: {folder.path}", flush=True)
    try:
        with ends_in_order():
            if options.fold is None:
                with claim_all(folder.path):
                    _run_all(folder, experiment, work)
            else:
                with claim_fold(folder.path, folder.fold(options.fold).path):
                    _run_one(folder, options.fold, work)
    except (KeyboardInterrupt, EndedError) as error:
        done = sum(next_step(folder.fold(fold)) is None for fold in folder.started())
        raise CommandError(
            f"Stopped. {done} of {folder.num_folds() or 'unknown'} folds are done; the same "
            "command goes on.",
            exit_code(error),
        ) from None


def _run_all(folder: CrossvalFolder, experiment: ResolvedExperiment, work: Work) -> None:
    about = folder.about()
    records, missing = _check_before(folder)
    mode = wandb_mode(experiment.resolved["wandb"])
    parent = None
    if mode != "disabled":
        parent = ParentRun(folder.path, about, mode, experiment.resolved)

    def tell() -> None:
        done, left = collect(folder)
        if parent is not None and left:
            parent.update(summarize(about, done, left))

    expected = (records[0]["folds_hash"], records[0]["manifest_hash"]) if records else None
    with FoldProgress(about.headline, tell, done=len(records)) as progress:
        for fold, why in missing.items():
            if why.startswith("its record"):
                progress.say(f"fold {fold}: {why.partition(';')[0]}; its test is run again")
        schedule = Schedule(folder, work, progress, expected)
        schedule.run(None)
    if not schedule.failures or collect(folder)[0]:
        _sum_up(folder, parent)
    if schedule.failures:
        raise _failed(folder, schedule.failures)


def _run_one(folder: CrossvalFolder, fold: int, work: Work) -> None:
    _check_before(folder)
    with FoldProgress(folder.about().headline) as progress:
        schedule = Schedule(folder, work, progress)
        schedule.run([fold])
    if schedule.failures:
        raise _failed(folder, schedule.failures)
    print(f"Fold {fold} is done; sum up all with --summarize.", flush=True)


def _check_before(folder: CrossvalFolder) -> tuple[list[FoldRecord], dict[int, str]]:
    """See that new folds will fit those that are done or begun, before hours go into them."""
    records, missing = collect(folder)
    if records:
        check_together(records)
    commits = {record["fold"]: commit_of(record) for record in records}
    # A training that goes on would leave no trace of the commit that it was begun with.
    for fold in missing:
        if folder.fold(fold).last.exists():
            commits[fold] = (trained_with(folder.fold(fold).path) or {}).get("commit")
    now = (git_state(_SOURCE) or {}).get("commit")
    others = sorted(fold for fold, commit in commits.items() if commit != now)
    if missing and others:
        raise CommandError(
            f"In {folder.path} fold {', '.join(map(str, others))} was made with commit "
            f"{commits[others[0]]}, and this is {now}: check that one out to go on, or move these "
            "folds away to run them again."
        )
    return records, missing


def _sum_up(folder: CrossvalFolder, parent: ParentRun | None) -> None:
    about = folder.about()
    records, missing = collect(folder)
    if not records:
        reasons = "; ".join(f"fold {fold}: {why}" for fold, why in missing.items())
        raise CommandError(f"No fold in {folder.path} is done. {reasons or 'None was started.'}")
    summary = summarize(about, records, missing)
    write_report(folder.path, summary, records)
    if parent is not None:
        parent.finish(summary, records)
    for fold, why in missing.items():
        print(f"missing: fold {fold}, {why}")
    for phrase in summary["departures"]:
        print(f"departs from the protocol: {phrase}")
    for name in ("summary.md", "summary.json", "folds.csv"):
        print(folder.path / name)
    print(headline_line(summary), flush=True)


def _summarize_one(folder: CrossvalFolder, experiment: ResolvedExperiment) -> None:
    about = folder.about()
    mode = wandb_mode(experiment.resolved["wandb"])
    parent = None
    if mode != "disabled":
        parent = ParentRun(folder.path, about, mode, experiment.resolved)
    _sum_up(folder, parent)


def _summarize_all(args: Sequence[str]) -> None:
    """Sum up every cross-validation there is."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"))
    known, unknown = parser.parse_known_args(list(args))
    if unknown:
        raise usage_error(f"crossval: {unknown[0]} needs a --config.")
    folders = sorted(path.parent for path in known.runs_dir.glob("*/crossval-*/crossval.json"))
    if not folders:
        raise CommandError(
            f"There is no cross-validation in {known.runs_dir}: run one with lightning crossval "
            "--config experiments/emotion_gan.yaml."
        )
    for folder in folders:
        _sum_up(CrossvalFolder(folder), None)


def _failed(folder: CrossvalFolder, failures: dict[int, str]) -> CommandError:
    logs = ", ".join(
        f"fold {fold} ({folder.fold(fold).path / LOG_FILE})" for fold in sorted(failures)
    )
    return CommandError(
        f"{len(failures)} of {folder.num_folds() or 'unknown'} folds failed: {logs}; the same "
        "command runs them again."
    )


def _about(experiment: ResolvedExperiment, options: Options) -> About:
    config = experiment.resolved
    home = str(Path.home())
    return About(
        experiment=experiment.experiment,
        config_hash=experiment.digest,
        model=experiment.model_name,
        data=experiment.data_name,
        seed=config["seed_everything"],
        model_arguments=config["model"].get("init_args", {}),
        headline=None if config["headline"] is None else tuple(config["headline"]),
        arguments=tuple(a.replace(home, "~") for a in _without_place(options.fit)),
    )


def _without_place(args: Sequence[str]) -> Iterator[str]:
    """Leave out where the results are kept and shown."""
    skip = False
    for argument in args:
        name, equals, _ = argument.partition("=")
        if skip or name in ("--runs_dir", "--wandb"):
            skip = not skip and not equals
            continue
        yield argument


def _names(args: Sequence[str]) -> Iterator[str]:
    return (argument.partition("=")[0] for argument in args)
