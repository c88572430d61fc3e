"""Tables I to III of the eMotion-GAN paper, of what a cross-validation measured.

Reference:
    eMotion-GAN (arXiv 2404.09940), V.A and V.B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.markdown import NONE, markdown_table, spread

Estimates = Mapping[str, Mapping[str, Any]]

# Rows of flows, and of faces where they are animated with them.
_METHODS = {
    "posed": "baseline (no frontalization)",
    "features": "SIFT registration",
    "registration": "ECC registration",
    "fit": "closed-form head-motion fit",
    "subspaces": "learnt subspaces",
    "emotion_gan": "eMotion-GAN",
}
_OURS, _AGAIN = "emotion_gan", "emotion_gan_frontal"
_FRONTAL = "-frontal"  # ends the name of a method to which frontal frames were given
_JUDGED = "image_accuracy_"
_FLOW_JUDGES = {"accuracy": "Flow-CNN (D_E)", "judge_accuracy": "independent Flow-CNN"}
_FITTED = "independent ResNet-18 of the training fold"


def frontalization_tables(summary: Mapping[str, Any]) -> list[str]:
    """Lay out what was measured in the rows and columns of the paper, as lines of Markdown.

    Args:
        summary: What `summarize` returned of a cross-validation.

    Returns:
        Table I (endpoint error, SSIM, RMSE), Table II (accuracies in the image and in the flow,
        SNAP-F: of frontal flows, SNAP-NF: of posed ones), the latter by movements of the head, and
        Table III (accuracies on the average face). Methods whose frames `data.frontalized` gives
        stand in the first two, with their own faces. Nothing of a run without eMotion-GAN.
    """
    measured = {key.removeprefix("test/"): value for key, value in summary["metrics"].items()}
    if f"{_OURS}_epe_px" not in measured:
        return []
    data = summary["source"]
    lines = [f"## Table I: distance to the true frontal flow and face, data {data}", ""]
    lines += markdown_table(["method", "EPE px", "SSIM", "RMSE"], list(_distances(measured)))
    lines += [f"## Table II: accuracy before and after frontalization, data {data}", ""]
    columns = ["FER", "method", "SNAP-F", "Δ", "SNAP-NF", "Δ"]
    lines += markdown_table(columns, _accuracies(measured))
    if movements := _movements(measured):
        lines += ["## Table II, SNAP-NF by movement of the head, or by data set", ""]
        lines += markdown_table(["FER", "method", *movements], _by_movement(measured, movements))
    if f"average_{_JUDGED[:-1]}" in measured:
        lines += [f"## Table III: accuracy on the average face, data {data}", ""]
        lines += markdown_table(["FER", "SNAP-F", "SNAP-NF"], _on_average(measured))
    return [
        *lines,
        "Mean ± standard deviation over test folds. EPE is in pixels of a 128x128 grid, RMSE in "
        "grey levels. SNAP-F: frontal flows through G_F, or as they are; SNAP-NF: posed ones. "
        "Baseline of the image part is the face itself, elsewhere G_W or the pure warp moves the "
        "neutral face along the flow. Δ to the baseline in points.",
        "",
    ]


def _distances(measured: Estimates) -> list[list[str]]:
    """Rows of Table I; the baseline's face is that of the moving head itself."""
    faces = {row: row for row in _METHODS} | {"posed": "posed_apex"}
    rows = [(title, f"{row}_", f"{faces[row]}_") for row, title in _METHODS.items()]
    rows.insert(1, ("zero flow, neutral face", "zero_", "neutral_"))
    rows[2:2] = [(name, f"{name}_", f"{name}_apex_") for name in _rivals(measured)]
    rows.append(("eMotion-GAN's flow, pure warp", f"{_OURS}_", f"{_OURS}_warp_"))
    return [
        [
            title,
            _cell(measured, f"{flow}epe_px"),
            *(_cell(measured, f"{face}{measure}") for measure in ("ssim", "rmse")),
        ]
        for title, flow, face in rows
        if f"{flow}epe_px" in measured
    ]


