"""The independent judges of flows and faces, and the table of what they and errors say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.frozen_networks import fit_once
from lightning_modules.metrics.frontalization import (
    FrontalizationQuality,
    measure_face,
    measure_flow,
)
from lightning_modules.metrics.means import SampleMeans, take
from lightning_modules.networks.flow_filter import FlowFilter
from lightning_modules.networks.flow_judge import FlowJudge
from lightning_modules.networks.head_motion import fit_frontal_flow
from lightning_modules.networks.image_judge import ImageJudge
from lightning_modules.networks.warp import warp
from lightning_modules.onnx_judge import OnnxJudge

if TYPE_CHECKING:
    from datamodules.batch import PosedFlowBatch

_FLOW_SEED, _IMAGE_SEED = 1, 2
_EPOCHS, _STEPS = 20, 300
_FREE = ("posed", "zero", "fit", "registration", "features", "subspaces")
_STILLS = ("neutral", "posed_apex", "apex")
# Of G_F: of the posed flow and, as it should leave it alone, of the frontal one.
_OURS = ("emotion_gan", "emotion_gan_frontal")
_AVERAGE = ("average", "average_frontal")
# Of a batch: flows between, and second of, the frames that other methods frontalised.
_RIVAL_FLOW, _RIVAL_APEX = "rival_flow_", "rival_apex_"
_OF_LISTS = ("epe_px", "accuracy")  # what is measured of flows in each test list


class FrontalizationJudges(nn.Module):
    """Measures flows, and the faces that they animate, row by row of a table.

    The judge of flows is a Flow-CNN, that of faces a small ResNet-18. They are fitted once, on the
    frontal flows and faces of the training fold, and no loss ever asks them. Beside the latter
    stand the judges that a run names, foreign classifiers in ONNX files, which are asked in test.

    Args:
        num_classes: Number of expressions K.
        size: Side of flows and faces in pixels.
        files: The files of those by their names.
    """

    def __init__(self, num_classes: int, size: int, files: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.flow = FlowJudge(num_classes, size).requires_grad_(False)
        self.image = ImageJudge(num_classes).requires_grad_(False)
        self.files = dict(files or {})
        self.named: dict[str, OnnxJudge] = {}
        self.lists: tuple[str, ...] = ()
        self.rivals: tuple[str, ...] = ()
        self.table = self._empty_table()
        self.subsets = SampleMeans(())

    @property
    def fitted(self) -> bool:
        """Whether they know anything."""
        return bool(self.flow.fitted)

    def fit(self, data: Any) -> None:
        """Fit both on a data module.

        Raises:
            UserError: If it has no frontal flows and faces.
        """
        flows, faces = (getattr(data, f"frontal_{what}", None) for what in ("flows", "faces"))
        if flows is None or faces is None:
            raise UserError(
                "The judges of eMotion-GAN have no frontal flows and faces to learn from: give a "
                "data module with frontal_flows() and frontal_faces()."
            )
        for judge, name, samples, seed in (
            (self.flow, "the independent Flow-CNN", flows, _FLOW_SEED),
            (self.image, "the independent ResNet-18", faces, _IMAGE_SEED),
        ):
            fit_once(judge, name, samples, epochs=_EPOCHS, steps=_STEPS, seed=seed)

    def open(self, classes: Sequence[str], *, loose: bool) -> dict[str, OnnxJudge]:
        """Open the named judges; see :class:`OnnxJudge`."""
        return {name: OnnxJudge(file, classes, loose=loose) for name, file in self.files.items()}

    def count(
        self, row: str, flow: Tensor, logits: Tensor, face: Tensor, batch: PosedFlowBatch
    ) -> dict[str, Tensor]:
        """Measure a row of the table: flows, and the faces that G_W and the pure warp move by them.

        Args:
            row: Its name.
            flow: [B, 2, H, W] in pixels.
            logits: What D_E says of them [B, K].
            face: What G_W makes of the neutral faces [B, 3, H, W] in [0, 1].
            batch: The batch.

        Returns:
            As :meth:`count_flow`.
        """
        # No flow moves no face: G_W would clip a NaN and make one of it all the same.
        known = flow.isfinite().flatten(1).all(dim=1)[:, None, None, None]
        moved = warp(batch["neutral"], flow).where(known, torch.nan)
        face = face.where(known, torch.nan)
        return (
            self.count_flow(row, flow, logits, batch)
            | self.count_face(row, face, batch)
            | self.count_face(f"{row}_warp", moved, batch)
        )

    def count_flow(
        self, row: str, flow: Tensor, logits: Tensor, batch: PosedFlowBatch
    ) -> dict[str, Tensor]:
        """Measure flows [B, 2, H, W] in pixels, of which D_E says ``logits`` [B, K].

        Returns:
            The measures, each [B], by their names in the table.
        """
        judged = self.flow(flow).float()
        values = measure_flow(flow, batch["flow"], logits, judged, batch["label"])
        return self.table.count(row, values)

    def count_face(self, row: str, face: Tensor, batch: PosedFlowBatch) -> dict[str, Tensor]:
        """Measure faces [B, 3, H, W] in [0, 1]; returns as :meth:`count_flow`."""
        values = measure_face(face, batch["apex"]) | self._judge(face, batch["label"])
        return self.table.count(row, values)

    def count_average(self, row: str, face: Tensor, batch: PosedFlowBatch) -> dict[str, Tensor]:
        """Count what judges say of an average face [B, 3, H, W], which has no apex of its own."""
        return self.table.count(row, self._judge(face, batch["label"]))

    def count_stills(self, batch: PosedFlowBatch) -> dict[str, Tensor]:
        """Measure the faces of a batch that no flow has moved."""
        stills = {row: batch[row] for row in _STILLS if row in batch}  # type: ignore[literal-required]
        stills |= {f"{name}_apex": face for name, face in _of_rivals(batch, _RIVAL_APEX).items()}
        found: dict[str, Tensor] = {}
        for row, face in stills.items():
            found |= self.count_face(row, face, batch)
        return found

    def divide(self, subsets: Sequence[str], rivals: Sequence[str] = ()) -> None:
        """Prepare for test lists and rows beside those of every test.

        Args:
            subsets: Names of test lists, such as head movements.
            rivals: Names of other methods that frontalised frames.

        Raises:
            UserError: If a method has the name of another row.
        """
        taken = (*_FREE, *_OURS, "frontal", *_STILLS, *_AVERAGE)
        for name in rivals:
            if name in taken:
                raise UserError(
                    f"data.frontalized calls a method {name}, which is a row of every table: give "
                    "it another name."
                )
        self.rivals = tuple(rivals)
        self.table = self._empty_table()
        judged = ("image_accuracy", *(f"image_accuracy_{name}" for name in self.files))
        moved = ("posed", "features", *rivals, *_OURS)  # rows of the paper's Tables I and II
        measures = [
            *(f"{row}_{measure}" for row in (*moved, "frontal") for measure in _OF_LISTS),
            *(
                f"{row}_{measure}"
                for row in (*moved, *(f"{name}_apex" for name in rivals), "posed_apex", "apex")
                for measure in ("ssim", "rmse", *judged)
            ),
            *(f"{row}_{measure}" for row in _AVERAGE for measure in judged),
        ]
        self.lists = tuple(subsets)
        self.subsets = SampleMeans(f"{name}_{m}" for name in subsets for m in measures)

    def count_subsets(self, measures: Mapping[str, Tensor], batch: PosedFlowBatch) -> None:
        """Count the measures [B] of a batch once more in each test list that a sample is in."""
        if "subsets" not in batch:
            return
        for name, chosen in zip(self.lists, batch["subsets"].T, strict=False):
            self.subsets.update(
                **{
                    f"{name}_{measure}": values[chosen]
                    for measure, values in measures.items()
                    if f"{name}_{measure}" in self.subsets.names
                }
            )

    def summarize(self) -> dict[str, Tensor]:
        """Return the means as ``<row>_<quantity>`` and ``<list>_<row>_<quantity>``; begin anew."""
        means: dict[str, Tensor] = {**take(self.table), **take(self.subsets)}
        return means

    def _empty_table(self) -> FrontalizationQuality:
        rows = (*_FREE, *self.rivals, *_OURS, "frontal")
        stills = (*_STILLS, *(f"{name}_apex" for name in self.rivals))
        faces = (*rows, *(f"{row}_warp" for row in rows), *stills, *_AVERAGE)
        return FrontalizationQuality(rows, faces, self.files)

    def _judge(self, face: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Tell which judges are right on faces: ``image_accuracy`` and those of the named, [B]."""
        answers = {"": self.image(face).argmax(dim=1)}
        answers |= {f"_{name}": judge(face) for name, judge in self.named.items()}
        return {f"image_accuracy{end}": (said == label).float() for end, said in answers.items()}

    def over(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Subtract, as ``<quantity>_over_<row>``, what others have from what eMotion-GAN has.

        That is flows that no player made, and for G_W the pure warp: a cross-validation then gives
        the intervals of these differences.
        """
        pairs = [
            (quantity, row, f"{row}_{quantity}")
            for row in (*_FREE, *self.rivals)
            for quantity in ("epe_px", "epe_face_px", "judge_accuracy")
        ] + [
            (quantity, "warp", f"emotion_gan_warp_{quantity}")
            for quantity in ("ssim", "rmse", "image_accuracy")
        ]
        return {
            f"{quantity}_over_{row}": means[f"emotion_gan_{quantity}"] - means[other]
            for quantity, row, other in pairs
            if other in means
        }


def other_flows(batch: PosedFlowBatch, g_f: nn.Module) -> dict[str, Tensor]:
    """Return flows [B, 2, H, W] in pixels that no player made, by their rows, and the true one."""
    posed = batch["posed_flow"]
    rows = {"posed": posed, "zero": torch.zeros_like(posed), "fit": fit_frontal_flow(posed)}
    if "registered_flow" in batch:
        rows["registration"] = batch["registered_flow"]
    if "feature_registered_flow" in batch:
        rows["features"] = batch["feature_registered_flow"]
    rows |= _of_rivals(batch, _RIVAL_FLOW)
    if isinstance(g_f, FlowFilter):
        rows["subspaces"], _ = g_f.subspaces(posed)
    return {**rows, "frontal": batch["flow"]}


def _of_rivals(batch: PosedFlowBatch, beginning: str) -> dict[str, Tensor]:
    """Return flows or faces of the frames that other methods frontalised, by their names."""
    return {
        key.removeprefix(beginning): cast(Tensor, value)
        for key, value in batch.items()
        if key.startswith(beginning)
    }
