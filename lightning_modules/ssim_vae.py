"""SSIM-VAE: give the flow of an occluded face back what the occlusion took, then recognise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn import functional

from datamodules.batch import REFERENCE_SIDE
from datamodules.errors import UserError
from lightning_modules.classifier import ExpressionModule, LRInterval
from lightning_modules.metrics.occlusion import OcclusionQuality, conditions
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.dcgan import DCGANDiscriminator
from lightning_modules.networks.flow_cnn import FlowCNN
from lightning_modules.networks.variational_autoencoder import (
    ReconstructionPrior,
    VariationalAutoencoder,
)
from lightning_modules.optim import TwoStepLR, advance, descend, uncount
from losses.adversarial import discriminator_loss, generator_loss
from losses.variational import ReconstructionCost, kl_divergence, reconstruction_loss

if TYPE_CHECKING:
    from datamodules.batch import OccludedFlowBatch, SequenceBatch

ClassifierInput = Literal["clean", "reconstructed", "both"]


class SSIMVAE(ExpressionModule):
    """A variational autoencoder from occluded to clean flows, and a Flow-CNN on clean flows.

    Both learn in one run. Flow-CNN's judgement trains no reconstruction, and by default it is never
    shown an occluded or a reconstructed flow in training. Beside them learns what a reconstruction
    has to beat: a second Flow-CNN, ``baseline_cnn``, on clean and occluded flows by halves, which
    is tested on the flows as they are.

    Args:
        num_classes: Number of expressions K.
        size: Side of the flows in pixels: 24, 48, 64, 96, 128 or alike.
        latent: Number of latent dimensions Z.
        width: Channels of the autoencoder's first block.
        prior: none (paper) or residual: the autoencoder corrects the occluded flow.
        clip: Longest motion kept, in pixels of a grid of 128x128; scaled with the size.
        cost: Reconstruction cost: bce, mse or ssim.
        data_range: Range that the cost ssim assumes, 1 for all from minus the clip to the clip;
            about four standard deviations of the flows.
        relative_cost: Whether the cost is divided by what no motion costs on the same batch.
        kl_weight: Weight of a nat of KL divergence against a unit of cost: one element, or all that
            no motion costs where the cost is relative.
        variational: False makes it a denoising autoencoder: no sampling, no KL divergence.
        adversarial: Weight of telling reconstructions as true flows to a DCGAN's discriminator,
            against a unit of cost; 0 (paper) for no discriminator. It needs a size of 16 to 128.
        classifier_on: What Flow-CNN learns on: clean flows, reconstructions, or both by halves; of
            the regions one is drawn for each sample.
        dropout: Share of units that the MLP of either Flow-CNN drops in training.
        vae_optimizer: Optimizer of the autoencoder; trainer.global_step counts its steps. Of its
            rate and kind is the discriminator's too.
        flow_cnn_optimizer: Optimizer of each Flow-CNN.
        lr_scheduler: Scheduler of all.
        lr_interval: Whether it counts in epochs or in steps.

    Raises:
        UserError: If the size does not fit the networks.

    Reference:
        Kemmou et al., 3.2 and 4.2. Of the rivals in its Table 4 the denoising autoencoder is
        ``variational: false``, and the reconstruction by a DCGAN ``adversarial`` beside it, on the
        same networks; their own papers' sizes and weights are not public.

    Deviation:
        The paper's total is reconstruction plus KL, each under a reduction of its own; here all
        costs have one, see ``losses.variational.reconstruction_loss``, and a weight.
        Its third section trains the classifier on clean flows (``classifier_on: clean``), its first
        says that it learns on reconstructed ones. Reconstructions are taken from the step of the
        autoencoder, with a sampled latent vector.
        It has no baseline that learned on occluded flows.
        It names neither optimizers nor learning rates, latent dimensions or epochs.
    """

    output_names = ("reconstructed_flow", "logits")

    def __init__(
        self,
        num_classes: int = 7,
        size: int = 64,
        latent: int = 64,
        width: int = 32,
        prior: ReconstructionPrior = "none",
        clip: float = 5.0,
        cost: ReconstructionCost = "ssim",
        data_range: float = 1.0,
        relative_cost: bool = False,
        kl_weight: float = 0.1,
        variational: bool = True,
        adversarial: float = 0.0,
        classifier_on: ClassifierInput = "clean",
        dropout: float = 0.5,
        vae_optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-3),
        flow_cnn_optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-3),
        lr_scheduler: LRSchedulerCallable = lambda o: TwoStepLR(o, first=60, second=80, gamma=0.3),
        lr_interval: LRInterval = "epoch",
    ) -> None:
        super().__init__(num_classes)
        # Functions cannot stand in a checkpoint that loads with weights_only.
        self.save_hyperparameters(ignore=["vae_optimizer", "flow_cnn_optimizer", "lr_scheduler"])
        self.automatic_optimization = False
        self.cost: ReconstructionCost = cost
        self.data_range = data_range
        self.relative_cost = relative_cost
        self.kl_weight = kl_weight
        self.variational = variational
        self.adversarial = adversarial
        self.classifier_on: ClassifierInput = classifier_on
        self.lr_interval = lr_interval
        self.optimizer_callables = (
            *(vae_optimizer, flow_cnn_optimizer, flow_cnn_optimizer),
            vae_optimizer,
        )
        self.lr_scheduler = lr_scheduler

        self.codec = FlowCodec(clip * size / REFERENCE_SIDE, "cartesian")
        self.latent = latent
        self.vae = VariationalAutoencoder(size, latent, width, prior=prior)
        self.flow_cnn = FlowCNN(num_classes, size, dropout=dropout)
        self.baseline_cnn = FlowCNN(num_classes, size, dropout=dropout)
        self.discriminator = DCGANDiscriminator(width, size, 2) if adversarial else None
        # The mean of the clean flows of training, encoded: the reconstruction that needs no input.
        self.mean_flow: Tensor
        self.register_buffer("mean_flow", torch.zeros(2, size, size))
        self.example_input_array = (torch.zeros(1, 2, size, size),)

    def forward(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct flows and name their expressions.

        Args:
            flow: Flows [B, 2, H, W] in pixels, occluded or not.

        Returns:
            Reconstructed flows [B, 2, H, W] in pixels, and logits [B, K] of Flow-CNN on them.
        """
        reconstructed = _from_unit(self.vae(_to_unit(self.codec.encode(flow))).flow)
        return self.codec.decode(reconstructed), self.flow_cnn(reconstructed).float()

    def setup(self, stage: str) -> None:
        """Check the classes; make the metrics of the conditions that the data module has."""
        super().setup(stage)
        self.refuse_other_size(self.mean_flow.shape[-1])
        regions = getattr(self.data, "regions", None)
        if not regions:
            raise UserError(
                "SSIM-VAE needs a data module that occludes faces and names its regions, like "
                "OccludedCKPlusDataModule; the one given has none."
            )
        self.conditions = conditions(regions)
        self.quality = OcclusionQuality(
            regions,
            self.num_classes,
            self.latent,
            selects=getattr(self.data, "train_regions", regions),
        )

    # ---- training

    def on_train_epoch_start(self) -> None:
        """Bring schedulers that count epochs to this one."""
        if self.lr_interval == "epoch":
            advance(cast(list[Any], self.lr_schedulers()), self.current_epoch)

    def training_step(self, batch: OccludedFlowBatch, batch_idx: int) -> dict[str, Tensor]:
        """Move the autoencoder to clean flows and each Flow-CNN on its flows; return the losses."""
        if self.lr_interval == "step":
            advance(cast(list[Any], self.lr_schedulers()), self.global_step)
        vae, *others = cast(list[LightningOptimizer], self.optimizers())
        uncount(others)
        flow_cnn, baseline_cnn = others[:2]
        clean = self.codec.encode(batch["flow"])
        regions = batch["occluded_flow"].shape[1]
        occluded = self.codec.encode(batch["occluded_flow"].flatten(0, 1))  # (B * R, 2, H, W)
        self.mean_flow.lerp_(clean.mean(0), 1 / (self.global_step + 1))

        with self.toggled_optimizer(vae):
            losses, reconstructed = self._vae_losses(
                _to_unit(occluded), _to_unit(clean).repeat_interleave(regions, dim=0)
            )
            descend(self, vae, losses["vae"])
        with self.toggled_optimizer(flow_cnn):
            restored = _from_unit(reconstructed.detach())
            logits = self.flow_cnn(_choose(clean, restored, self.classifier_on)).float()
            losses["cross_entropy"] = functional.cross_entropy(logits, batch["label"])
            descend(self, flow_cnn, losses["cross_entropy"])
        with self.toggled_optimizer(baseline_cnn):
            logits = self.baseline_cnn(_choose(clean, occluded, "both")).float()
            losses["cross_entropy_baseline"] = functional.cross_entropy(logits, batch["label"])
            descend(self, baseline_cnn, losses["cross_entropy_baseline"])
        if self.discriminator is not None:
            with self.toggled_optimizer(others[2]):
                losses["discriminator"] = discriminator_loss(
                    self.discriminator(clean), self.discriminator(restored)
                )
                descend(self, others[2], losses["discriminator"])

        return {name: loss.detach() for name, loss in losses.items()}

    # ---- evaluation

    def validation_step(self, batch: OccludedFlowBatch, batch_idx: int) -> dict[str, Any]:
        """Measure all conditions on a batch; returns the same as :meth:`test_step`."""
        return self.test_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/accuracy_<condition>`` and what else the quality holds."""
        self.log_summary("val", self.quality.summarize())

    def test_step(self, batch: OccludedFlowBatch, batch_idx: int) -> dict[str, Any]:
        """Measure all conditions on a batch.

        Returns:
            What the batch holds; ``logits`` [B, K] of Flow-CNN on the clean flows and
            ``logits_<condition>`` of every other condition, those of the baseline among them;
            ``reconstructed_flow`` [B, R, 2, H, W]
            in pixels.
        """
        flow, label = batch["flow"], batch["label"]
        shown = torch.cat((flow.unsqueeze(1), batch["occluded_flow"]), dim=1)  # (B, 1 + R, ...)
        encoded = self.codec.encode(shown.flatten(0, 1))
        rebuilt, posterior = self.vae(_to_unit(encoded))
        restored = _from_unit(rebuilt)
        answers = (self.flow_cnn(encoded), self.flow_cnn(restored), self.baseline_cnn(encoded))
        logits = torch.stack(answers).float().view(3, *shown.shape[:2], -1)
        logits = logits.transpose(0, 1).flatten(1, 2)  # (B, C, K)
        restored = self.codec.decode(restored).view_as(shown)
        flows = torch.cat((shown, restored), dim=1)  # (B, 2 (1 + R), 2, H, W)
        means = posterior.mean.view(*shown.shape[:2], -1)[:, 1:]  # (B, R, Z)
        mean_flow = self.codec.decode(self.mean_flow.unsqueeze(0))
        self.quality.update(logits, flows, label, means, mean_flow)
        others = zip(self.conditions[1:], logits.unbind(1)[1:], strict=True)
        return {
            **batch,
            "logits": logits[:, 0],
            **{f"logits_{name}": answer for name, answer in others},
            "reconstructed_flow": restored[:, 1:],
        }

    def on_test_epoch_end(self) -> None:
        """Log the same as validation, as ``test/...``."""
        self.log_summary("test", self.quality.summarize())

    def predict_step(self, batch: SequenceBatch, batch_idx: int) -> dict[str, Any]:
        """Reconstruct and recognise pairs of frames of recordings without labels.

        Returns:
            ``logits`` [B, K] on the reconstructed flows, ``sample_id``, ``sequence``, ``frame``,
            and in pixels ``occluded_flow`` and ``reconstructed_flow`` [B, 2, H, W].
        """
        reconstructed, logits = self(batch["posed_flow"])
        return {
            "logits": logits,
            "sample_id": batch["sample_id"],
            "sequence": batch["sequence"],
            "frame": batch["frame"],
            "occluded_flow": batch["posed_flow"],
            "reconstructed_flow": reconstructed,
        }

    # ---- optimizers

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Return an optimizer and a scheduler of each network, the autoencoder's first."""
        networks = (self.vae, self.flow_cnn, self.baseline_cnn, self.discriminator)
        optimizers = [
            build(network.parameters())
            for build, network in zip(self.optimizer_callables, networks, strict=True)
            if network is not None
        ]
        return optimizers, [self.lr_scheduler(optimizer) for optimizer in optimizers]

    # ---- parts of the steps

    def _vae_losses(self, occluded: Tensor, clean: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Equation (6): ``vae`` and its terms, and reconstructions, [B * R, 2, H, W] in [0, 1]."""
        reconstructed, posterior = self.vae(occluded, sampled=self.variational)
        reconstruction = reconstruction_loss(
            reconstructed,
            clean,
            cost=self.cost,
            data_range=self.data_range,
            relative=self.relative_cost,
        )
        losses = {"reconstruction": reconstruction}
        total = reconstruction
        if self.variational:
            losses["kl"] = kl_divergence(*posterior)
            total = total + self.kl_weight * losses["kl"]
        if self.discriminator is not None:
            losses["adversarial"] = generator_loss(self.discriminator(_from_unit(reconstructed)))
            total = total + self.adversarial * losses["adversarial"]
        return {**losses, "vae": total}, reconstructed


def _choose(clean: Tensor, shown: Tensor, learns_on: ClassifierInput) -> Tensor:
    """Choose what a Flow-CNN learns on, [B, ...].

    Args:
        clean: Encoded clean flows [B, 2, H, W].
        shown: What became of them under each of R occlusions [B * R, 2, H, W].
        learns_on: ``clean``; ``reconstructed`` for what is shown, by one occlusion drawn for each
            sample; or ``both``, by halves.
    """
    if learns_on == "clean":
        return clean
    shown = shown.view(len(clean), -1, *clean.shape[1:])
    samples = torch.arange(len(clean), device=clean.device)
    shown = shown[samples, torch.randint_like(samples, shown.shape[1])]
    if learns_on == "reconstructed":
        return shown
    return torch.where(torch.rand_like(clean[:, :1, :1, :1]) < 0.5, clean, shown)


def _to_unit(encoded: Tensor) -> Tensor:
    """From [-1, 1] to [0, 1], with no motion at 0.5, where BCE and SSIM are defined."""
    return (encoded + 1) / 2


def _from_unit(flow: Tensor) -> Tensor:
    """Back to [-1, 1], what Flow-CNN and the codec read."""
    return 2 * flow - 1