def _accuracies(measured: Estimates) -> list[list[str]]:
    """Rows of Table II: the image part, then the flow part."""
    table = []
    for fer, measure in _judges(measured).items():
        base = (f"apex_{measure}", f"posed_apex_{measure}")
        table.append([fer, _METHODS["posed"], *_pair(measured, base, base)])
        table += [
            [fer, name, *_pair(measured, _again(name, f"apex_{measure}"), base)]
            for name in _rivals(measured)
        ]
        table += [
            [fer, _METHODS[row], *_pair(measured, ("", f"{row}_{measure}"), base)]
            for row in ("features", "registration")
            if f"{row}_{measure}" in measured
        ]
        for title, by in (("pure warp", "_warp"), ("eMotion-GAN", "")):
            ours = (f"{_AGAIN}{by}_{measure}", f"{_OURS}{by}_{measure}")
            table.append([fer, title, *_pair(measured, ours, base)])
    for measure, fer in _FLOW_JUDGES.items():
        base = (f"frontal_{measure}", f"posed_{measure}")
        titles = _METHODS | {name: name for name in _rivals(measured)}
        pairs = {row: _again(row, measure) for row in titles}
        pairs |= {"posed": base, _OURS: (f"{_AGAIN}_{measure}", f"{_OURS}_{measure}")}
        for row, title in titles.items():
            pair = pairs[row]
            if pair[1] in measured:
                table.append([fer, title, *_pair(measured, pair, base)])
    return table


def _by_movement(measured: Estimates, movements: Sequence[str]) -> list[list[str]]:
    """Rows of Table II for each movement: before and after."""
    pairs = {fer: ("posed_apex", measure) for fer, measure in _judges(measured).items()}
    pairs[_FLOW_JUDGES["accuracy"]] = ("posed", "accuracy")
    return [
        [fer, title, *(_cell(measured, f"{movement}_{row}_{measure}") for movement in movements)]
        for fer, (base, measure) in pairs.items()
        for title, row in ((_METHODS["posed"], base), (_METHODS[_OURS], _OURS))
    ]


def _on_average(measured: Estimates) -> list[list[str]]:
    return [
        [fer, *(_cell(measured, f"{row}_{measure}") for row in ("average_frontal", "average"))]
        for fer, measure in _judges(measured).items()
    ]


def _judges(measured: Estimates) -> dict[str, str]:
    """Name the judges of faces, with their measures; the one fitted here comes last."""
    beginning = f"{_OURS}_{_JUDGED}"
    named = [key.removeprefix(beginning) for key in measured if key.startswith(beginning)]
    return {**{name: f"{_JUDGED}{name}" for name in named}, _FITTED: _JUDGED[:-1]}


def _rivals(measured: Estimates) -> list[str]:
    """Name the other methods that frontalised frames: what has a row of flows and a face."""
    names = [key.removesuffix("_apex_rmse") for key in measured if key.endswith("_apex_rmse")]
    # Beside a movement of the head stand the faces of its test list, and no flow of that name.
    names = [name for name in names if "_" not in name and f"{name}_epe_px" in measured]
    names = [name for name in names if name not in _METHODS]
    again = {f"{name}{_FRONTAL}" for name in names}  # stands in the row of the method
    return [name for name in names if name not in again]


def _again(name: str, measure: str) -> tuple[str, str]:
    """Name what was measured of a method given frontal frames, and of it given posed ones."""
    return f"{name}{_FRONTAL}_{measure}", f"{name}_{measure}"


def _movements(measured: Estimates) -> list[str]:
    end = f"_{_OURS}_epe_px"
    return [key.removesuffix(end) for key in measured if key.endswith(end)]


def _pair(measured: Estimates, names: Sequence[str], base: Sequence[str]) -> list[str]:
    """Write an accuracy and its difference to the baseline, of frontal and of posed flows."""
    cells = []
    for name, other in zip(names, base, strict=True):
        known = name in measured and other in measured and name != other
        change = 100 * (measured[name]["mean"] - measured[other]["mean"]) if known else None
        cells += [_cell(measured, name), NONE if change is None else f"{change:+.1f}"]
    return cells


def _cell(measured: Estimates, name: str) -> str:
    return spread(measured[name], name) if name in measured else NONE
