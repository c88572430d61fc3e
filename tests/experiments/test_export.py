from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments import export as exporting
from experiments.cli import main
from experiments.export import eliminate, largest_difference, save_onnx
from lightning_modules import SSIMVAE, EMotionGAN, FlowCNNClassifier
from tests.datamodules.trees import write_frames
from tests.experiments.tiny import TinyGAN

onnxruntime = pytest.importorskip("onnxruntime")

Refused = Callable[..., tuple[int, str]]


def checkpoint(path: Path, model: Any, data: dict[str, Any] | None = None) -> Path:
    """Write what `fit` leaves, without training."""
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    arguments = dict(model.hparams)
    if data is None:
        data = {
            "class_path": "datamodules.OccludedCKPlusDataModule",
            "init_args": {"root": "tree", "size": 32, "expressions": "ck7", "crop": "none"},
        }
    torch.save(
        {
            "state_dict": model.state_dict(),
            "config": {"model": {"class_path": name, "init_args": arguments}, "data": data},
            "OccludedCKPlusDataModule": {"source": "tree", "colour": False},
        },
        path,
    )
    return path


@pytest.fixture
def trained(folder: Path) -> Path:
    """A checkpoint, whose data are gone."""
    return checkpoint(folder / "best.ckpt", FlowCNNClassifier(7, 32))


def test_a_checkpoint_becomes_a_file_that_says_what_it_is(
    trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["export", f"--ckpt_path={trained}"])
    said = capfd.readouterr()
    assert said.out.strip().splitlines()[-1] == str(trained.with_suffix(".onnx"))
    assert "on random inputs" in said.err
    assert "on drawn faces" in said.err
    session = onnxruntime.InferenceSession(str(trained.with_suffix(".onnx")))
    assert [given.name for given in session.get_inputs()] == ["flow"]
    assert [given.name for given in session.get_outputs()] == ["logits"]
    assert session.get_inputs()[0].shape == ["batch", 2, 32, 32]
    assert session.get_outputs()[0].shape == ["batch", 7]
    for batch in (1, 5):
        (logits,) = session.run(None, {"flow": np.zeros((batch, 2, 32, 32), np.float32)})
        assert logits.shape == (batch, 7)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["method"] == "FlowCNNClassifier"
    assert metadata["trained_on"] == "tree"
    assert json.loads(metadata["input_size"]) == [32, 32]
    assert json.loads(metadata["class_names"])[0] == "happiness"
    assert "pixels" in json.loads(metadata["inputs"])["flow"]
    preprocessing = json.loads(metadata["preprocessing"])
    assert preprocessing["flow"].startswith("farneback")
    assert preprocessing["colour"] == "grey, in three equal channels"
    assert {"cut_out", "margin", "resized", "clip_px"} <= set(preprocessing)
    assert sorted(path.suffix for path in trained.parent.glob("best*")) == [".ckpt", ".onnx"]


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (lambda: SSIMVAE(7, 32, latent=4, width=4), ["reconstructed_flow", "logits"]),
        pytest.param(
            lambda: EMotionGAN(7, 32, 4),
            ["frontalized_flow", "logits", "warped"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_methods_with_several_outputs(
    tmp_path: Path, model: Callable[[], Any], outputs: list[str]
) -> None:
    method = model().eval()
    names = exporting.input_names(method)
    inputs = exporting.random_inputs(method, names, batch=2)
    path = tmp_path / "model.onnx"
    save_onnx(method, inputs, path, outputs=method.output_names, metadata={})
    session = onnxruntime.InferenceSession(str(path))
    assert [given.name for given in session.get_outputs()] == outputs
    single = {name: value[:1] for name, value in inputs.items()}
    assert largest_difference(method, [inputs, single], path) < 1e-3


def test_equations_are_solved_by_elimination(tmp_path: Path) -> None:
    class Solver(nn.Module):
        def forward(self, matrix: Tensor, right: Tensor) -> Tensor:
            return torch.linalg.solve(matrix, right)

    root, right = torch.randn(4, 5, 5), torch.randn(4, 5, 2)
    matrix = root @ root.mT + torch.eye(5)
    torch.testing.assert_close(
        eliminate(matrix, right), torch.linalg.solve(matrix, right), rtol=1e-3, atol=1e-4
    )
    inputs = {"matrix": matrix, "right": right}
    save_onnx(Solver(), inputs, tmp_path / "a.onnx", outputs=["solution"], metadata={})
    assert largest_difference(Solver(), [inputs], tmp_path / "a.onnx") < 1e-4


def test_a_file_that_differs_is_not_left(
    trained: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = save_onnx

    def other(model: Any, *args: Any, **kwargs: Any) -> None:
        real(FlowCNNClassifier(7, 32).eval(), *args, **kwargs)

    monkeypatch.setattr(exporting, "save_onnx", other)
    output = trained.parent / "model.onnx"
    output.write_text("of before")
    code, said = refused("export", f"--ckpt_path={trained}", f"--output={output}")
    assert code == 1
    assert "On random inputs the ONNX file differs from PyTorch" in said
    assert output.read_text() == "of before"
    assert not list(trained.parent.glob(".model*"))


def test_it_is_checked_on_what_is_given(
    trained: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    write_frames(Path("clip"), person=1, frames=3)
    main(["export", f"--ckpt_path={trained}", "--check_on=clip"])
    assert "PyTorch on clip: " in capfd.readouterr().err
    Path("empty").mkdir()
    said = refused("export", f"--ckpt_path={trained}", "--check_on=empty")[1]
    assert "The input empty has neither frames nor videos" in said


def test_folders_that_a_checkpoint_names_are_not_used(trained: Path, folder: Path) -> None:
    edited = torch.load(trained, weights_only=True)
    edited["config"]["data"]["init_args"]["cache_dir"] = str(folder / "elsewhere")
    torch.save(edited, trained)
    main(["export", f"--ckpt_path={trained}"])
    assert not (folder / "elsewhere").exists()
    assert not (folder / ".cache").exists()


def test_what_cannot_be_exported_is_said_in_a_sentence(trained: Path, refused: Refused) -> None:
    given = f"--ckpt_path={trained}"
    assert "nowhere.ckpt does not exist" in refused("export", "--ckpt_path=nowhere.ckpt")[1]
    said = refused("export", given, "--output=missing/a.onnx")[1]
    assert "The folder missing does not exist" in said
    assert "must end in .onnx" in refused("export", given, "--output=model.pt")[1]
    assert refused("export")[0] == 2
    data = {"class_path": "tests.experiments.tiny.TinyData"}
    model = TinyGAN()
    model.hparams.clear()
    path = checkpoint(trained.parent / "tiny.ckpt", model, data)
    said = refused("export", f"--ckpt_path={path}")[1]
    assert "TinyGAN cannot be exported: it has no example_input_array" in said


def test_without_the_extra_it_says_what_to_install(
    trained: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    code, said = refused("export", f"--ckpt_path={trained}")
    assert code == 1
    assert "pip install 'fer-lightning[export]'" in said
