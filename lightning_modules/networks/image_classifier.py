"""e_FER: which expression does a face show?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm  # type: ignore[import-untyped]

from datamodules.errors import UserError

Faces = Iterable[tuple[Tensor, Tensor]]


class ImageClassifier(nn.Module):
    """Four blocks of 3x3 convolution of stride 2, batch norm and ReLU, then one linear layer.

    Whether its weights mean anything is part of its state, as the buffer ``fitted``.

    Args:
        num_classes: Number of expressions K.
        size: Side of the images in pixels; at least 16.
        width: Channels of the first block, doubled by the others.

    Raises:
        UserError: If ``size`` is below 16.

    Reference:
        eMotion-GAN, III.C b).

    Deviation:
        The paper judges its faces by DMUE, pre-trained on AffectNet, which may not be had. This
        small network learns the training fold's own faces instead.
    """

    fitted: Tensor

    def __init__(self, num_classes: int, size: int = 128, *, width: int = 16) -> None:
        super().__init__()
        self.register_buffer("fitted", torch.tensor(False))
        if size < 16:
            raise UserError(f"e_FER needs faces of at least 16x16 pixels, got {size}x{size}.")
        channels = [3, *(width * 2**level for level in range(4))]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            )
            for before, after in pairwise(channels)
        )
        cells = (size + 15) // 16
        # Where a feature lies tells expressions apart: a mean over the whole map would lose it.
        window = max(1, cells // 4)
        self.classifier = nn.Sequential(
            nn.AvgPool2d(window),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(channels[-1] * (cells // window) ** 2, num_classes),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K] of images [B, 3, size, size] in [0, 1]."""
        return self.classifier(self.features(image)[-1])  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> list[Tensor]:
        """Return what each block emits for images [B, 3, H, W] in [0, 1]: four maps."""
        maps = [4 * image - 2]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps[1:]


def fit_image_classifier(
    model: ImageClassifier,
    faces: Callable[[int], Faces],
    *,
    epochs: int,
    lr: float = 1e-3,
    seed: int = 0,
) -> float:
    """Fit a classifier by Adam and cross-entropy, and leave it frozen in evaluation mode.

    A function of the model, the faces and the seed alone: the caller's random state is neither
    read nor moved.

    Args:
        model: The classifier; its weights are drawn anew.
        faces: Returns, for an epoch from 0, an iterable of images [B, 3, H, W] in [0, 1] with
            their class indices [B], in an order of that epoch's own.
        epochs: Passes over the faces; stops early once every face is recognised.
        lr: Learning rate.
        seed: Of the initial weights, dropout and the mirroring of faces.

    Returns:
        The share of the faces of the last pass that was recognised while learning.

    Raises:
        UserError: If there is no face.
    """
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    accuracy = 0.0
    with torch.random.fork_rng(devices), torch.enable_grad(), torch.inference_mode(False):
        torch.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
                module.reset_parameters()
        model.requires_grad_(True).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        for epoch in tqdm(range(epochs), desc="Fitting e_FER", unit="pass", leave=False):
            seen, right = 0, torch.zeros((), device=device)
            for images, labels in faces(epoch):
                images, labels = images.to(device), labels.to(device)
                mirrored = torch.rand(len(images), 1, 1, 1, device=device) < 0.5
                logits = model(torch.where(mirrored, images.flip(-1), images))
                optimizer.zero_grad()
                functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                seen += len(labels)
                right += (logits.argmax(dim=1) == labels).sum()
            if not seen:
                raise UserError("e_FER has no face to learn from: the training fold is empty.")
            accuracy = right.item() / seen
            if accuracy == 1.0:
                break
    model.requires_grad_(False)
    model.fitted.fill_(True)
    return accuracy
