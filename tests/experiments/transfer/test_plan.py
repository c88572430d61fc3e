from __future__ import annotations

from collections.abc import Callable

import pytest

from experiments.command.errors import CommandError
from experiments.command.resolve import ResolvedExperiment
from experiments.transfer.plan import Plan

Make = Callable[..., Plan]


def test_the_matrix_and_its_steps(plan: Make) -> None:
    made = plan("rafd", "other", "faces")
    assert [str(step) for step in made.steps()] == [
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
    assert "test rafd > rafd > eight" not in map(str, made.steps())
    units = plan("rafd", "eight", more=("--pretrain", "rafd", "--model.task=action_units"))
    assert set(dict(units.cells()).values()) == {None}
    test = units.test_of(("rafd", "rafd", "eight"))
    assert "--model.num_classes=4" in units.command(test)


def test_what_a_step_runs(plan: Make) -> None:
    made = plan("faces", "rafd=/data")
    steps = {str(step): step for step in made.steps()}
    begin = ["--config", "tiny.yaml"]
    assert made.command(steps["pretrain faces"]) == [*begin, "--config=faces.yaml"]
    features = steps["pretrain faces"].run.last
    assert made.command(steps["train faces > rafd"]) == [
        *(*begin, "--config=rafd.yaml", "--data.root=/data"),
        f"--model.pretrained={features}",
    ]
    # By this a process sees that nobody changed a file since.
    train = steps["train faces > rafd"]
    assert made.digest(train) == ResolvedExperiment(made.command(train)).digest
    test = made.command(steps["test faces > rafd > rafd"])
    assert test[-1] == f"--ckpt_path={steps['train faces > rafd'].run.last}"
    own = steps["test rafd > rafd > rafd"]
    assert made.command(own)[-1] == f"--ckpt_path={steps['pretrain rafd'].run.last}"


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
