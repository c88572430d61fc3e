from __future__ import annotations

import torch

from lightning_modules.networks.fitted_classifier import fit_classifier
from lightning_modules.networks.image_judge import ImageJudge


def test_a_face_gets_a_logit_for_each_class() -> None:
    judge = ImageJudge(5).eval()
    image = torch.rand(2, 3, 32, 48)
    logits = judge(image)
    assert logits.shape == (2, 5)
    assert not torch.equal(logits[0], logits[1])
    assert torch.equal(judge.mirror(image)[..., 0], image[..., -1])


def test_it_tells_bright_from_dark_in_a_few_passes() -> None:
    label = torch.arange(8) % 2
    image = (0.3 + 0.4 * label.float()).view(-1, 1, 1, 1) * torch.ones(8, 3, 32, 32)
    judge = ImageJudge(2)
    assert fit_classifier(judge, lambda epoch: [(image, label)], name="it", epochs=30) == 1.0
    assert judge.fitted
    assert not any(parameter.requires_grad for parameter in judge.parameters())
