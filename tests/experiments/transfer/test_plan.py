from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from experiments.command.errors import CommandError
from experiments.command.resolve import ResolvedExperiment
from experiments.jobs.step import PROGRAM, Step
from experiments.transfer.plan import Plan

Make = Callable[..., Plan]


def arguments(step: Step) -> Sequence[str]:
    """What it gives to its command of `lightning`."""
    command = step.command()
    assert command[: len(PROGRAM) + 1] == [*PROGRAM, step.verb]
    return command[len(PROGRAM) + 1 :]


def test_the_matrix_and_its_steps(plan: Make) -> None:
    made = plan("rafd", "other", "faces")
    assert [step.name for step in made.steps()] == [
        *("pretrain rafd", "pretrain other", "pretrain faces"),
        # The classifier of the pretrained data themselves is there already.
        *("train rafd > other", "train other > rafd", "train faces > rafd", "train faces > other"),
        *(
            f"test {pretrained} > {trained} > {tested}"
            for pretrained in ("rafd", "other", "faces")
            for trained in ("rafd", "other")
            for tested in ("rafd", "other")
        ),
    ]
    assert len(list(made.cells())) == 12


def test_classes_that_differ_have_no_step_unless_units_are_looked_for(plan: Make) -> None:
    made = plan("rafd", "eight", more=("--pretrain", "rafd"))
    reasons = dict(made.cells())
    assert reasons["rafd", "rafd", "eight"] == "classes differ: basic7 and all8"
    assert reasons["rafd", "eight", "eight"] is None
    assert "test rafd > rafd > eight" not in [step.name for step in made.steps()]
    units = plan("rafd", "eight", more=("--pretrain", "rafd", "--model.task=action_units"))
    assert set(dict(units.cells()).values()) == {None}
    steps = {step.name: step for step in units.steps()}
    assert "--model.num_classes=4" in arguments(steps["test rafd > rafd > eight"])


def test_what_a_step_runs(plan: Make) -> None:
    made = plan("faces", "rafd=/data")
    steps = {step.name: step for step in made.steps()}
    begin = ["--config", "tiny.yaml"]
    assert arguments(steps["pretrain faces"]) == [*begin, "--config=faces.yaml"]
    features = made.run_folder(("faces",)).last
    assert arguments(steps["train faces > rafd"]) == [
        *(*begin, "--config=rafd.yaml", "--data.root=/data"),
        f"--model.pretrained={features}",
    ]
    # By this a process sees that nobody changed a file since.
    train = steps["train faces > rafd"]
    told = json.loads(train.environment()["FER_LIGHTNING_STEP"])
    assert told["digest"] == ResolvedExperiment(arguments(train)).digest
    test = arguments(steps["test faces > rafd > rafd"])
    assert test[-1] == f"--ckpt_path={made.run_folder(('faces', 'rafd')).last}"
    own = steps["test rafd > rafd > rafd"]
    assert arguments(own)[-1] == f"--ckpt_path={made.run_folder(('rafd',)).last}"


def test_folders_are_kept_where_data_are_added_and_not_where_they_change(plan: Make) -> None:
    few, more = plan("rafd"), plan("other", "rafd")
    assert few.folder == more.folder
    assert few.folder.name.startswith("transfer-")
    assert few.sets["rafd"].key == more.sets["rafd"].key
    assert plan("rafd=/data").sets["rafd"].key != few.sets["rafd"].key
    assert plan("rafd", more=("--trainer.max_epochs=2",)).folder != few.folder


def test_a_wrong_config_is_said_before_anything_runs(plan: Make) -> None:
    with pytest.raises(CommandError, match=r"nothing\.yaml does not exist"):
        plan("rafd", "nothing")
