"""That each benchmark measures something finite; how fast, a test cannot say."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import cache, latency, training
from benchmarks.measuring import Clock, Result, Watch, median_ratio, take_turns
from datamodules.motion.pairs import make_pairs
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from lightning_modules.ssim_vae import SSIMVAE
from tests.datamodules.trees import snap_tree


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """The experiment, on a few pictures and with a few weights."""
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(0, 1, 3), frames=3)
    return [
        "--config=experiments/emotion_gan.yaml",
        "--config=experiments/presets/laptop.yaml",
        f"--data.root={root}",
        "--data.crop=none",
        "--data.batch_size=2",
        "--model.size=32",
        "--model.width=2",
        "--model.e_fer_epochs=1",
        "--wandb=disabled",
    ]


def holds(result: Result) -> bool:
    """Whether a result is one that can be written as JSON and says what it is."""
    json.dumps(result, allow_nan=False)
    return math.isfinite(result["ratio"]) and result["ratio"] > 0 and bool(result["what"])


def test_step_time_takes_turns(tiny: list[str]) -> None:
    result = training.measure_step(quick=True, experiment=tiny)
    assert holds(result)
    details = result["details"]
    assert len(details["fit_ms"]) == len(details["bare_ms"]) == 2
    assert all(ms > 0 for ms in [*details["fit_ms"], *details["bare_ms"]])


def test_data_wait_is_a_share(tiny: list[str]) -> None:
    result = training.measure_waiting(quick=True, experiment=tiny)
    assert holds(result)
    assert result["ratio"] < 1
    details = result["details"]
    assert details["steps"] == 3
    assert 0 < details["next_batch_ms"] < details["step_ms"]


def test_cache_building_compares_the_same_flows(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(1, 3), frames=4)
    assert holds(cache.measure_building(quick=True, root=root, crop="none"))
    index = SNaP2DFeDataModule().read_index(root)
    flows = sum(
        cache.count_flows(recording, length, "none", colour=False)
        for recordings, length in zip(index.recordings, index.lengths, strict=True)
        for recording in recordings
    )
    pairs = make_pairs(index.lengths, steps=(1,))
    assert flows == 2 * len(pairs.sequence)


def test_memory_is_that_of_a_process_that_reads() -> None:
    result = cache.measure_memory(quick=True)
    assert holds(result)
    small, large = result["details"].values()
    assert large["cache_mb"] == pytest.approx(10 * small["cache_mb"], rel=0.05)
    assert small["peak_mb"] > 10


def test_watch_sees_memory_that_was_given_back() -> None:
    watch = Watch()
    before = watch.peak
    with watch:
        held = bytearray(b"x") * 200_000_000
        # On a busy machine the watching thread waits for its turn.
        late = time.monotonic() + 10
        while watch.peak <= before + 150 and time.monotonic() < late:
            time.sleep(0.01)
        del held
    assert watch.peak > before + 150


def test_clock_counts_waiting_on_the_wall_only() -> None:
    clock = Clock()
    while clock.read().processor < 0.01:
        pass
    worked = clock.read()
    time.sleep(0.05)
    assert clock.read().wall >= worked.wall + 0.05
    assert worked.processor >= 0.01


def test_things_are_timed_in_turns() -> None:
    done: list[str] = []
    one, other = take_turns([lambda: done.append("one"), lambda: done.append("other")], turns=2)
    assert done == ["one", "other"] * 2
    assert len(one) == len(other) == 2
    assert median_ratio([1.0, 2.0, 9.0], [2.0, 2.0, 3.0]) == 1.0


def test_report_is_written_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def measure(*, quick: bool) -> Result:
        asked.append(quick)
        return {"what": "one / other", "ratio": 0.5, "bound": "below 1", "details": {"n": 3}}

    monkeypatch.setattr(command, "BENCHMARKS", {"first": measure, "second": measure})
    command.main(["--quick", "--only", "second"])
    report = json.loads((tmp_path / "runs" / "bench.json").read_text())
    assert asked == [True]
    assert report["results"] == {"second": measure(quick=True)}
    assert report["quick"] is True
    assert report["cores"] >= 1
    assert {"python", "torch", "lightning"} <= set(report["versions"])
    out = capsys.readouterr().out
    assert "one / other" in out
    assert "0.500" in out


def test_latency_takes_frames_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = latency.measure(quick=True, model=SSIMVAE(size=24, latent=4, width=2))
    assert holds(result)
    details = result["details"]
    assert details["frame"] == [640, 490]
    assert details["farneback_ms"] > 0 < details["dis_ms"]
    assert result["ratio"] == pytest.approx(
        max(details["farneback_ms"] / 45, details["dis_ms"] / 25), rel=0.01
    )


def test_the_same_faces_are_read_and_decoded() -> None:
    result = cache.measure_reading(quick=True)
    assert holds(result)
    details = result["details"]
    assert details["images"] > 30
    assert details["cache_images_per_s"] > 0 < details["png_images_per_s"]
