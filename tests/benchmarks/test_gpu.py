"""The workings of the benchmark of a GPU, on the CPU; how fast one is, a test cannot say."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.bare import bare_loop
from benchmarks.generated import METHODS, GeneratedData, paper_setting, tiny_setting
from benchmarks.measuring import Result, median_interval
from benchmarks.stepping import (
    DrawnOnCPU,
    Losses,
    _trainer,
    count_flops,
    largest_deviation,
    losses_of_steps,
)

# Lightning warns of it whatever limit_val_batches is.
pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _leaves_no_trace() -> Iterator[None]:
    """The command sets for its process what other tests must not find."""
    precision, log = torch.get_float32_matmul_precision(), logging.getLogger("lightning.pytorch")
    level = log.level
    yield
    torch.set_float32_matmul_precision(precision)
    log.setLevel(level)


def test_settings_are_those_of_the_experiments() -> None:
    said = {method: str(paper_setting(method)) for method in METHODS}
    assert said["eMotion-GAN"] == "128 px, batch 4"
    assert said["PCNN"] == "224 px, batch 128"
    assert said["SSIM-VAE"] == "64 px, batch 16"


def test_the_command_writes_every_row(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    kinds = ["step", "graphs", "fit / bare", "authors", "parity"]
    gpu.main(["--tiny", "--only", "ResNet-18", "--rows", *kinds, "--output", str(output)])
    rows = json.loads(output.read_text())["rows"]
    steps, (recorded, *overheads, authors, parity) = rows[:5], rows[5:]
    assert [row["kind"] for row in rows] == ["step"] * 5 + [kinds[1]] + [kinds[2]] * 2 + kinds[3:]
    assert not [row["error"] for row in rows if "error" in row]
    for row in (*steps[:2], overheads[0]):
        assert row["step_ms"] > 0
    assert steps[0]["share_of_peak"] > 0
    assert math.isfinite(overheads[0]["ratio"])
    for row in (*steps[2:], recorded, overheads[1]):
        assert "needs a CUDA device" in row["skipped"]
    assert "--against" in authors["skipped"]
    assert parity["largest_deviation"] == 0


def test_the_authors_code_stands_beside_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(folder: Path, **chosen: object) -> Iterator[tuple[str, Result]]:
        assert folder == tmp_path
        assert chosen == {"quick": True, "device": torch.device("cpu")}
        yield "pcnn_train", {"what": "a step", "ratio": 0.25, "bound": "none", "details": {}}

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(gpu._AUTHORS, "PCNN", measure)
    arguments = ["--tiny", "--rows", "authors", "--against", str(tmp_path)]
    output = tmp_path / "gpu.json"
    gpu.main([*arguments, "--only", "PCNN", "DCGAN", "--output", str(output)])
    rows = json.loads(output.read_text())["rows"]
    assert rows[0]["authors"]["pcnn_train"]["ratio"] == 0.25
    assert "no code of the authors" in rows[1]["skipped"]


def test_a_row_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> gpu.Row:
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    def succeed(*_: object) -> gpu.Row:
        return {"wait_share": 0.5, "bound": "below 0.05"}

    monkeypatch.setitem(gpu.KINDS, "step", (fail, succeed))
    output = tmp_path / "gpu.json"
    gpu.main(["--tiny", "--only", "PCNN", "--rows", "step", "--output", str(output)])
    failed, other = json.loads(output.read_text())["rows"]
    assert failed["error"] == "RuntimeError: CUDA out of memory."
    assert "fail" in failed["traceback"]
    assert other["wait_share"] == 0.5
    assert "RuntimeError: CUDA out of memory." in capsys.readouterr().out


def test_no_row_begins_when_time_is_over(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    gpu.main(["--tiny", "--minutes=0", "--only=PCNN", "--rows=step", f"--output={output}"])
    assert all("skipped" in row for row in json.loads(output.read_text())["rows"])


@pytest.mark.parametrize("method", METHODS)
def test_the_bare_loop_does_the_work_of_fit(method: str) -> None:
    """Otherwise fit would be measured against other work: both count the same operations."""
    setting = tiny_setting(method)
    module, data = setting.build(), GeneratedData(setting, CPU, count=1)
    trainer = _trainer(CPU, [Losses(1)], logger=False)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        trainer.fit(module, data)
    assert counter.get_total_flops() == count_flops(setting, CPU) > 0


@pytest.mark.parametrize("method", ["SSIM-VAE", "ResNet-18", "Flow-CNN"])
def test_the_bare_loop_moves_as_fit_does(method: str) -> None:
    setting = tiny_setting(method)
    module, data = setting.build(), GeneratedData(setting, CPU, count=1)
    loop = bare_loop(module)
    loop.read(data)
    torch.manual_seed(1)
    loop.run(1)
    torch.manual_seed(1)
    _trainer(CPU, [Losses(1)], logger=False).fit(module, data)
    moved = loop._module.state_dict()  # type: ignore[attr-defined]
    for name, value in module.state_dict().items():
        torch.testing.assert_close(moved[name], value, msg=name)


def test_losses_of_other_weights_deviate(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = tiny_setting("ResNet-18")
    ones = losses_of_steps(setting, CPU, 3)
    build = type(setting).build
    monkeypatch.setattr(type(setting), "build", lambda self: build(self, seed=1))
    deviations = largest_deviation(ones, losses_of_steps(setting, CPU, 3))
    assert len(deviations) == 3
    assert deviations[0] > 1e-3


def test_deviation_is_relative_and_forgives_what_fell_to_zero() -> None:
    ones = [{"a": 2.0}, {"a": 1e-6}]
    others = [{"a": 2.2}, {"a": 3e-6}]
    assert largest_deviation(ones, others) == pytest.approx([0.1, 1e-4])


def test_noise_is_that_of_the_cpu() -> None:
    like = torch.zeros(3, device="meta")
    torch.manual_seed(0)
    expected = torch.randn(3)
    with DrawnOnCPU():
        torch.manual_seed(0)
        assert torch.equal(torch.randn(3, device=CPU), expected)
        assert torch.randn(3, device="meta").device.type == "meta"
    assert like.device.type == "meta"


@pytest.mark.parametrize(
    ("count", "interval"), [(3, (0, 2)), (9, (1, 7)), (15, (3, 11)), (1, (0, 0))]
)
def test_interval_of_a_median(count: int, interval: tuple[int, int]) -> None:
    """The ranks are those of a table of the sign test."""
    assert median_interval(list(range(count))) == interval


def test_losses_are_kept_step_by_step() -> None:
    setting = tiny_setting("Flow-CNN")
    record = Losses(2)
    trainer = _trainer(CPU, [record], logger=False)
    trainer.fit(setting.build(), GeneratedData(setting, CPU))
    assert [set(step) for step in record.steps] == [{"cross_entropy"}] * 2
