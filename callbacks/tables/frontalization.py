"""The tables that a test of eMotion-GAN ends with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np

from callbacks.outputs import Samples, concatenate, join_samples, require
from callbacks.statistics import estimate, mcnemar
from callbacks.tables.base import TestTable, TextTable, formatted, number

FREE = {
    "posed": "posed flow as it is",
    "zero": "zero flow",
    "fit": "closed-form head-motion fit",
    "registration": "flow registered by ECC",
    "features": "flow registered by SIFT",
}
"""Rows that cost no training."""
OURS = "emotion_gan"
TRAINED = {
    "subspaces": "learnt subspaces alone",
    OURS: "eMotion-GAN",
    "emotion_gan_frontal": "eMotion-GAN, frontal flow",
    "frontal": "true frontal flow (ceiling)",
}
ROWS = {**FREE, **TRAINED}
"""Between the two come the methods whose frames `data.frontalized` gives."""
STILLS = {"neutral": "neutral face", "posed_apex": "posed face", "apex": "true apex"}
"""Faces that no flow has moved."""
AVERAGE = {"average": "posed flow (SNAP-NF)", "average_frontal": "frontal flow (SNAP-F)"}
"""Flows that G_F makes of these, on the average face."""

FLOW_MEASURES = ("epe_px", "epe_face_px", "accuracy", "judge_accuracy", "judge_confidence")
FACE_MEASURES = ("ssim", "rmse", "image_accuracy")
MEASURES = (*FLOW_MEASURES, *FACE_MEASURES, *(f"warp_{measure}" for measure in FACE_MEASURES))

LIST_MEASURES = (
    *("posed_epe_px", f"{OURS}_epe_px", "posed_accuracy", f"{OURS}_accuracy", "frontal_accuracy"),
    *(f"{OURS}_{measure}" for measure in FACE_MEASURES),
)
"""What is said of each test list."""

_JUDGED = "image_accuracy_"  # and the name of a judge
_NAMES = {
    "epe_px": "EPE px",
    "epe_face_px": "EPE px in the face",
    "judge_accuracy": "accuracy of the independent Flow-CNN",
    "ssim": "SSIM",
    "rmse": "RMSE",
    "image_accuracy": "image accuracy",
}
_FORMS = {"epe_px": "{:.3f}", "epe_face_px": "{:.3f}", "ssim": "{:.4f}", "rmse": "{:.2f}"}
_LOWER_IS_BETTER = ("epe_px", "epe_face_px", "rmse")
_CHANCE = 0.05
_OUTCOMES = ("better", "worse", "not different beyond chance")
_COMPARED = {
    "free": "eMotion-GAN against the best flow that costs no training",
    "subspaces": "G_F against the subspaces that it starts from",
    "warp": "G_W against the pure warp of the same flow",
}


class FrontalizationTable(TestTable):
    """Prints what frontalization gains on the test subjects and writes ``summary.json``.

    Each row is a flow: as the moving head gives it, zero, what a closed-form fit of the head's
    motion leaves, after classical registrations of the frames (by correlation, ECC, and by
    keypoints, SIFT), what G_F starts from where it has a prior, frontalized, and the true frontal
    one. Its measures are the endpoint error in
    pixels of a 128x128 grid, over the crop and in the face; the accuracy on it of Flow-CNN D_E,
    which trains the generator, and of one that does not; and of the neutral face animated with it,
    by G_W and by moving pixels alone (pure warp), SSIM and RMSE (grey levels, 0 to 255) to the true
    apex and the accuracy of an independent image classifier. The same is said of faces that no flow
    has moved. Where the method keeps an average face, a table says how it is judged, animated with
    the flows that G_F makes of posed and of frontal ones. Where the data have frames that other
    methods frontalised, each is a row of flows, and its own last frame a face.

    Above the tables stands what they come to: on every measure eMotion-GAN against the best of the
    rows that cost no training, G_F against the linear subspaces that it starts from, and G_W
    against the pure warp of the same flow, by paired differences over the test samples with their
    95 % intervals, for accuracies by McNemar's test. Samples of one person are alike: these are, if
    anything, too sure.

    ``summary.json`` holds ``rows``: by ``posed, zero, fit, registration, features, subspaces,
    emotion_gan, emotion_gan_frontal, frontal`` and the names of other methods the numbers
    ``epe_px, epe_face_px, accuracy, judge_accuracy, judge_confidence, ssim, rmse, image_accuracy``
    and the last three with ``warp_``; ``faces``: by ``neutral, posed_apex, apex`` and
    ``<method>_apex`` those three; of each judge that the method names ``image_accuracy_<judge>``
    beside ``image_accuracy``; ``average``: by ``average, average_frontal`` these accuracies;
    ``lists``: by test list (movement of the head, data set of a
    mixed run) what is said of it; and ``comparisons``: by ``free, subspaces, warp`` and
    measure ``against`` (a row, or ``warp``), ``ours, theirs, difference, low, high, p, outcome``.
    They are read from what the test logged as ``test/<row>_<measure>`` and returned as
    ``measures``. Accuracies are shares from 0 to 1; what was not measured or is not a number is
    null.
    """

    title = "Frontalization"

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[Samples] = []
        self._measured: Samples = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget an earlier test."""
        super().on_test_start(trainer, pl_module)
        self._parts = []

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *rest: Any
    ) -> None:
        """Keep the measures of a batch, sample by sample."""
        super().on_test_batch_end(trainer, pl_module, outputs, *rest)
        found = require(self, pl_module, outputs, ("measures", "sample_id"))
        values = {**found["measures"], "sample_id": found["sample_id"]}
        self._parts.append({name: value.cpu().numpy() for name, value in values.items()})

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the samples of all processes together."""
        self._measured = join_samples(concatenate(self._parts))

    def measures(self, trainer: pl.Trainer, logged: dict[str, float]) -> dict[str, Any]:
        """Read the rows, and compare eMotion-GAN with those that cost nothing."""
        beginning = f"test/{OURS}_{_JUDGED}"
        judged = [key.removeprefix(f"test/{OURS}_") for key in logged if key.startswith(beginning)]
        of_rows = (*MEASURES, *judged, *(f"warp_{measure}" for measure in judged))

        rivals = getattr(trainer.datamodule, "rivals", ())  # type: ignore[attr-defined]

        def read(row: str, measures: Sequence[str]) -> dict[str, float | None]:
            return {measure: number(logged, f"test/{row}_{measure}") for measure in measures}

        return {
            "rows": {row: read(row, of_rows) for row in (*FREE, *rivals, *TRAINED)},
            "faces": {
                face: read(face, (*FACE_MEASURES, *judged))
                for face in (*STILLS, *(f"{name}_apex" for name in rivals))
            },
            "average": {row: read(row, ("image_accuracy", *judged)) for row in AVERAGE},
            "lists": {
                name: read(name, LIST_MEASURES)
                for name in getattr(trainer.datamodule, "subset_names", ())  # type: ignore[attr-defined]
            },
            "comparisons": _comparisons(self._measured),
        }

    def tables(self, summary: dict[str, Any]) -> list[TextTable]:
        """Lay out the flows, and the faces that they animate."""
        rows = summary["rows"]
        flows = [
            [_title(row), *(_cell(found, measure) for measure in FLOW_MEASURES[:-1])]
            for row, found in rows.items()
        ]
        faces = [
            [_title(row), *(_cell(found, measure) for measure in MEASURES[len(FLOW_MEASURES) :])]
            for row, found in rows.items()
        ]
        faces += [
            [_title(face), *"---", *(_cell(found, measure) for measure in FACE_MEASURES)]
            for face, found in summary["faces"].items()
        ]
        of_flows = ("flow", "EPE px", "in the face", "D_E %", "judge %")
        of_faces = ("SSIM", "RMSE", "image %")
        columns = [f"{name} {by}" for by in ("G_W", "warp") for name in of_faces]
        return [
            TextTable("frontalization", of_flows, flows, emphasized=ROWS[OURS]),
            TextTable("faces", ("face", *columns), faces, emphasized=ROWS[OURS]),
            *_of_judges(summary),
            *_of_average(summary),
            *_of_lists(summary),
        ]

    def verdict(self, summary: dict[str, Any]) -> list[str]:
        """Say whether eMotion-GAN beats what costs nothing."""
        lines = []
        for kind, found in summary["comparisons"].items():
            lines.append(f"{_COMPARED[kind]} is {_outcomes(found)}.")
            lines += [_difference(measure, comparison) for measure, comparison in found.items()]
        return lines

    def notes(self, summary: dict[str, Any]) -> list[str]:
        """Say what the columns are."""
        return [
            "EPE px to the true frontal flow, over the crop and in the face, where the detector "
            "saw it; accuracy of D_E and of the judge, an independent Flow-CNN; faces animated by "
            "G_W and by the pure warp: SSIM and RMSE (grey levels) to the true apex, accuracy "
            "(image) of an independent ResNet-18",
        ]


def _title(row: str) -> str:
    """Name a row of flows or a face; that of another method by the method's own name."""
    method = row.removesuffix("_apex")
    given = f"flow of {method}'s frames" if method == row else f"face of {method}"
    return {**ROWS, **STILLS}.get(row, given)


