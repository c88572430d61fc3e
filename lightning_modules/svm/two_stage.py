"""When and how machines are fitted on the features of a GAN: in one batch after its training."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.classifier import ExpressionModule, compute_once
from lightning_modules.networks.dcgan import gathering_statistics
from lightning_modules.svm.data import LabelledPart, labelled_part
from lightning_modules.svm.features import FaceFeatures
from lightning_modules.svm.recognisers import (
    ExpressionRecogniser,
    Recogniser,
    UnitRecogniser,
    fit_once,
)
from lightning_modules.svm.scaling import FeatureScaling
from lightning_modules.svm.search import Protocol, StepResults, fingerprint

if TYPE_CHECKING:
    from datamodules.batch import FaceBatch


class TwoStageSVM(ExpressionModule):
    """A GAN is trained first, then machines are fitted on what its discriminator sees.

    The batch after the GAN's last step or epoch moves no network: the machines are searched and
    fitted on the training part, and validated. Each step of the search is written into a folder of
    the run, until a checkpoint holds the machines, so that a kill costs one step.

    A ``training_step`` returns nothing where `gan_is_trained`, else it moves the GAN and calls
    `end_epoch_of_trained_gan`.

    Args:
        num_classes: Number of expressions K.
        task: See `DCGANSVM`, as all that follows.
        features: Source of the features that the run's own machines read.
        standardised: Whether they are standardised.
        search_trials: Parameters that are tried for each machine.
        search_folds: Folds of the training part to try them in.

    Attributes:
        recogniser: The run's own machines.
        baselines: Those beside them, by the source of their features.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        task: Literal["emotions", "action_units"],
        features: str,
        standardised: bool,
        search_trials: int,
        search_folds: int,
    ) -> None:
        super().__init__(num_classes)
        self.task = task
        self.feature_source = features
        self.standardised = standardised
        self.search_trials = search_trials
        self.search_folds = search_folds
        self._gan_limits = (-1, -1)  # epochs and steps; -1 is for ever

    def add_machines(self, features: FaceFeatures, baselines: Sequence[str]) -> None:
        """Make machines that are not yet fitted.

        Args:
            features: What they read.
            baselines: Sources of the features of those beside the run's own.
        """
        self.features = features
        self.recogniser = self._new_recogniser(self.feature_source)
        others = [source for source in baselines if source != self.feature_source]
        self.baselines = nn.ModuleDict({source: self._new_recogniser(source) for source in others})

    def extract(self, image: Tensor, source: str | None = None) -> Tensor:
        """Return features [B, F] of faces [B, 3, H, W] in [0, 1]: this run's, or a baseline's."""
        return self.features(image, source or self.feature_source)

    def part_features(self, part: str, source: str | None = None) -> tuple[LabelledPart, Tensor]:
        """Return the labelled faces of a part and what :meth:`extract` does of them, on the CPU."""
        faces = labelled_part(self.data, part, self.task)
        chunks = [self.extract(image, source).cpu() for image in faces.chunks(self.device)]
        return faces, torch.cat(chunks) if chunks else torch.empty(0, 0)

    # ---- when

    def setup(self, stage: str) -> None:
        """Prepare the machines for the classes of the data.

        Raises:
            UserError: If the data have other classes, or faces without an expression.
        """
        if self.task == "emotions":  # units are known by their numbers, whatever the classes
            super().setup(stage)
        for recogniser in self._recognisers.values():
            recogniser.prepare(self.data)

    @property
    def fit_is_planned(self) -> bool:
        """Whether :meth:`plan_fit` was called."""
        return self._gan_limits != (-1, -1)

    def plan_fit(self, trains_gan: bool) -> None:
        """Add the batch of the machines to the training.

        Args:
            trains_gan: Whether there is a GAN to train before.

        Raises:
            UserError: If nothing ends its training.
        """
        loop = self.trainer.fit_loop
        epochs, steps = (cast(int, loop.max_epochs), loop.max_steps) if trains_gan else (0, -1)
        if epochs == steps == -1:
            raise UserError(
                "DCGANSVM fits its machines once its GAN is trained, but trainer.max_steps and "
                "trainer.max_epochs are both -1: set one of them to a number."
            )
        self._gan_limits = epochs, steps
        if epochs >= 0:
            loop.max_epochs = epochs + 1
        if steps >= 0:
            loop.epoch_loop.max_steps = steps + 1
        # Until there are machines there is nothing to validate.
        if self.trainer.check_val_every_n_epoch is None:
            self.trainer.val_check_interval = sys.maxsize
        else:
            self.trainer.check_val_every_n_epoch = sys.maxsize

    @property
    def gan_is_trained(self) -> bool:
        """Whether the GAN has made its last step or epoch."""
        epochs, steps = self._gan_limits
        return 0 <= epochs <= self.current_epoch or 0 <= steps <= self.global_step

    def end_epoch_of_trained_gan(self) -> None:
        """End the epoch with this batch if it moved the GAN for the last time.

        So that a checkpoint holds the GAN before the machines' search.
        """
        if self.gan_is_trained:
            # Lightning's only other way, -1 from on_train_batch_start, has counted the next batch.
            self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch = True

    def on_train_start(self) -> None:
        """Forget the machines of a GAN that is trained further."""
        if not self.gan_is_trained:
            for recogniser in self._recognisers.values():
                recogniser.clear()

    def on_train_batch_start(self, batch: FaceBatch, batch_idx: int) -> None:
        """Fit the machines once the GAN is trained, and end the training."""
        if not self.gan_is_trained:
            return
        if not self.recogniser.machine.fitted:
            self._fit_machines()
        # Lightning validates, and stops.
        self.trainer.should_stop = True
        self.trainer.check_val_every_n_epoch = 1
        self.trainer.fit_loop.epoch_loop.max_steps = self._gan_limits[1]

    def on_train_end(self) -> None:
        """Remove what a kill would have needed, now that a checkpoint holds the machines."""
        if self.recogniser.machine.fitted:
            if self.trainer.is_global_zero:
                shutil.rmtree(self._results_folder, ignore_errors=True)
        else:
            rank_zero_info(
                "No SVM was fitted: training ended before the GAN's last step or epoch, or the "
                "data have no label. The checkpoint holds the GAN, for model.pretrained."
            )

    # ---- how

    def _fit_machines(self) -> None:
        faces = labelled_part(self.data, "train", self.task)
        if len(faces.rows) == 0:
            return
        if self.feature_source == "untrained":
            # Random weights, but batch norms that know the images, as those of the trained one do.
            discriminator = self.features.discriminator
            with torch.no_grad(), gathering_statistics(discriminator):
                for image in faces.chunks(self.device):
                    discriminator.features(self.features.encode(image))
        for source, recogniser in self._recognisers.items():
            recogniser.fill(compute_once(partial(self._fitted_arrays, faces, source)))

    def _fitted_arrays(self, faces: LabelledPart, source: str) -> dict[str, Tensor]:
        protocol = Protocol(
            self.search_trials,
            self.search_folds,
            seed=int(getattr(self.data, "seed", 0)),
            class_weight="balanced" if self.data.class_balance == "loss" else None,
        )
        columns = (faces.rows, faces.label, faces.action_units)
        used = [torch.from_numpy(column) for column in columns if column is not None]
        used += self.features.discriminator.state_dict().values()
        names = self.data.class_names
        described = (source, self.features.blocks, self.standardised, self.features.mirrored)
        settings = (self.data.manifest_hash, names, self.task, *described, *protocol)
        return fit_once(
            self._recognisers[source],
            lambda: self.part_features("train", source)[1],
            faces,
            protocol,
            StepResults(self._results_folder / source, fingerprint(used, *settings)),
        )

    @property
    def _results_folder(self) -> Path:
        return Path(self.trainer.default_root_dir) / ".svm_fit"

    @property
    def _baselines(self) -> dict[str, Recogniser]:
        return dict(cast("dict[str, Recogniser]", self.baselines).items())

    @property
    def _recognisers(self) -> dict[str, Recogniser]:
        """The run's own and those of the baselines, by their features."""
        return {self.feature_source: self.recogniser, **self._baselines}

    def _new_recogniser(self, source: str) -> Recogniser:
        scaling = FeatureScaling(self.features.widths(source)) if self.standardised else None
        if self.task == "emotions":
            return ExpressionRecogniser(self.num_classes, scaling)
        return UnitRecogniser(scaling)
