"""What a sweep found: a table, two pictures and the best config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import yaml
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState, create_trial

from callbacks.figures.pictures import new_axes, write_picture
from callbacks.figures.style import PALETTE
from callbacks.statistics import estimate
from datamodules.store.replacing import replacing
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.report.markdown import NONE, markdown_table, spread, write_files
from experiments.sweep.arguments import Options
from experiments.sweep.trials import FOLDER, INSTEAD_OF, WHY, Trials

_STATES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
}
_ACCURACY = "accuracy"
# How a fold is run and where it is kept: a cross-validation decides it anew.
_NOT_OF_THE_CONFIG = ("ckpt_path", "runs_dir", "wandb", "weights_only", "verbose")


def write_report(folder: Path, options: Options, trials: Trials) -> None:
    """Write what a sweep found, and print it.

    Raises:
        CommandError: If no trial is done.
    """
    told = trials.told()
    done = [trial for trial in told if trial.state == TrialState.COMPLETE]
    if not done:
        reasons = "; ".join(
            f"trial {t.number}: {t.user_attrs.get(WHY, 'killed')}" for t in told[:3]
        )
        raise CommandError(f"No trial in {folder} is done. {reasons or 'None was started.'}")
    best = max(done, key=lambda trial: trial.value or 0.0)
    weights = _importances(told)
    summary = _summary(options, trials, told, best, weights)
    text = as_markdown(summary)
    write_files(folder, "sweep", summary, text, ("trials.csv", _rows(summary)))
    title = f"{summary['model']}, sweep {options.sweep.name}"
    shown = f"data: {summary['source']}, seed {summary['seed']}"
    draw_history(folder / "history.png", summary["trials"], f"{title}, trials, {shown}")
    written = ["sweep.md", "sweep.json", "trials.csv", "history.png"]
    if weights:
        draw_importances(folder / "importance.png", weights, f"{title}, importance, {shown}")
        written.append("importance.png")
    write_config(folder / "best.yaml", best, summary)
    print(f"\n{text}")
    for name in written:
        print(folder / name)
    print(f"lightning crossval --config {folder / 'best.yaml'}", flush=True)


def _summary(
    options: Options,
    trials: Trials,
    told: Sequence[FrozenTrial],
    best: FrozenTrial,
    weights: Mapping[str, float],
) -> dict[str, Any]:
    crossval = CrossvalFolder(Path(best.user_attrs[FOLDER]))
    fold = next(iter(best.intermediate_values))
    about = crossval.description()
    return {
        "sweep": options.sweep.name,
        "model": about.model,
        "data": about.data,
        "seed": about.seed,
        "method": options.sweep.method,
        "wanted": options.trials,
        "commit": trials.study.user_attrs.get("commit"),
        "source": (crossval.split(fold) or {}).get("source"),
        "best": best.number,
        "exhausted": trials.is_exhausted,
        "importance": dict(weights),
        "trials": [
            {
                "trial": trial.number,
                "state": _STATES[trial.state],
                "folds": list(trial.intermediate_values),
                "accuracies": list(trial.intermediate_values.values()),
                "setting": trials.setting(trial.params),
                "folder": trial.user_attrs.get(FOLDER),
                "why": trial.user_attrs.get(WHY),
                "instead_of": trial.user_attrs.get(INSTEAD_OF),
            }
            for trial in told
        ],
    }


def as_markdown(summary: Mapping[str, Any]) -> str:
    """Write the trials, the best first, with what they stand on below."""
    keys = list(summary["trials"][0]["setting"])
    last = Counter(key.rsplit(".", 1)[-1] for key in keys)
    names = [short if last[short := key.rsplit(".", 1)[-1]] == 1 else key for key in keys]
    ordered = sorted(
        summary["trials"],
        key=lambda one: (one["state"] != "done", -sum(one["accuracies"]) / _count(one)),
    )
    body = [
        [
            str(one["trial"]),
            spread(asdict(estimate(one["accuracies"])), _ACCURACY) if one["accuracies"] else NONE,
            str(len(one["folds"])),
            *(one["setting"].get(key, NONE) for key in keys),
            one["state"],
        ]
        for one in ordered
    ]
    told, done = len(body), sum(one["state"] == "done" for one in ordered)
    lines = [
        f"# {summary['sweep']}: {summary['model']} on {summary['data']}, data {summary['source']}",
        "",
        f"{told} of {summary['wanted']} trials ({summary['method']}), {done} of them on all folds; "
        f"seed {summary['seed']}, commit {(summary['commit'] or 'unknown')[:8]}.",
        "",
        *markdown_table(["trial", "validation", "folds", *names, "state"], body),
        "Mean ± standard deviation over folds of the accuracy on validation parts, with the "
        "weights that validation chose; nothing was tested. The people of a validation part are "
        "tested in another fold, so that the test of the best setting on these folds is a little "
        "too good: report that of other people.",
    ]
    if summary["importance"]:
        shares = (f"{key} {100 * share:.0f} %" for key, share in summary["importance"].items())
        lines.append(
            "Importance (PED-ANOVA, Watanabe et al. 2023), of a trial that stopped early by the "
            f"folds it has: {', '.join(shares)}."
        )
    if summary["exhausted"]:
        lines.append("There are no further settings to try.")
    lines += [
        f"trial {one['trial']} took up trial {one['instead_of']}, which was killed or failed."
        for one in ordered
        if one["instead_of"] is not None
    ]
    lines += [f"trial {one['trial']} failed: {one['why']}" for one in ordered if one["why"]]
    return "\n".join(lines) + "\n"


def _count(one: Mapping[str, Any]) -> int:
    return max(1, len(one["accuracies"]))


def _rows(summary: Mapping[str, Any]) -> Iterator[list[Any]]:
    keys = list(summary["trials"][0]["setting"])
    yield ["trial", "state", "folds", "mean", "std", *keys, "folder"]
    for one in summary["trials"]:
        found = asdict(estimate(one["accuracies"])) if one["accuracies"] else {}
        settings = [one["setting"].get(key) for key in keys]
        numbers = [found.get("mean"), found.get("std")]
        yield [one["trial"], one["state"], len(one["folds"]), *numbers, *settings, one["folder"]]


def _importances(told: Sequence[FrozenTrial]) -> dict[str, float]:
    """Weigh the parameters, empty where the trials do not tell.

    Optuna looks at the trials that are done alone. What stopped the others early counts too: they
    stand with the mean of the folds that they have.
    """
    study = optuna.create_study(direction="maximize")
    for trial in told:
        if trial.state != TrialState.FAIL and (folds := trial.intermediate_values):
            mean, kinds = fmean(folds.values()), trial.distributions
            study.add_trial(create_trial(params=trial.params, distributions=kinds, value=mean))
    trials = study.trials
    varied = [key for key in trials[0].params if len({trial.params[key] for trial in trials}) > 1]
    if not varied or len({trial.value for trial in trials}) < 2:
        return {}
    return optuna.importance.get_param_importances(study, params=varied)


def draw_history(path: Path, trials: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draw the accuracy of the trials in their order, and the best so far."""
    figure, axes = new_axes(6.0, 3.4, title)
    for state, marker, colour in (("done", "o", PALETTE[0]), ("stopped early", "x", PALETTE[1])):
        found = [one for one in trials if one["state"] == state and one["accuracies"]]
        values = [100 * sum(one["accuracies"]) / _count(one) for one in found]
        numbers = [one["trial"] for one in found]
        if found:
            axes.scatter(numbers, values, s=18, marker=marker, color=colour, label=state)
        if state == "done":
            best = [max(values[: place + 1]) for place in range(len(values))]
            axes.step(numbers, best, where="post", color=PALETTE[3], label="best so far")
    axes.set_xlabel("trial", fontsize=8)
    axes.set_ylabel("accuracy on validation parts [%]", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, ncols=3, loc="upper left", bbox_to_anchor=(0.0, -0.16))
    write_picture(path, figure)


