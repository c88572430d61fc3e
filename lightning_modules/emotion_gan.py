"""eMotion-GAN: take head motion out of facial motion, then animate a neutral face with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.nn import functional

from datamodules.batch import REFERENCE_SIDE, send
from datamodules.errors import UserError
from lightning_modules.classifier import ExpressionModule, LRInterval
from lightning_modules.frozen_networks import fit_d_e, fit_subspaces, prepare_e_fer
from lightning_modules.judges import FrontalizationJudges, other_flows
from lightning_modules.lent_classifier import LentClassifier
from lightning_modules.metrics.classification import ClassifierQuality
from lightning_modules.networks.authors import describe_generators, load_generators
from lightning_modules.networks.blocks import Blocks, check_size
from lightning_modules.networks.codec import FlowCodec, Representation
from lightning_modules.networks.flow_cnn import FlowCNN
from lightning_modules.networks.flow_filter import FlowFilter
from lightning_modules.networks.flow_generator import FlowGenerator
from lightning_modules.networks.image_classifier import ImageClassifier
from lightning_modules.networks.image_generator import ImageGenerator, ImagePrior
from lightning_modules.networks.patch_discriminator import PatchDiscriminator
from lightning_modules.networks.vgg import VGGFeatures
from lightning_modules.networks.warp import warp
from lightning_modules.networks.weights import MatchReport
from lightning_modules.onnx_judge import check_judges
from lightning_modules.optim import TwoStepLR, advance, descend, evaluating, uncount
from lightning_modules.transfer import animate, target_faces, transferred
from losses.adversarial import discriminator_loss, generator_loss
from losses.flow import charbonnier_loss, endpoint_error
from losses.perceptual import perceptual_loss

if TYPE_CHECKING:
    from datamodules.batch import PosedFlowBatch, SequenceBatch


class EMotionGAN(ExpressionModule):
    """Flow generator G_F, image generator G_W and their discriminators D_P, D_E and e_FER.

    Two judges score them: a Flow-CNN of its own seed, and of faces a small ResNet-18, which is no
    network of e_FER's kind. They are fitted once before the first epoch, on the frontal flows and
    faces of the training fold, and asked in validation and test only, never by a loss. Further
    judges of faces may be named, which are asked in test.

    Args:
        num_classes: Number of expressions K.
        size: Side of flows and images in pixels, a multiple of 16 and at least 32; of 2 to the
            power of the samplings where there are others.
        width: Channels of the first block of G_F, G_W and D_P.
        image_width: Another width for G_W; null takes ``width``.
        flow_blocks: Downsampling blocks of G_F, as many upsampling ones, residual blocks of its
            encoder and of its decoder.
        image_blocks: The same of G_W.
        representation: What networks read and write of a flow: polar (paper), cartesian, or
            authors, the code of angles and signs that their published weights need.
        clip: Longest motion kept, in pixels of a 128x128 grid whatever the size.
        flow_prior: none (paper) or filter: G_F corrects the facial motion that subspaces learnt
            from the training fold find in the posed flow; needs cartesian flows.
        image_prior: none (paper) or warp: G_W corrects the lightness of the neutral face moved
            along the flow, where there is motion.
        conditional_discriminator: Whether D_P sees the posed flow beside the frontal one.
        expression_feedback: Whether D_E's judgement trains G_F (ablation without D_E). D_E itself
            always learns, since it is the Flow-CNN that scores the flows.
        lambda_gan: Weight of the adversarial loss of G_F; a term of weight 0 is not computed.
        lambda_epe: Weight of its endpoint error.
        lambda_charbonnier: Weight of its Charbonnier loss.
        lambda_image: Weight of G_W's loss in that of G_F (0: ablation without G_W).
        connection_epoch: First epoch, from 0, in which G_W's loss reaches G_F.
        alpha_l1: Weight of the absolute difference in the loss of G_W.
        alpha_perceptual: Weight of its perceptual loss.
        alpha_expression: Weight of e_FER's cross-entropy on its faces.
        animate: Flows of which G_W learns: frontal (paper), or both frontal ones and those of G_F,
            half of the samples each.
        gain: By what predict multiplies the frontalized flows before faces are animated: above 1
            expressions are stronger, below weaker, and 0 gives the neutral face.
        judges: Classifiers of faces that test asks beside the one fitted here, ONNX files by the
            names that tables call them; see :class:`lightning_modules.onnx_judge.OnnxJudge`.
        e_fer_checkpoint: Checkpoint of this project to take e_FER from, of eMotion-GAN, PCNN or
            ResNet-18; null fits it before the first epoch on the frontal faces of the training
            fold.
        e_fer_epochs: Most passes of that fit.
        perceptual: Features that the perceptual loss compares: those of e_fer or of vgg16.
        perceptual_weights: Path of the weights of VGG-16; null fetches torchvision's.
        weights: Path or http(s) address of the generators that the authors published, from which
            a training starts, or which test and predict use; where these have no checkpoint, test
            fits D_E and the judges on the training fold, and predict names no expression.
        weights_sha256: Their SHA-256; an address needs one.
        g_f_optimizer: Optimizer of G_F.
        g_w_optimizer: Optimizer of G_W.
        d_p_optimizer: Optimizer of D_P.
        d_e_optimizer: Optimizer of D_E.
        lr_scheduler: Scheduler of all four.
        lr_interval: Whether it counts in epochs or in steps.

    Raises:
        UserError: If the size or a choice does not fit the networks.

    Reference:
        Ikne et al., eMotion-GAN (arXiv 2404.09940), III and IV.C; defaults are the paper's.

    Deviation:
        Endpoint error and Charbonnier loss compare cartesian vectors whose unit is the clip: in
        the unit of the paper's normalised flows, so that its weights keep their meaning, but
        where an angle cannot be 2 pi off and right. Targets are clipped in training, as in the
        paper, and not in validation and test. Errors are logged in pixels. A filter gets posed
        flows uncut: it subtracts the head's motion, which may be longer than the clip.
        D_E judges G_F in evaluation mode, with the statistics of real flows; the authors' code
        lets generated flows into its batch statistics.
        The perceptual loss takes e_FER's features unless VGG is asked for: the default must not
        depend on a network being there.
        The schedule, x0.5 at epochs 10 and 13 in the authors' code for the generators, is applied
        to all four players, as "the learning rates are gradually decreased" says.
    """

    animates = True
    """It puts the motion of a recording onto the faces that ``data.neutral`` names."""
    output_names = ("frontalized_flow", "logits", "warped")
    headline_measures = ("posed_accuracy", "emotion_gan_*", "frontal_accuracy")

    def __init__(
        self,
        num_classes: int = 7,
        size: int = 128,
        width: int = 64,
        image_width: int | None = None,
        flow_blocks: tuple[int, int, int] = (4, 2, 5),
        image_blocks: tuple[int, int, int] = (3, 3, 3),
        representation: Representation = "polar",
        clip: float = 10.0,
        flow_prior: Literal["none", "filter"] = "none",
        image_prior: ImagePrior = "none",
        conditional_discriminator: bool = False,
        expression_feedback: bool = True,
        lambda_gan: float = 1.0,
        lambda_epe: float = 7.0,
        lambda_charbonnier: float = 3.0,
        lambda_image: float = 1.0,
        connection_epoch: int = 5,
        alpha_l1: float = 2.0,
        alpha_perceptual: float = 7.0,
        alpha_expression: float = 1.0,
        animate: Literal["frontal", "both"] = "frontal",
        gain: float = 1.0,
        judges: dict[str, str] | None = None,
        e_fer_checkpoint: str | None = None,
        e_fer_epochs: int = 20,
        perceptual: Literal["e_fer", "vgg16"] = "e_fer",
        perceptual_weights: str | None = None,
        weights: str | None = None,
        weights_sha256: str | None = None,
        g_f_optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-5, fused=True),
        g_w_optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-5, fused=True),
        d_p_optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-4, fused=True),
        d_e_optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=1e-4),
        lr_scheduler: LRSchedulerCallable = lambda o: TwoStepLR(o, first=10, second=13, gamma=0.5),
        lr_interval: LRInterval = "epoch",
    ) -> None:
        super().__init__(num_classes, weights, weights_sha256)
        if min(flow_blocks + image_blocks) < 0:
            raise UserError(f"Blocks are counted from 0, got {flow_blocks} and {image_blocks}.")
        check_size((size, size), 2 ** max(flow_blocks[0], image_blocks[0]))
        check_judges(judges or {})
        if not 0 <= gain < float("inf"):
            raise UserError(f"model.gain is a factor of 0 or more, but is {gain}.")
        if e_fer_checkpoint is not None and e_fer_checkpoint.endswith(".onnx"):
            raise UserError(
                f"e_fer_checkpoint is {e_fer_checkpoint}, and an ONNX file gives no gradients, of "
                "which G_W learns: give a checkpoint of this project, or name the file in "
                "model.judges, which only answer."
            )
        players = ["g_f_optimizer", "g_w_optimizer", "d_p_optimizer", "d_e_optimizer"]
        # Functions cannot stand in a checkpoint that loads with weights_only.
        self.save_hyperparameters(ignore=[*players, "lr_scheduler"])
        self.automatic_optimization = False
        self.clip = clip
        self.expression_feedback = expression_feedback
        self.lambda_gan = lambda_gan
        self.lambda_epe = lambda_epe
        self.lambda_charbonnier = lambda_charbonnier
        self.lambda_image = lambda_image
        self.connection_epoch = connection_epoch
        self.alpha_l1 = alpha_l1
        self.alpha_perceptual = alpha_perceptual
        self.alpha_expression = alpha_expression
        self.animate = animate
        self.gain = gain
        self.e_fer_checkpoint = e_fer_checkpoint
        self.e_fer_epochs = e_fer_epochs
        self.perceptual_weights = perceptual_weights
        self.optimizer_callables = (g_f_optimizer, g_w_optimizer, d_p_optimizer, d_e_optimizer)
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval
        self.published = False

        self.codec = FlowCodec(clip * size / REFERENCE_SIDE, representation)
        self.g_f: FlowGenerator | FlowFilter
        if flow_prior == "none":
            published = representation == "authors"
            self.g_f = FlowGenerator(width, Blocks(*flow_blocks), published=published)
        else:
            self.g_f = FlowFilter(self.codec, size, width)
        blocks = Blocks(*image_blocks)
        self.g_w = ImageGenerator(self.codec, image_width or width, blocks, prior=image_prior)
        self.d_p = PatchDiscriminator(width, conditional=conditional_discriminator)
        self.d_e = FlowCNN(num_classes, size)
        self.e_fer = ImageClassifier(num_classes, size).requires_grad_(False)
        # In a list and so no part of the module: a checkpoint need not hold what another does.
        self._lent: list[LentClassifier] = []
        self.vgg = VGGFeatures().requires_grad_(False) if perceptual == "vgg16" else None
        self.judges = FrontalizationJudges(num_classes, size, judges)
        # All zero where it is not known: of a checkpoint from before it was kept.
        self.average_face: Tensor
        self.register_buffer("average_face", torch.zeros(3, size, size))

        self.example_input_array = (torch.zeros(1, 2, size, size), torch.zeros(1, 3, size, size))
        self.quality = ClassifierQuality(num_classes)

    def forward(self, posed_flow: Tensor, neutral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frontalize flows, name their expressions, animate faces.

        Args:
            posed_flow: Flows [B, 2, H, W] in pixels, head motion included.
            neutral: Neutral frontal faces [B, 3, H, W] in [0, 1].

        Returns:
            Frontal flows [B, 2, H, W] in pixels, logits [B, K] of Flow-CNN on them, and the faces
            [B, 3, H, W] in [0, 1] that they animate.
        """
        frontalized = self.g_f(self.encode_posed(posed_flow))
        face = self.g_w(neutral, frontalized)
        return self.codec.decode(frontalized), self.d_e(frontalized).float(), face.float()

    def encode_posed(self, flow: Tensor) -> Tensor:
        """Encode posed flows [B, 2, H, W] in pixels for G_F; a filter gets them uncut."""
        if isinstance(self.g_f, FlowFilter):
            return flow.float() / self.codec.clip
        return self.codec.encode(flow)

    def setup(self, stage: str) -> None:
        """Check the classes, and open the judges that test asks, before hours of training.

        Raises:
            UserError: If one of them cannot be used.
        """
        super().setup(stage)
        if stage in ("fit", "test") and self.class_names is not None:
            opened = self.judges.open(
                self.class_names, loose=getattr(self.data, "crop", "none") == "loose"
            )
            self.judges.named = opened if stage == "test" else {}
            self.judges.divide(
                getattr(self.data, "subset_names", ()), getattr(self.data, "rivals", ())
            )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the names of the classes; a checkpoint may be older than the average face."""
        super().on_load_checkpoint(checkpoint)
        checkpoint["state_dict"].setdefault("average_face", self.average_face)

    def load_weights(self, given: Mapping[str, Any], source: str, *, whole: bool) -> MatchReport:
        """Fill both generators from those that the authors published.

        Raises:
            UserError: If the file does not hold both, or the model is made otherwise.
        """
        needed = describe_generators(given, source)
        have = {key: self.hparams[key] for key in needed}
        have["image_width"] = have["image_width"] or have["width"]
        flags = [
            f"--model.{key} {shlex.quote(str(value))}"
            for key, value in needed.items()
            if (list(have[key]) if isinstance(value, list) else have[key]) != value
        ]
        if flags:
            raise UserError(f"{source} holds generators that need {' '.join(flags)}: add them.")
        generators = nn.ModuleDict({"g_f": self.g_f, "g_w": self.g_w})
        flow, image = Blocks(*needed["flow_blocks"]), Blocks(*needed["image_blocks"])
        report = load_generators(generators, given, source, flow=flow, image=image)
        self.published = True
        return report

    # ---- training

    def on_fit_start(self) -> None:
        """Load published generators; load or fit the frozen networks once, before they measure.

        The average of the training fold's neutral faces is kept for what animates nobody's face.

        Raises:
            UserError: If e_FER, VGG-16 or the judges cannot be had, or were learnt of other classes
                or of people who are held out.
        """
        super().on_fit_start()
        self._fit_judges()
        if isinstance(self.g_f, FlowFilter) and not self.g_f.subspaces.fitted:
            fit_subspaces(self.g_f, self.data)
        perceives = self.alpha_perceptual and self.vgg is None
        if (self.alpha_expression or perceives) and not self.e_fer.fitted:
            found = prepare_e_fer(self.e_fer, self, self.e_fer_checkpoint, epochs=self.e_fer_epochs)
            self._lent = [found] if isinstance(found, LentClassifier) else []
        if self.vgg is not None and not self.vgg.loaded:
            rank_zero_info(f"VGG-16: {self.vgg.load_weights(self.perceptual_weights)}.")

    def on_train_epoch_start(self) -> None:
        """Bring schedulers that count epochs to this one."""
        if self.lr_interval == "epoch":
            self._advance(self.current_epoch)

    def training_step(self, batch: PosedFlowBatch, batch_idx: int) -> dict[str, Tensor]:
        """Move each of the four players once, the others held still; return their losses."""
        if self.lr_interval == "step":
            self._advance(self.global_step)
        g_f, g_w, d_p, d_e = cast(list[LightningOptimizer], self.optimizers())
        uncount((g_w, d_p, d_e))
        posed = self.encode_posed(batch["posed_flow"])
        frontal = self.codec.encode(batch["flow"])

        with self.toggled_optimizer(g_f):
            if isinstance(self.g_f, FlowFilter):
                frontalized = self.g_f(posed, batch["subject"])
            else:
                frontalized = self.g_f(posed)
            losses = self._flow_generator_losses(batch, posed, frontal, frontalized)
            descend(self, g_f, losses["g_f"])
        frontalized = frontalized.detach()
        with self.toggled_optimizer(g_w):
            shown = frontal
            if self.animate == "both":
                shown = torch.where(
                    torch.rand_like(frontal[:, :1, :1, :1]) < 0.5, frontal, frontalized
                )
            losses |= self._image_generator_losses(batch, shown)
            # Adam would move on the moments of earlier steps where there is nothing to learn.
            paired = bool(batch["is_neutral_apex"].any())
            if self.trainer.strategy.reduce_boolean_decision(paired, all=False):
                descend(self, g_w, losses["g_w"])
        if self.lambda_gan:
            with self.toggled_optimizer(d_p):
                losses["d_p"] = discriminator_loss(
                    self.d_p(frontal, posed), self.d_p(frontalized, posed)
                )
                descend(self, d_p, losses["d_p"])
        with self.toggled_optimizer(d_e):
            losses["d_e"] = functional.cross_entropy(self.d_e(frontal).float(), batch["label"])
            descend(self, d_e, losses["d_e"])

        return {name: loss.detach() for name, loss in losses.items()}

    # ---- evaluation

    def on_validation_start(self) -> None:
        """Refuse to use what was never trained; fit what judges published generators.

        Raises:
            UserError: If it was not.
        """
        if self.judges.fitted:
            return
        if not self.published:
            raise UserError(
                "This eMotion-GAN was never trained: its weights are random. Give the checkpoint "
                "of a training run with --ckpt_path (best and last name those of the newest run)."
            )
        if not self.trainer.predicting:
            fit_d_e(self.d_e, self.codec, self.data)
            self._fit_judges()
            self.eval()  # a fit leaves what it fitted in training mode

    on_test_start = on_predict_start = on_validation_start

    def frontalize(self, batch: PosedFlowBatch) -> dict[str, Any]:
        """Frontalize the posed flows of a batch.

        Returns:
            What the batch holds; ``frontalized_flow`` in pixels, ``logits`` [B, K] of Flow-CNN on
            it, and ``warped``, the faces in [0, 1] that it animates.
        """
        frontalized, logits, face = self(batch["posed_flow"], batch["neutral"])
        return {**batch, "logits": logits, "frontalized_flow": frontalized, "warped": face}

    def validation_step(self, batch: PosedFlowBatch, batch_idx: int) -> dict[str, Any]:
        """Measure flows, and faces that the frontalized ones animate; as :meth:`frontalize`."""
        outputs = self.frontalize(batch)
        frontalized = outputs["frontalized_flow"]
        for row, flow in other_flows(batch, self.g_f).items():
            self.judges.count_flow(row, flow, self.d_e(self.codec.encode(flow)).float(), batch)
        self.judges.count_flow("emotion_gan", frontalized, outputs["logits"], batch)
        self.judges.count_face("emotion_gan", outputs["warped"], batch)
        self.judges.count_face("emotion_gan_warp", warp(batch["neutral"], frontalized), batch)
        return outputs

    def on_validation_epoch_end(self) -> None:
        """Log ``val/<quantity>`` of eMotion-GAN and ``val/<row>_<quantity>`` of the others.

        Endpoint errors and ``val/judge_confidence`` select a checkpoint: accuracy jumps by a whole
        sample, and a fold has few.
        """
        summary = self.judges.summarize().items()
        self.log_summary("val", {name.removeprefix("emotion_gan_"): v for name, v in summary})

    def test_step(self, batch: PosedFlowBatch, batch_idx: int) -> dict[str, Any]:
        """Measure every row of the table, each with the faces that its flow animates.

        Beside the posed flows G_F gets the frontal ones, which it should leave as they are, and G_W
        animates the average face too (the paper's SNAP-F, and its Table III).

        Returns:
            As :meth:`frontalize`, and ``measures``, what the means of the table are taken of, [B]
            by name.
        """
        outputs, neutral = self.frontalize(batch), batch["neutral"]
        self.quality.update(outputs["logits"], batch["label"])
        flow, logits, face = (outputs[name] for name in self.output_names)
        measures = self.judges.count("emotion_gan", flow, logits, face, batch)
        flow, logits, face = self(batch["flow"], neutral)
        measures |= self.judges.count("emotion_gan_frontal", flow, logits, face, batch)
        for row, flow in other_flows(batch, self.g_f).items():
            encoded = self.codec.encode(flow)
            logits, face = self.d_e(encoded).float(), self.g_w(neutral, encoded)
            measures |= self.judges.count(row, flow, logits, face, batch)
        if self.average_face.any():
            average = self.average_face.expand_as(neutral)
            moved = {"average": batch["posed_flow"], "average_frontal": batch["flow"]}
            for row, flow in moved.items():
                _, _, face = self(flow, average)
                measures |= self.judges.count_average(row, face, batch)
        measures |= self.judges.count_stills(batch)
        self.judges.count_subsets(measures, batch)
        return {**outputs, "measures": measures}

    def on_test_epoch_end(self) -> None:
        """Log ``test/<row>_<quantity>``, differences of rows, and D_E's recognition."""
        means = self.judges.summarize()
        quality = self.quality.summarize(self.class_names)
        self.log_summary("test", means | self.judges.over(means) | quality)

    def predict_step(self, batch: SequenceBatch, batch_idx: int) -> dict[str, Any]:
        """Frontalize pairs of frames, which have neither label nor frontal camera.

        The flow, made stronger or weaker by ``gain``, animates the neutral face of the recording,
        or instead each of the faces that ``data.neutral`` names.

        Returns:
            As :meth:`frontalize`, of the first of these faces; and where they were named what
            :func:`transferred` returns of all.

        Raises:
            UserError: If the average face is asked for, and the checkpoint keeps none.
        """
        encoded = self.codec.scale(self.g_f(self.encode_posed(batch["posed_flow"])), self.gain)
        targets = [
            face.expand_as(batch["neutral"]) for face in target_faces(self.data, self.average_face)
        ]
        faces = targets or [batch["neutral"]]
        animated = [animate(self.g_w, self.codec, face, encoded, self.gain) for face in faces]
        flow, logits = self.codec.decode(encoded), self.d_e(encoded).float()
        return {
            **batch,
            **(transferred(targets, animated, flow) if targets else {}),
            "neutral": faces[0],
            # Published generators come without a D_E that knows anything.
            "logits": logits if self.judges.fitted else torch.full_like(logits, torch.nan),
            "frontalized_flow": flow,
            "warped": animated[0],
        }

    # ---- optimizers

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Return the optimizers of G_F, G_W, D_P, D_E in this order, and a scheduler for each."""
        players = (self.g_f, self.g_w, self.d_p, self.d_e)
        optimizers = [
            build(player.parameters())
            for build, player in zip(self.optimizer_callables, players, strict=True)
        ]
        return optimizers, [self.lr_scheduler(optimizer) for optimizer in optimizers]

    def _fit_judges(self) -> None:
        """Fit the judges, and average the faces, unless a checkpoint held them."""
        if not self.judges.fitted:
            self.judges.fit(self.data)
        average = getattr(self.data, "average_face", None)
        if average is not None and not self.average_face.any():
            self.average_face.copy_(average())

    def _advance(self, count: int) -> None:
        """Bring the schedulers of those players that step to an epoch or a step."""
        g_f, g_w, d_p, d_e = cast(list[Any], self.lr_schedulers())
        # Without the adversarial loss D_P never steps, and its scheduler must not either.
        advance((g_f, g_w, *((d_p,) if self.lambda_gan else ()), d_e), count)

    # ---- losses

    def _flow_generator_losses(
        self, batch: PosedFlowBatch, posed: Tensor, frontal: Tensor, frontalized: Tensor
    ) -> dict[str, Tensor]:
        """Equation (5): ``g_f`` and its terms."""
        losses: dict[str, Tensor] = {}
        total = frontalized.new_zeros(())
        if self.lambda_gan:
            losses["g_f_adversarial"] = generator_loss(self.d_p(frontalized, posed))
            total = total + 0.5 * self.lambda_gan * losses["g_f_adversarial"]
        if self.lambda_gan and self.expression_feedback:
            with evaluating(self.d_e):
                logits = self.d_e(frontalized).float()
            losses["g_f_expression"] = functional.cross_entropy(logits, batch["label"])
            total = total + 0.5 * self.lambda_gan * losses["g_f_expression"]
        vectors = self.codec.unit_vectors(frontalized), self.codec.unit_vectors(frontal)
        if self.lambda_epe:
            error = endpoint_error(*vectors)
            losses["epe_px"] = self.clip * error
            total = total + self.lambda_epe * error
        if self.lambda_charbonnier:
            losses["charbonnier"] = charbonnier_loss(*vectors)
            total = total + self.lambda_charbonnier * losses["charbonnier"]
        if self.lambda_image and self.current_epoch >= self.connection_epoch:
            losses["g_f_image"] = self._image_generator_losses(batch, frontalized)["g_w"]
            total = total + self.lambda_image * losses["g_f_image"]
        return losses | {"g_f": total}

    def _image_generator_losses(self, batch: PosedFlowBatch, flow: Tensor) -> dict[str, Tensor]:
        """Equation (2), on the neutral-apex pairs of a batch: ``g_w`` and its terms."""
        pairs = batch["is_neutral_apex"].cpu().nonzero().flatten()
        weight = float(len(pairs) > 0)
        shown = batch["neutral"], batch["apex"], batch["label"], flow
        if len(pairs) < len(flow):
            # Under DDP all processes make the same backward passes: where there is no pair, one
            # sample stands in, weighed 0.
            chosen = send(pairs if weight else torch.zeros(1, dtype=torch.int64), flow.device)
            neutral, apex, label, flow = (part.index_select(0, chosen) for part in shown)
        else:
            neutral, apex, label, flow = shown
        face = self.g_w(neutral, flow)
        losses = {"g_w_l1": weight * functional.l1_loss(face.float(), apex)}
        total = self.alpha_l1 * losses["g_w_l1"]
        e_fer = self._lent[0] if self._lent else self.e_fer
        with evaluating(e_fer):
            if self.alpha_perceptual:
                extractor = e_fer.features if self.vgg is None else self.vgg
                losses["g_w_perceptual"] = weight * perceptual_loss(face, apex, extractor)
                total = total + self.alpha_perceptual * losses["g_w_perceptual"]
            if self.alpha_expression:
                logits = e_fer(face).float()
                losses["g_w_expression"] = weight * functional.cross_entropy(logits, label)
                total = total + self.alpha_expression * losses["g_w_expression"]
        return losses | {"g_w": total}