def _of_judges(summary: Mapping[str, Any]) -> list[TextTable]:
    """Lay out what each named judge says of the faces that G_W and the pure warp animate."""
    rows, stills = summary["rows"], summary["faces"]
    judged = [measure for measure in stills["apex"] if measure.startswith(_JUDGED)]
    if not judged:
        return []
    columns = [f"{m.removeprefix(_JUDGED)} {by} %" for m in judged for by in ("G_W", "warp")]
    lines = [
        [_title(row), *(_cell(found, name) for m in judged for name in (m, f"warp_{m}"))]
        for row, found in rows.items()
    ]
    lines += [
        [_title(face), *(text for m in judged for text in ("-", _cell(found, m)))]
        for face, found in stills.items()
    ]
    return [TextTable("judges", ("face", *columns), lines, emphasized=ROWS[OURS])]


def _of_average(summary: Mapping[str, Any]) -> list[TextTable]:
    """Lay out what each judge says of the average face (Table III of the paper)."""
    found = summary["average"]
    measures = [m for m, value in found["average"].items() if value is not None]
    names = [m.removeprefix(_JUDGED) if m.startswith(_JUDGED) else "image" for m in measures]
    lines = [[title, *(_cell(found[row], m) for m in measures)] for row, title in AVERAGE.items()]
    columns = ("average face", *(f"{name} %" for name in names))
    return [TextTable("average_face", columns, lines)] if measures else []


