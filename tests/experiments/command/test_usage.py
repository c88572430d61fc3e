from __future__ import annotations

from pathlib import Path

import pytest

from experiments.command.parsing import class_parameters
from experiments.command.usage import PACKAGE, given_by_hand, translate


def test_none_is_null_and_nothing_else_changes() -> None:
    args = ["fit", "--a=None", "--b", "None", "--name=NoneSuch", "--c=[1, 2]", "None"]
    assert translate(args) == ["fit", "--a=null", "--b", "null", *args[4:]]


def test_packaged_configs_are_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").touch()
    name = "experiments/emotion_gan.yaml"
    packaged = str(PACKAGE / "emotion_gan.yaml")
    assert translate(["--config", name, f"--config={name}"]) == [
        "--config",
        packaged,
        f"--config={packaged}",
    ]
    # What is below the working directory comes first, and what is nowhere stays to be named.
    kept = ["--config", "experiments/mine.yaml", "-c", "experiments/none.yaml", "--name", name]
    assert translate(kept) == kept
    (tmp_path / name).touch()
    assert translate(["--config", name]) == ["--config", name]


def test_what_is_given_by_hand() -> None:
    args = [
        *("fit", "--model.width=4", "--model.init_args.lr", "0.1", "--model.opt.init_args.lr=1"),
        *("--model=X", "--data.fold=1", "--model.names+=a", "--models.x=1"),
    ]
    assert given_by_hand(args, "model") == {"width", "lr", "opt", "names"}
    assert given_by_hand(args, "data") == {"fold"}


def test_parameters_of_a_class_are_those_of_its_bases_too() -> None:
    assert {"lists", "root", "seed"} <= class_parameters("datamodules.RAFDBDataModule")
    assert (
        class_parameters("datamodules.NoSuch") == class_parameters("datamodules.synthetic") == set()
    )


@pytest.mark.parametrize(
    "given",
    [
        ["--data.frontalized", "glunet=/data/glunet"],
        ["--data.frontalized=glunet=/data/glunet"],
        ["--data.frontalized.glunet=/data/glunet"],
    ],
)
def test_a_path_of_a_name_may_be_given_as_the_name_and_the_path(given: list[str]) -> None:
    assert translate(["fit", *given, "--data.size=8"]) == [
        "fit",
        "--data.frontalized.glunet=/data/glunet",
        "--data.size=8",
    ]
    mapping = ["--model.judges", "{DAN: dan.onnx}"]
    assert translate(mapping) == mapping