def draw_importances(path: Path, weights: Mapping[str, float], title: str) -> None:
    """Draw the share of each parameter in the differences between trials."""
    figure, axes = new_axes(6.0, 1.2 + 0.3 * len(weights), title)
    names = list(weights)[::-1]
    axes.barh(names, [100 * weights[name] for name in names], color=PALETTE[0])
    axes.tick_params(labelsize=8)
    axes.set_xlabel("importance (PED-ANOVA) [%]", fontsize=8)
    write_picture(path, figure)


def write_config(path: Path, best: FrozenTrial, summary: Mapping[str, Any]) -> None:
    """Write the whole config of a trial, which `lightning crossval --config` takes.

    Its cross-validation is the trial's: the folds are trained already, and are only tested.
    """
    crossval = CrossvalFolder(Path(best.user_attrs[FOLDER]))
    fold = next(iter(best.intermediate_values))
    config = yaml.safe_load((crossval.fold(fold).path / "config.yaml").read_text("utf-8"))
    config = {key: value for key, value in config.items() if key not in _NOT_OF_THE_CONFIG}
    config["data"]["init_args"].pop("fold")
    head = (
        f"# Trial {best.number} of the sweep {summary['sweep']}: "
        f"{100 * (best.value or 0.0):.2f} % on validation parts, data {summary['source']}.\n"
    )
    with replacing(path) as aside:
        aside.write_text(head + yaml.safe_dump(config, sort_keys=False), "utf-8")
