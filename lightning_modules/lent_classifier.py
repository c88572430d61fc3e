"""A classifier of still faces, trained in a run of its own and lent to eMotion-GAN as e_FER."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from datamodules.errors import UserError
from lightning_modules.face_classifier import FaceClassifier
from lightning_modules.metrics.frontalization import FACE_SHARE, middle
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.networks.resnet import Trunk
from lightning_modules.pcnn import PCNN
from lightning_modules.resnet18 import ResNet18Classifier

_LENDERS: dict[str, type[FaceClassifier]] = {
    method.__name__: method for method in (PCNN, ResNet18Classifier)
}
_MARGIN = 1.2  # sides of a detected face in what the data modules of stills cut out


class LentClassifier(nn.Module):
    """Asks a classifier of still faces in the classes of this run, with gradients to the faces.

    Args:
        method: The method of the run, see `lender`.
        checkpoint: Of that run.
        classes: Names of the classes of this run, each of which it must have learnt.
        path: Where the checkpoint was read, for the error.
        loose: Whether faces come in loose crops, of which the middle is shown to it.

    Raises:
        UserError: If it lacks a class.
    """

    def __init__(
        self,
        method: type[FaceClassifier],
        checkpoint: Mapping[str, Any],
        classes: Sequence[str],
        path: str,
        *,
        loose: bool,
    ) -> None:
        super().__init__()
        learnt = list(checkpoint.get("class_names", ()))
        if lacking := [name for name in classes if name not in learnt]:
            raise UserError(
                f"The classifier in {path} has not learnt {', '.join(lacking)}, but "
                f"{', '.join(learnt) or 'classes without names'}: give another e_fer_checkpoint."
            )
        given = checkpoint["hyper_parameters"]
        arguments = {name: value for name, value in given.items() if not name.startswith("_")}
        self.method = method(**arguments)
        self.method.load_state_dict(checkpoint["state_dict"])
        self.requires_grad_(False).eval()
        self._order = [learnt.index(name) for name in classes]
        self._share = _MARGIN * FACE_SHARE if loose else 1.0

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K] of images [B, 3, H, W] in [0, 1], in the order of the classes."""
        return self.method(self._shown(image))[:, self._order]  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> list[Tensor]:
        """Return what layers 1 to 3 of the trunk emit for images [B, 3, H, W] in [0, 1]."""
        network: Any = self.method.network
        trunk: Trunk = network.global_trunk if isinstance(network, PCNNNetwork) else network
        return trunk.maps(self.method.normalise(self._shown(image)))

    def _shown(self, image: Tensor) -> Tensor:
        """Cut out of images what it has learnt to look at, in its size."""
        rows, columns = (middle(side, self._share) for side in image.shape[-2:])
        size = self.method.example_input_array.shape[-2:]  # type: ignore[union-attr]
        return functional.interpolate(
            image[:, :, rows, columns], size, mode="bilinear", antialias=True
        )


def lender(checkpoint: Mapping[str, Any]) -> type[FaceClassifier] | None:
    """Return the method of a checkpoint, if it can be lent."""
    spec = checkpoint.get("config", {}).get("model", {})
    return _LENDERS.get(str(spec.get("class_path", "")).rpartition(".")[2])
