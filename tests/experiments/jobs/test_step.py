from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.jobs.context import StepContext
from experiments.jobs.step import PROGRAM, Step, lightning_step, trained_weights
from experiments.run.folder import RunFolder
from tests.experiments.crossval import made


def steps(run: RunFolder) -> tuple[Step, Step]:
    def context() -> StepContext:
        return StepContext(str(run.path), "group", "0a", "ff")

    def weights() -> list[str]:
        return [f"--ckpt_path={trained_weights(run)}"]

    fit = lightning_step("a fit", "fit", run, lambda: ["--config", "a.yaml"], context)
    return fit, lightning_step("a test", "test", run, weights, context, ("a fit",))


def test_the_command_depends_on_what_the_training_left(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "fold_01")
    fit, test = steps(run)
    assert fit.command() == [*PROGRAM, "fit", "--config", "a.yaml"]
    assert json.loads(fit.environment()["FER_LIGHTNING_STEP"])["folder"] == str(run.path)
    run.checkpoints.mkdir(parents=True)
    for name in ("last", "best"):  # the best where there is one
        (run.checkpoints / f"{name}.ckpt").touch()
        path = run.checkpoints / f"{name}.ckpt"
        assert test.command() == [*PROGRAM, "test", f"--ckpt_path={path}"]


def test_when_a_training_and_a_test_are_done(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "fold_01")
    fit, test = steps(run)

    def done() -> tuple[bool, bool]:
        return fit.is_done(), test.is_done()

    assert done() == (False, False)
    run.checkpoints.mkdir(parents=True)
    run.last.touch()
    for text in ("", '{"state": "running"}'):
        (run.path / "status.json").write_text(text)
        assert done() == (False, False)
    run.update_status(state="finished")
    assert done() == (True, False)
    run.last.unlink()
    assert done() == (False, False)
    made.write_fold(run.path, 1)
    assert done() == (True, True)  # weights that were tested are not needed any more


@pytest.mark.parametrize("content", ["", '{"checksum": 1}'])
def test_a_test_with_a_damaged_record_is_not_done(tmp_path: Path, content: str) -> None:
    run = RunFolder(tmp_path / "fold_01")
    made.write_fold(run.path, 1)
    (run.path / "fold.json").write_text(content)
    assert [step.is_done() for step in steps(run)] == [False, False]
