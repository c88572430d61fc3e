"""Every command against every nasty file: one sentence, no stack trace, nothing run or lost.

A new command is met by the tests once it stands in `COMMANDS`, a new kind of file once it stands in
one of the tables here.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.cli import main
from experiments.command.usage import COMMANDS
from experiments.run.folder import runs
from tests.experiments.command.test_config_file import REFUSED as CONFIGS
from tests.experiments.crossval import made
from tests.experiments.tiny import TinyGAN

NO_CONFIG = {"compare", "export", "report", "study", "sweep", "sync", "workspace"}
WITH_CONFIG = sorted(set(COMMANDS) - NO_CONFIG)
OWN = {
    "transfer": ("--data_configs", "a.yaml"),
    "generate": ("--class=fear", "--faces=.", "--out=made"),
}
"""What a command needs beside a config."""

JSON = {
    "empty": b"",
    "cut": b'{"experiment": "ti',
    "no text": b"\xff\xfe\x00\x00",
    "list": b"[]",
    "number": b"3",
    "nothing": b"null",
    "no values": b"{}",
    "nan": b'{"a": NaN}',
    "deep": b"[" * 100_000,
    "nul": b'{"a": "\0"}',
}


def run(capfd: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    code = 0
    try:
        main(args)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "please report" not in said
    assert len(said.encode()) < 2000
    assert all(char.isprintable() or char == "\n" for char in said)
    return code, said


@pytest.mark.parametrize("command", WITH_CONFIG)
def test_no_command_takes_a_nasty_config(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    start = time.process_time()
    for content, sentence in CONFIGS.values():
        Path("a.yaml").write_bytes(content)
        own = OWN.get(command, ())
        code, said = run(capfd, command, "--config", "a.yaml", *own)
        assert code == 2
        assert sentence in said
    assert time.process_time() - start < 20
    assert sorted(path.name for path in Path().iterdir()) == ["a.yaml"]


@pytest.mark.parametrize("command", ["study", "sweep"])
def test_no_command_takes_a_nasty_file_of_its_own(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for content, sentence in CONFIGS.values():
        Path("a.yaml").write_bytes(content)
        code, said = run(capfd, command, "a.yaml")
        assert code == 2
        assert sentence in said


@pytest.fixture(params=["crossval.json", "fold_00/fold.json", "fold_00/split.json", "values"])
def files(request: pytest.FixtureRequest) -> Iterator[tuple[Path, bytes]]:
    """Each file of a cross-validation under each nasty content, one value of the wrong kind too."""
    folder = Path("runs/tiny/crossval-abcdef")

    def changed() -> Iterator[tuple[Path, bytes]]:
        contents = list(JSON.values())
        file = folder / "crossval.json"
        if request.param != "values":
            file = folder / request.param
        else:
            made.write_description(folder)
            whole = json.loads(file.read_text())
            contents = [
                json.dumps({**whole, key: other}).encode()
                for key in whole
                for other in (None, 1, [1], {"a": 1})
            ]
        for content in contents:
            made.write_crossval(folder, [1, 2, 1])
            yield file, content

    return changed()


def test_a_damaged_record_of_a_cross_validation(
    files: Iterator[tuple[Path, bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    for file, content in files:
        file.write_bytes(content)
        code, said = run(capfd, "crossval", "--summarize")
        assert code in (0, 1)
        assert (code == 0) == (said == "")
        code, said = run(capfd, "compare", "runs/tiny/crossval-abcdef", "runs/tiny/crossval-abcdef")
        assert (code == 0) == (said == "")
        assert file.read_bytes() == content


class Touch:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path("ran"),)


def write_checkpoint(path: Path, **changes: Any) -> None:
    """Write what `lightning fit` writes, as far as it is read."""
    config: dict[str, Any] = {
        "seed_everything": 0,
        "model": {"class_path": "tests.experiments.tiny.TinyGAN", "init_args": {}},
        "data": {"class_path": "tests.experiments.tiny.TinyData", "init_args": {}},
    }
    whole = {
        "state_dict": TinyGAN(width=500).state_dict(),
        "config": config,
        "pytorch-lightning_version": "2.6.0",
        "epoch": 1,
        "global_step": 5,
        **changes,
    }
    torch.save({key: value for key, value in whole.items() if value is not None}, path)


def nasty_checkpoints() -> dict[str, str]:
    """Write a checkpoint of each kind; return a part of what is said of each, by its file."""
    write_checkpoint(Path("whole.ckpt"))
    whole = Path("whole.ckpt").read_bytes()
    expected = {}

    def add(name: str, said: str, content: bytes | None = None) -> None:
        if content is not None:
            Path(f"{name}.ckpt").write_bytes(content)
        expected[f"{name}.ckpt"] = said

    for size in (0, 1, 100, 8192, 16384, len(whole) - 1):
        add(f"cut{size}", "is damaged", whole[:size])
    middle = len(whole) // 2
    flipped = bytes(byte ^ 255 for byte in whole[middle : middle + 64])
    add("flipped", "checksum", whole[:middle] + flipped + whole[middle + 64 :])
    add("text", "is damaged, or no file", b"not a checkpoint\n" * 1000)
    with zipfile.ZipFile("packed.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("packed/data.pkl", b"\0" * 100_000)
    add("packed", "is packed")
    torch.save({1: torch.ones(1)}, "numbers.ckpt")
    add("numbers", "under 1, and weights have names")
    torch.save([1], "list.ckpt")
    add("list", "holds a list")
    torch.save({"state_dict": {}, "a": Touch()}, "code.ckpt")
    add("code", "only tensors and plain values are loaded")
    for key in ("state_dict", "config", "epoch", "pytorch-lightning_version"):
        write_checkpoint(Path(f"{key}.ckpt"), **{key: [3]})
        add(key, "no checkpoint of this project")
    for part in ("model", "data"):
        write_checkpoint(Path(f"{part}.ckpt"), config={part: 3})
        add(part, "its config names no class")
    return expected


def test_no_command_takes_a_nasty_checkpoint(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = nasty_checkpoints()
    for file, said in expected.items():
        code, sentence = run(capfd, "export", "--ckpt_path", file)
        assert code == 1
        assert said in sentence
    # The other commands parse a whole command line before; they read by the same function.
    for command in ("fit", "test", "validate", "predict"):
        for file in ("cut8192.ckpt", "code.ckpt", "config.ckpt"):
            code, sentence = run(capfd, command, "--config", "tiny.yaml", "--ckpt_path", file)
            assert code == 1
            assert expected[file] in sentence
    assert not Path("ran").exists()
    assert not list(runs(folder / "runs" / "tiny"))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--model.width=-1", "TinyGAN refuses its arguments"),
        ("--model.width=0", "has no weights in generator.0.weight"),
        ("--model.optimizer.lr=-1", "Adam refuses its arguments: Invalid learning rate"),
        ("--data.num_workers=-1", "num_workers option should be non-negative"),
        ("--seed_everything=-1", "-1 is not in bounds"),
        ("--trainer.accumulate_grad_batches=0", "must be at least 1, but is 0"),
        ("--trainer.check_val_every_n_epoch=0", "must be at least 1, but is 0"),
        ("--trainer.max_epochs=0", "Nothing was trained"),
        ("--trainer.limit_train_batches=0", "Nothing was trained"),
        ("--trainer.devices=2", "--config experiments/presets/slurm.yaml"),
        ("--trainer.strategy=none", "Lightning refuses what was given"),
        ("--trainer.logger=lightning.pytorch.loggers.CometLogger", "pip install -U 'comet-ml"),
        (
            "--trainer.callbacks+={class_path: EarlyStopping, init_args: {monitor: val/y}}",
            "`val/x`",
        ),
        ("--runs_dir=tiny.yaml", "tiny.yaml/tiny needs a folder where a file is"),
        ("--experiment=../x", "is no name of a folder below --runs_dir"),
        ("--experiment=..", "is no name of a folder below --runs_dir"),
        ("--config=trainer.yaml", "trainer is a section of keys with values, but 3 was given"),
    ],
)
def test_a_value_that_nobody_can_use(
    folder: Path, capfd: pytest.CaptureFixture[str], option: str, said: str
) -> None:
    (folder / "trainer.yaml").write_text("trainer: 3\n")
    code, sentence = run(capfd, "fit", "--config", "tiny.yaml", option)
    assert code in (1, 2)
    assert said in sentence
    assert all(run.status["state"] != "finished" for run in runs(folder / "runs" / "tiny"))


def test_damaged_records_of_old_runs_stop_no_new_one(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, content in enumerate(JSON.values()):
        old = folder / "runs" / "tiny" / f"20990101-00000{number}-abcdef"
        old.mkdir(parents=True)
        (old / "status.json").write_bytes(content)
    assert run(capfd, "fit", "--config", "tiny.yaml", "--trainer.max_epochs=1")[0] == 0
    assert len(list(folder.rglob("best.ckpt"))) == 1


def test_what_max_time_ended_goes_on(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = ("--trainer.max_epochs=100000", "--trainer.max_time=00:00:00:01")
    reached = []
    for _ in range(2):
        code, said = run(capfd, "fit", "--config", "tiny.yaml", *slow)
        assert code == 0
        assert "trainer.max_time ended the training in epoch" in said
        (trained,) = runs(folder / "runs" / "tiny")
        assert trained.status["state"] == "stopped"
        reached.append(torch.load(trained.last, weights_only=True)["epoch"])
    assert reached[1] > reached[0]
