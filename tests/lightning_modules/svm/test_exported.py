from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.errors import UserError
from experiments.export import largest_difference, save_onnx
from lightning_modules import DCGANSVM
from tests.lightning_modules.dcgan_fakes import draw_faces
from tests.lightning_modules.svm.fitted import fit

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        ({}, 3),
        ({"num_classes": 5, "standardised": True, "blocks": "all", "mirrored": True}, 3),
        ({"num_classes": 2, "features": "pixels", "channels": 1}, 2),
        ({"task": "action_units"}, 3),
    ],
    ids=["three classes", "two that never occurred", "two classes", "units"],
)
def test_an_exported_machine_answers_as_the_method(
    tmp_path: Path, arguments: dict[str, Any], labels: int
) -> None:
    method = fit(DCGANSVM(**{"num_classes": 3, "size": 16, "width": 4, **arguments}), labels)
    exported = method.exportable()
    faces = draw_faces(np.arange(9) % labels, np.arange(9), seed=4)
    image = torch.from_numpy(faces).permute(0, 3, 1, 2) / 255
    expected = method.recogniser.answer(method.extract(image))
    answers = dict(zip(exported.output_names, exported(image), strict=True))
    assert answers.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(answers[name], values, atol=1e-6, rtol=0, equal_nan=True)
    inputs = {"image": image}
    path = tmp_path / "model.onnx"
    save_onnx(exported, inputs, path, outputs=exported.output_names, metadata={})
    alone = {"image": image[:1]}
    assert largest_difference(exported, [inputs, alone], path) < 1e-5


def test_what_cannot_be_exported_is_said() -> None:
    with pytest.raises(UserError, match="no fitted SVM to export"):
        DCGANSVM(3, 16, width=4).exportable()
    with pytest.raises(UserError, match="oriented gradients, which OpenCV computes"):
        DCGANSVM(3, 16, width=4, features="hog").exportable()