def _of_lists(summary: Mapping[str, Any]) -> list[TextTable]:
    """Lay out the measures of each test list, such as a data set of several, or a movement."""
    lists = summary["lists"]
    lines = [[name, *(_cell(found, m) for m in LIST_MEASURES)] for name, found in lists.items()]
    columns = ("posed EPE px", "EPE px", "posed D_E %", "D_E %", "true D_E %")
    faces = ("SSIM", "RMSE", "image %")
    return [TextTable("lists", ("samples of", *columns, *faces), lines)] if lines else []


def _comparisons(samples: Samples) -> dict[str, Any]:
    """Compare eMotion-GAN as its table says, by what with and by measure."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in _COMPARED}
    for measure in ("epe_px", "epe_face_px", "judge_accuracy"):
        sign = 1 if measure in _LOWER_IS_BETTER else -1
        means = {
            row: sign * float(samples[f"{row}_{measure}"].mean(dtype=np.float64))
            for row in FREE
            if f"{row}_{measure}" in samples
        }
        if means:
            # Chosen on the test samples themselves, in favour of what costs nothing.
            best = min(means, key=lambda row: means[row])
            found["free"][measure] = _comparison(samples, measure, f"{best}_{measure}", best)
        if f"subspaces_{measure}" in samples:
            found["subspaces"][measure] = _comparison(
                samples, measure, f"subspaces_{measure}", "subspaces"
            )
    for measure in FACE_MEASURES:
        if f"{OURS}_warp_{measure}" in samples:
            found["warp"][measure] = _comparison(samples, measure, f"{OURS}_warp_{measure}", "warp")
    finite = {
        kind: {measure: c for measure, c in measures.items() if c}
        for kind, measures in found.items()
    }
    return {kind: measures for kind, measures in finite.items() if measures}


def _comparison(samples: Samples, measure: str, other: str, against: str) -> dict[str, Any] | None:
    """Compare two columns of the samples; None where one is not finite."""
    ours, theirs = (samples[name].astype(np.float64) for name in (f"{OURS}_{measure}", other))
    differences = (ours - theirs).tolist()
    if not all(map(math.isfinite, differences)):
        return None
    difference = estimate(differences)
    p = None
    beyond_chance = difference.low is not None and difference.low * (difference.high or 0) > 0
    if measure.endswith("accuracy"):
        p = mcnemar((ours > 0).tolist(), (theirs > 0).tolist())
        beyond_chance = p < _CHANCE
    lower = difference.mean < 0
    won = lower if measure in _LOWER_IS_BETTER else not lower
    return {
        "against": against,
        "ours": float(ours.mean()),
        "theirs": float(theirs.mean()),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": p,
        "outcome": (_OUTCOMES[0] if won else _OUTCOMES[1]) if beyond_chance else _OUTCOMES[2],
    }


def _cell(row: Mapping[str, float | None], measure: str) -> str:
    kind = measure.removeprefix("warp_").removeprefix(f"{OURS}_").removeprefix("posed_")
    if "accuracy" in kind:
        return formatted(row[measure], "{:.1f}", 100)
    # Three digits of SSIM: the tables fit 80 columns, the verdict has four.
    return formatted(row[measure], "{:.3f}" if kind == "ssim" else _FORMS[kind])


def _outcomes(comparisons: Mapping[str, Mapping[str, Any]]) -> str:
    """List on which measures it is better, on which worse, and on which neither."""
    parts = []
    for outcome in _OUTCOMES:
        measures = [_NAMES[m] for m, c in comparisons.items() if c["outcome"] == outcome]
        if measures:
            parts.append(f"{outcome} in {', '.join(measures)}")
    return "; ".join(parts)


def _difference(measure: str, comparison: Mapping[str, Any]) -> str:
    """Write both numbers, and their difference with its interval."""
    share = measure.endswith("accuracy")
    factor, form = (100, "{:.1f}") if share else (1, _FORMS[measure])
    ours, theirs = (form.format(factor * comparison[key]) for key in ("ours", "theirs"))
    signed = form.replace(":", ":+")
    change = signed.format(factor * comparison["difference"])
    if comparison["low"] is not None:
        ends = (signed.format(factor * comparison[end]) for end in ("low", "high"))
        change += f" [{', '.join(ends)}]"
    if comparison["p"] is not None:
        change += f" points, McNemar p = {comparison['p']:.2g}"
    other = "pure warp" if comparison["against"] == "warp" else ROWS[comparison["against"]]
    return f"  {_NAMES[measure]}: {ours}, {other} {theirs}: {change}"
