"""DCGAN + SVM: features learnt from faces without labels, expressions and action units on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from datamodules.errors import UserError
from lightning_modules.metrics.generation import GenerationQuality
from lightning_modules.networks.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    keeping_statistics,
)
from lightning_modules.networks.weights import load_trained, read_checkpoint
from lightning_modules.optim import DCGANAdam, descend, evaluating, uncount
from lightning_modules.svm.exported import ExportedSVM
from lightning_modules.svm.features import FaceFeatures
from lightning_modules.svm.two_stage import TwoStageSVM
from losses.adversarial import discriminator_loss, generator_loss

if TYPE_CHECKING:
    from datamodules.batch import FaceBatch, FaceInputBatch

# What is logged of a baseline.
_OVERALL = ("accuracy", "balanced_accuracy", "auc")


class DCGANSVM(TwoStageSVM):
    """A DCGAN without labels, and support vector machines on its discriminator's features.

    ``fit`` trains the GAN for ``trainer.max_steps`` steps of its discriminator or
    ``trainer.max_epochs`` epochs, whichever are over first, then fits the machines. Both are in the
    one checkpoint.

    Args:
        num_classes: Number of expressions K.
        size: Side of the images in pixels: 16, 32, 64 or 128.
        channels: 1 for grey images, 3 for colour.
        width: Channels of the discriminator's first block; with 64 and a size of 64 it has 8,192
            features.
        latent: Number of latent dimensions Z.
        task: emotions (one RBF machine) or action_units (a linear machine for each of 14).
        features: discriminator (paper), or a baseline for which no GAN is trained: untrained (the
            same discriminator with random weights), hog (histograms of oriented gradients) or
            pixels.
        blocks: Which of the discriminator's blocks the features are of: last (paper), or all,
            each pooled to 4x4 places.
        standardised: Whether machines read features that are standardised by the training part,
            each block of them at unit length.
        mirrored: Whether the features of a face are the mean of its own and its mirror image's.
        baselines: Features that need no training, hog or pixels, on which machines are fitted
            beside the run's own, alike; a test logs ``test/<baseline>_<measure>`` of each. A
            checkpoint holds their support vectors too: of 6,000 faces 250 MB for pixels.
            discriminator_hog is the run's own features beside hog, which is not in the paper.
        pretrained: Checkpoint of another run to take the GAN from; it is not trained further, as
            in the paper's transfers.
        search_trials: Parameters that are tried for each machine.
        search_folds: Folds of the training part to try them in; people are kept together where
            they are known.
        quality_samples: Most faces to generate in a test, to compare with real ones; 0 for none.
        d_optimizer: Optimizer of the discriminator; trainer.global_step counts its steps.
        g_optimizer: Optimizer of the generator.

    Raises:
        UserError: If a size or a choice does not fit.

    Reference:
        Alharbawee and Pugeault, Generative Adversarial Networks for Facial Expression Recognition
        in the Wild, 3 and 4; Radford et al., DCGAN (arXiv 1511.06434).

    Deviation:
        The paper's beta1 is 0.9; the default is DCGAN's own 0.5. The loss is non-saturating.
        The discriminator's running statistics are those of real faces alone, which are what its
        features are taken of; generated ones are normalised by their own batch. The features of
        all blocks are Radford's (5.1); neither paper standardises or mirrors.
    """

    headline_measures = ("auc", "discriminator_hog_accuracy", "hog_accuracy", "pixels_accuracy")

    def __init__(
        self,
        num_classes: int = 7,
        size: int = 64,
        channels: Literal[1, 3] = 3,
        width: int = 64,
        latent: int = 100,
        task: Literal["emotions", "action_units"] = "emotions",
        features: Literal["discriminator", "untrained", "hog", "pixels"] = "discriminator",
        blocks: Literal["last", "all"] = "last",
        standardised: bool = False,
        mirrored: bool = False,
        baselines: Sequence[Literal["hog", "pixels", "discriminator_hog"]] = (),
        pretrained: str | None = None,
        search_trials: int = 10,
        search_folds: int = 3,
        quality_samples: int = 2048,
        d_optimizer: OptimizerCallable = lambda p: DCGANAdam(p, lr=2e-4),
        g_optimizer: OptimizerCallable = lambda p: DCGANAdam(p, lr=2e-4),
    ) -> None:
        super().__init__(
            num_classes,
            task=task,
            features=features,
            standardised=standardised,
            search_trials=search_trials,
            search_folds=search_folds,
        )
        if search_trials < 1 or quality_samples < 0:
            raise UserError(
                "search_trials must be 1 or more and quality_samples 0 or more; got "
                f"{search_trials} and {quality_samples}."
            )
        if pretrained is not None and features != "discriminator":
            raise UserError(
                f"model.pretrained is a GAN to take features of, but features is {features}: give "
                "only one of both."
            )
        if "discriminator_hog" in baselines and features != "discriminator":
            raise UserError(
                "model.baselines names discriminator_hog, the discriminator's features beside hog, "
                f"but features is {features}: leave it out, or set features to discriminator."
            )
        # Functions cannot stand in a checkpoint that loads with weights_only.
        self.save_hyperparameters(ignore=["d_optimizer", "g_optimizer"])
        self.automatic_optimization = False
        self.size = size
        self.latent = latent
        self.pretrained = pretrained
        self.quality_samples = quality_samples
        self.optimizer_callables = (d_optimizer, g_optimizer)

        self.generator = DCGANGenerator(latent, width, size, channels)
        self.discriminator = DCGANDiscriminator(width, size, channels)
        read = FaceFeatures(
            self.discriminator, size=size, channels=channels, blocks=blocks, mirrored=mirrored
        )
        self.add_machines(read, baselines)
        self._quality: GenerationQuality | None = None

    def forward(self, image: Tensor) -> Tensor:
        """Return scores [B, K] or margins of units [B, A] of faces [B, 3, H, W] in [0, 1]."""
        return cast(Tensor, self.recogniser(self.extract(image)))

    def exportable(self) -> ExportedSVM:
        """Return what answers alone, in operations that ONNX has.

        Raises:
            UserError: If there are no machines, or their features are computed outside of PyTorch.
        """
        if self.feature_source == "hog":
            raise UserError(
                "This DCGANSVM reads histograms of oriented gradients, which OpenCV computes: only "
                "the features discriminator, untrained and pixels can be exported."
            )
        return ExportedSVM(self.recogniser, self.discriminator, self.extract, self.size)

    @torch.no_grad()
    def generate(self, noise: Tensor) -> Tensor:
        """Draw faces [B, 3, H, W] in [0, 1] from standard normal noise [B, Z]."""
        with evaluating(self.generator):
            image: Tensor = (self.generator(noise).float() + 1) / 2
        return image.expand(-1, 3, -1, -1)

    # ---- training

    def setup(self, stage: str) -> None:
        """Refuse data that do not fit; take over a GAN; plan the fit of the machines.

        Raises:
            UserError: If the data have other classes, images of another size or faces without an
                expression, the GAN is of another size or has seen people who are held out, or
                nothing ends its training.
        """
        side = getattr(self.data, "size", self.size)
        if side != self.size:
            raise UserError(
                f"model.size is {self.size}, but data.size is {side}: set one to the other."
            )
        super().setup(stage)
        if stage != "fit" or self.fit_is_planned:
            return
        if self.pretrained is not None:
            # Before a run's own checkpoint is restored, which wins.
            checkpoint = read_checkpoint(self.pretrained)
            self.refuse_leak(checkpoint, f"model.pretrained {self.pretrained}")
            networks = {"generator": self.generator, "discriminator": self.discriminator}
            advice = "set model.size, channels, width and latent to those of that run"
            load_trained(networks, checkpoint, self.pretrained, advice)
            rank_zero_info(f"DCGAN: taken from {self.pretrained}; it is not trained further.")
        self.plan_fit(self.feature_source == "discriminator" and self.pretrained is None)

    def training_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Move the discriminator and the generator once, each alone; return their losses."""
        if self.gan_is_trained:
            return {}
        discriminator, generator = cast(list[LightningOptimizer], self.optimizers())
        uncount([generator])
        real = self.features.encode(batch["image"])
        fake = self.generator(torch.randn(len(real), self.latent, device=self.device))

        with self.toggled_optimizer(discriminator):
            with keeping_statistics(self.discriminator):
                fake_logits = self.discriminator(fake.detach())
            d_loss = discriminator_loss(self.discriminator(real), fake_logits)
            descend(self, discriminator, d_loss)
        with self.toggled_optimizer(generator):
            with keeping_statistics(self.discriminator):
                g_loss = generator_loss(self.discriminator(fake))
            descend(self, generator, g_loss)

        self.end_epoch_of_trained_gan()
        return {"d": d_loss.detach(), "g": g_loss.detach()}

    # ---- evaluation

    def on_validation_start(self) -> None:
        """Refuse to evaluate without machines; the trial of ``fit`` before training has none."""
        if self.trainer.state.fn == TrainerFn.VALIDATING:
            self._refuse_unfitted()

    def validation_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor] | None:
        """Recognise the faces of a batch; returns as :meth:`test_step`."""
        return self._evaluate(batch) if self.recogniser.machine.fitted else None

    def on_validation_epoch_end(self) -> None:
        """Log ``val/auc``, ``val/accuracy`` and so on: what the scores hold."""
        if self.recogniser.machine.fitted:
            self.log_summary("val", self.recogniser.summarize(self.class_names))

    def on_test_start(self) -> None:
        """Refuse to test without machines; prepare to measure the generator."""
        self._refuse_unfitted()
        if self.feature_source == "discriminator" and self.quality_samples:
            channels = self.discriminator.head.in_channels
            self._quality = GenerationQuality(channels, self.quality_samples, self.device)

    def test_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Recognise the faces of a batch.

        Returns:
            ``label``, ``sample_id``, ``features`` [B, F], and either ``scores`` [B, K], one-vs-rest
            scores of expressions, and their calibrated ``probabilities`` [B, K], and
            ``scores_<baseline>`` [B, K]; or ``unit_margins`` and ``action_units`` [B, A].
        """
        outputs = self._evaluate(batch)
        for source, recogniser in self._baselines.items():
            answers = recogniser.measure(self.extract(batch["image"], source), batch)
            if "scores" in answers:
                outputs[f"scores_{source}"] = answers["scores"]
        if self._quality is not None:
            pooled = self.discriminator.channel_means(outputs["features"])
            self._quality.add_real(self.features.shown(batch["image"]), pooled)
        return outputs

    def on_test_epoch_end(self) -> None:
        """Log the scores as ``test/...``, of baselines too, and the quality of generated faces."""
        self.log_summary("test", self.recogniser.summarize(self.class_names))
        for source, recogniser in self._baselines.items():
            summary = recogniser.summarize(self.class_names)
            known = [name for name in _OVERALL if name in summary]
            self.log_summary("test", {f"{source}_{name}": summary[name] for name in known})
        if self._quality is None:
            return
        random = torch.Generator().manual_seed(self.trainer.global_rank)
        # The same in every test; another in every process.
        noises = torch.randn(self.quality_samples, self.latent, generator=random)
        for noise in torch.split(noises, 256):
            image = self.generate(noise.to(self.device))
            pooled = self.discriminator.channel_means(self.extract(image))
            self._quality.add_generated(self.features.shown(image), pooled)
        self.log_summary("test", self._quality.summarize("own_discriminator"))
        self._quality = None

    def on_predict_start(self) -> None:
        """Refuse to predict without machines."""
        self._refuse_unfitted()

    def predict_step(self, batch: FaceInputBatch, batch_idx: int) -> dict[str, Any]:
        """Recognise faces without labels.

        Returns:
            What the batch holds, and ``scores`` and ``probabilities`` [B, K], or
            ``unit_margins`` [B, A].
        """
        return {**batch, **self.recogniser.answer(self.extract(batch["image"]))}

    # ---- optimizers

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the optimizers of discriminator and generator."""
        build_d, build_g = self.optimizer_callables
        return [build_d(self.discriminator.parameters()), build_g(self.generator.parameters())]

    # ---- parts of the steps

    def _evaluate(self, batch: FaceBatch) -> dict[str, Tensor]:
        features = self.extract(batch["image"])
        answers = self.recogniser.measure(features, batch)
        known = {"label": batch["label"], "sample_id": batch["sample_id"], "features": features}
        return known | answers

    def _refuse_unfitted(self) -> None:
        if not self.recogniser.machine.fitted:
            raise UserError(
                "This DCGANSVM has no fitted SVM: its training never came to the GAN's last step "
                "or epoch, or its data had no labels. Give the checkpoint of a finished training "
                "run with --ckpt_path, or fit one on this GAN with --model.pretrained."
            )
