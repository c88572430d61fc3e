"""What the methods share: the classes that they tell apart, and one network that classifies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, distributed, nn

from datamodules.errors import UserError
from lightning_modules.metrics.classification import NetworkQuality
from lightning_modules.networks.weights import MatchReport, read_weights

LRInterval = Literal["epoch", "step"]
T = TypeVar("T")
_PATIENCE = timedelta(days=30)


def compute_once(compute: Callable[[], T]) -> T:
    """Compute something on the first process; the others wait for it and get a copy.

    On accelerators two processes would not end at the very same numbers. The others wait in a
    group of their own: in that of the trainer a collective may take half an hour, and a fit takes
    as long as it takes.

    Args:
        compute: Returns what can be pickled, tensors on the CPU.

    Returns:
        What it returned.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return compute()
    group = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    held: list[Any] = [compute() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(held, src=0, group=group)
    distributed.destroy_process_group(group)
    result: T = held[0]
    return result


class ExpressionModule(LightningModule):
    """A method that tells expressions apart, and knows in a checkpoint which.

    Args:
        num_classes: Number of expressions K.
        weights: Path or http(s) address of published weights; None where there are none.
        weights_sha256: Their SHA-256; an address needs one.

    Attributes:
        class_names: Names of the classes that it learns or has learnt, in the order of its
            answers; None before it has seen data that name theirs.
        headline_measures: Patterns of the measures that `lightning compare` sets side by side,
            beside accuracy; it reads them in the source.
    """

    headline_measures: tuple[str, ...] = ("accuracy_*",)

    def __init__(
        self, num_classes: int, weights: str | None = None, weights_sha256: str | None = None
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.weights = weights
        self.weights_sha256 = weights_sha256
        self.class_names: tuple[str, ...] | None = None
        self._begun = False

    def refuse_other_size(self, size: int) -> None:
        """Refuse flows that do not fit the networks.

        Args:
            size: Side of the flows that they take, in pixels.

        Raises:
            UserError: If the data module makes others.
        """
        given = getattr(self.data, "size", size)
        if given != size:
            raise UserError(
                f"model.size is {size}, but data.size is {given}: give the same, or model.size "
                "alone."
            )

    def setup(self, stage: str) -> None:
        """Take the classes of the data, or refuse others than those learnt.

        Raises:
            UserError: If the data have another number of classes, or others, or another order.
        """
        names = getattr(self.data, "class_names", None)
        if stage == "predict":
            self._name_answers()
        elif names is not None:
            if len(names) != self.num_classes:
                raise UserError(
                    f"num_classes is {self.num_classes}, but the data has {len(names)} classes "
                    f"({', '.join(names)}): set one to the other."
                )
            self.refuse_other_classes(self.class_names, "this model")
            self.class_names = tuple(names)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the names of the classes."""
        if self.class_names is not None:
            checkpoint["class_names"] = list(self.class_names)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the names of the classes.

        Raises:
            UserError: If the data have others; without labels they take those of the checkpoint.
        """
        names = checkpoint.get("class_names")
        if names is not None:
            if self._trainer is not None and not self.trainer.predicting:
                self.refuse_other_classes(names, "the checkpoint")
            self.class_names = tuple(names)
            self._name_answers()

    @property
    def data(self) -> Any:
        """The data module of the run; None where it was given loaders or there is no run."""
        return None if self._trainer is None else getattr(self._trainer, "datamodule", None)

    def refuse_other_classes(self, learnt: Sequence[str] | None, owner: str) -> None:
        """Refuse what learnt other classes than the data have.

        Args:
            learnt: Names of its classes; None where they are not known.
            owner: What learnt them.

        Raises:
            UserError: If they are others, or in another order.
        """
        names = getattr(self.data, "class_names", None)
        if learnt is not None and names is not None and tuple(learnt) != tuple(names):
            raise UserError(
                f"The classes of {owner} are {', '.join(learnt)}, in this order, but those of the "
                f"data are {', '.join(names)}: set data.expressions as it was in training."
            )

    def refuse_leak(self, checkpoint: Mapping[str, Any], what: str) -> None:
        """Refuse networks of another run that have seen people or files held out here.

        Args:
            checkpoint: Content of the checkpoint that they are taken from.
            what: What the checkpoint is, as the beginning of a sentence.
        """
        refuse = getattr(self.data, "refuse_leak", None)
        if refuse is not None:
            refuse(checkpoint, what)

    def load_weights(self, given: Mapping[str, Any], source: str, *, whole: bool) -> MatchReport:
        """Fill the networks from published weights.

        Args:
            given: What was read.
            source: Where it was read.
            whole: Whether it must do for answers, and not for the start of a training alone.

        Returns:
            What matched.

        Raises:
            UserError: If they do not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} has no published weights")

    def start_from_weights(self, *, whole: bool) -> None:
        """Load the published weights, unless a checkpoint holds others or a training was begun.

        Raises:
            UserError: If they cannot be had, do not fit, or are those of a run that was trained on
                what is held out here.
        """
        begun, self._begun = self._begun, True
        if self.weights is None or begun or self.trainer.ckpt_path is not None:
            return
        given = read_weights(self.weights, self.weights_sha256)
        self.refuse_leak(given, f"model.weights {self.weights}")
        report = self.load_weights(given, self.weights, whole=whole)
        rank_zero_info(f"{self.weights}: {report}.")
        if whole:
            self._name_answers()
            rank_zero_info(
                "Whom these weights have seen is not recorded in them: a score on data of which "
                "they, or the choice of their epoch, learnt says little."
            )

    def on_fit_start(self) -> None:
        """Start from the published weights, if there are any."""
        self.start_from_weights(whole=False)

    def on_validation_model_eval(self) -> None:
        """Answer by the published weights where there is no checkpoint.

        Before the callbacks of the loop ask for the names of the classes.
        """
        self.start_from_weights(whole=True)
        super().on_validation_model_eval()

    def on_test_model_eval(self) -> None:
        """As for validation."""
        self.start_from_weights(whole=True)
        super().on_test_model_eval()

    def on_predict_model_eval(self) -> None:
        """As for validation."""
        self.start_from_weights(whole=True)
        super().on_predict_model_eval()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log what a training step returned as ``train/<name>``, where a logger writes it.

        To log every step costs more of the processor than all else that `fit` adds to a step. The
        last of an epoch is logged, so that an epoch shorter than the interval has its losses too.

        Args:
            outputs: Scalars by name; ``loss``, which Lightning itself descends, is one of the
                others.
            batch: Not read.
            batch_idx: Not read.
        """
        if self.trainer._logger_connector.should_update_logs or self.trainer.is_last_batch:
            losses = {f"train/{name}": loss for name, loss in outputs.items() if name != "loss"}
            self.log_dict(losses)

    def log_summary(self, split: str, summary: Mapping[str, Tensor]) -> None:
        """Log what was computed over all samples of all processes.

        Args:
            split: val or test.
            summary: Scalars by name, logged as ``<split>/<name>``.
        """
        values = {f"{split}/{name}": value.to(self.device) for name, value in summary.items()}
        # Every process holds the same numbers by now: sync_dist only tells Lightning so.
        self.log_dict(values, sync_dist=True)

    def _name_answers(self) -> None:
        """Give data without labels, for those who read answers, the classes that were learnt."""
        predicting = self._trainer is not None and self.trainer.predicting
        if predicting and self.data is not None and self.class_names is not None:
            self.data.class_names = self.class_names


class Classifier(ExpressionModule):
    """One network, one optimizer, and the measures of a classifier.

    Args:
        network: The network.
        num_classes: Number of expressions K.
        optimizer: Optimizer.
        lr_scheduler: Its scheduler.
        lr_interval: Whether it counts in epochs or in steps.
        weights: See :class:`ExpressionModule`.
        weights_sha256: Their SHA-256.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        *,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable,
        lr_interval: LRInterval = "epoch",
        weights: str | None = None,
        weights_sha256: str | None = None,
    ) -> None:
        super().__init__(num_classes, weights, weights_sha256)
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval

    def setup(self, stage: str) -> None:
        """Check the classes; make the measures of the test lists that the data have."""
        super().setup(stage)
        self.quality = NetworkQuality(self.num_classes, getattr(self.data, "subset_names", ()))

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, balanced accuracy, macro F1, recalls, cross-entropy and confidence.

        ``val/confidence``, the mean probability of the right class, selects a checkpoint where
        most epochs tie in accuracy, as on the few faces of a fold.
        """
        self.log_summary("val", self.quality.summarize(self.class_names))

    def on_test_epoch_end(self) -> None:
        """Log the same as validation, as ``test/...``, and ``test/<subset>_accuracy``."""
        self.log_summary("test", self.quality.summarize(self.class_names))

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Return the optimizer and its scheduler."""
        optimizer = self.optimizer(self.network.parameters())
        scheduler = {"scheduler": self.lr_scheduler(optimizer), "interval": self.lr_interval}
        return [optimizer], [scheduler]
