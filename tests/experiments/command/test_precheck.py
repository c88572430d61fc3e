from __future__ import annotations

import contextlib
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from experiments.cli import main
from experiments.command.errors import CommandError
from experiments.command.execute import execute
from experiments.command.experiment import ExperimentCLI
from experiments.command.precheck import CommandLine, check
from experiments.command.signatures import find_class
from experiments.command.usage import COMMANDS, PACKAGE
from experiments.crossval.folder import CrossvalFolder
from experiments.run.session import Session
from tests.experiments.crossval import made
from tests.experiments.files import EXPERIMENTS, OVERLAYS, belongs

GAN, PCNN = (f"--config={PACKAGE / name}.yaml" for name in ("emotion_gan", "pcnn"))
LIGHTNINGS = ("fit", "validate", "test", "predict")
TREE_AND_ORIGIN = '''
from lightning.pytorch import LightningDataModule

class Faces(LightningDataModule):
    name = "Faces"
    tree = """
faces/1.png ...
"""
    origin = "example.org"

    def __init__(self, root: str | None = None) -> None:
        super().__init__()
'''


def refusal(args: Sequence[str]) -> tuple[str, int] | None:
    """What the check says of a command line, None where it says nothing."""
    try:
        check(args)
    except CommandError as error:
        return str(error), error.exit_code
    return None


Full = Callable[[Sequence[str]], tuple[str, int] | None]


@pytest.fixture
def full(folder: Path, capfd: pytest.CaptureFixture[str]) -> Full:
    """What the full parser says of a command line, None where it accepts it."""

    def parse(args: Sequence[str]) -> tuple[str, int] | None:
        with contextlib.suppress(SystemExit):  # after `--print_config`
            code = execute(args)
            said = capfd.readouterr().err.strip().splitlines()[-1]
            return said.removeprefix("lightning: "), code
        return None

    return parse


def test_files_that_belong_together_are_not_refused_and_others_are() -> None:
    # That those which belong together run, `test_experiments.py` shows.
    for experiment in EXPERIMENTS:
        assert refusal(["fit", f"--config={experiment}"]) is None
        for overlay in OVERLAYS:
            said = refusal(["fit", f"--config={experiment}", f"--config={overlay}"])
            assert said is None or not belongs(overlay, experiment), (experiment, overlay, said)
    laptop = f"--config={PACKAGE / 'presets' / 'laptop.yaml'}"
    said = refusal(["fit", PCNN, laptop])
    assert said is not None
    assert said[0].startswith("PCNN takes no ")


@pytest.mark.parametrize("sweep", sorted(PACKAGE.glob("sweeps/*.yaml")), ids=lambda path: path.stem)
def test_no_trial_of_a_sweep_is_refused(sweep: Path) -> None:
    content = yaml.safe_load(sweep.read_text())
    command = [part for part in content["command"] if not part.startswith("${")]
    keys = [f"--{key}=1" for key in content["parameters"]]
    assert refusal([*command, *keys]) is None
    assert refusal([*command, *keys, "--model.init_args.nothing=1"]) is not None


@pytest.mark.parametrize(
    "args",
    [
        ["fit"],
        ["fit", "--data", "datamodules.FERPlusDataModule"],
        ["validate", GAN, "--wandb=disabled"],
        ["fit", GAN, "--model.sise", "64"],
        ["fit", GAN, "--model.init_args.sise=64"],
        ["fit", GAN, "--trainer.max_epoch=3"],
        ["fit", GAN, "--trainr.max_epochs=3"],
        ["fit", GAN, "--modle.size=3"],
        ["fit", GAN, "--dat.root=x"],
        ["fit", GAN, "--seed_everythin=3"],
        ["fit", GAN, "--checkpoint.monitr=val/x"],
        ["fit", PCNN, "--data.lits=x"],
        ["fit", PCNN, "--data", "datamodules.FER2013DataModule", "--data.lists=x"],
        ["test", GAN, "--verbos=true"],
        ["fit", "--config=wrong.yaml"],
        ["fit", "--config", "tiny.yaml", "-c", "argument.yaml"],
        ["fit", "--config=broken.yaml"],
        ["fit", "--config=tony.yaml"],
        ["fit", "--config=tiny.yaml", "--model.widht=4"],
    ],
    ids=lambda args: " ".join(args[2:]),
)
def test_a_mistake_is_found_before_the_full_parser_and_said_as_there(
    folder: Path, full: Full, args: list[str]
) -> None:
    (folder / "wrong.yaml").write_text("trainer:\n  max_epohs: 3\n")
    (folder / "argument.yaml").write_text("model:\n  init_args: {widht: 3}\n")
    (folder / "broken.yaml").write_text("trainer: {max_epochs: [3\n")
    assert refusal(args) == full(args) != None  # noqa: E711  # both at once


@pytest.mark.parametrize(
    "args",
    [
        [GAN, "--data.root=null", "--model.g_f_optimizer.lr=1"],
        [GAN, "--model.g_f_optimizer=Adam", "--model.g_f_optimizer.init_args.lr", "1e-3"],
        [GAN, "--trainer.callbacks+=LearningRateMonitor", "--trainer.callbacks.log_momentum=true"],
        [GAN, "--trainer.logger=CSVLogger", "--trainer.logger.save_dir=x", "--fresh"],
        [GAN, "--data=datamodules.CKPlusDataModule", "--data.fold_mode", "loso"],
        [GAN, "--data=CKPlusDataModule", "--headline=[a]", "--acceleration.compile=true"],
        [PCNN, "--data.augmentation.init_args.crop_p=0.5", "--data.lists", "None"],
        [PCNN, "--data.augmentation=null", "--model.lr_scheduler", "null"],
        ["-c", "tiny.yaml", "-c", "string.yaml", "--seed_everything", "-1"],
        ["--config=tiny.yaml", "--model=tests.experiments.tiny.OtherGAN", "--model.width=2"],
        ["--config=tiny.yaml", "--config=dotted.yaml", "--config=~/home.yaml"],
        ['--model={"class_path": "PCNN"}', "--data=RAFDBDataModule", "--model.width", "16"],
    ],
    ids=lambda args: " ".join(args[1:]),
)
def test_what_the_full_parser_accepts_is_not_refused(
    folder: Path, full: Full, args: list[str]
) -> None:
    (folder / "string.yaml").write_text("data: tests.experiments.tiny.TinyData\n")
    (Path.home() / "home.yaml").write_text("seed_everything: 3\n")
    (folder / "dotted.yaml").write_text("trainer.max_epochs: 3\nmodel.init_args.width: 3\n")
    assert full(["fit", *args, "--print_config"]) is None
    assert refusal(["fit", *args]) is None


def test_changed_letters_are_judged_as_by_the_full_parser(full: Full) -> None:
    random.seed(1)
    keys = [*CommandLine("fit", []).keys, "model.size", "model.init_args.alpha", "data.fold"]
    plain = sorted(key for key in keys if not key.endswith("help") and "config" not in key)
    refused = 0
    for key in random.sample(plain, 12):
        place = random.randrange(len(key))
        changed = key[:place] + random.choice("aemtx._") + key[place + 1 :]
        args = ["fit", PCNN, f"--{changed}=null", "--print_config"]
        if (said := refusal(args)) is not None:
            refused += 1
            assert full(args) == said, args
    assert refused > 5


@pytest.mark.parametrize("command", LIGHTNINGS)
def test_the_keys_are_those_of_the_full_parser(command: str, folder: Path) -> None:
    class Parser(ExperimentCLI):
        def parse_arguments(self, parser: object, args: object) -> None:
            parsed.extend(action.dest for action in self._subcommand_parsers[command]._actions)
            raise SystemExit

    parsed: list[str] = []
    with pytest.raises(SystemExit):
        Parser([command], Session())
    known = {key for key in parsed if not key.endswith(".help")}
    assert known <= CommandLine(command, []).keys <= {*parsed, "fresh"}


def test_paths_that_are_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "faces.py").write_text(TREE_AND_ORIGIN)
    monkeypatch.syspath_prepend(folder)
    command = ["--config=tiny.yaml", "--data=faces.Faces"]
    said = refusal(["fit", *command, "--data.root=nowhere"])
    assert said is not None
    assert said[0].startswith("Faces was not found: nowhere does not exist. Expected there:\n")
    assert said[0].endswith("faces/1.png ...\nFaces comes from example.org.")
    assert said[1] == 1
    for fine in (
        ["fit", *command],
        ["fit", *command, "--data.root", "."],
        ["fit", *command, "--data.root=nowhere", "--print_config"],
        ["predict", *command, "--data.root=nowhere", "--ckpt_path=last"],
        ["crossval", *command, "--data.root=nowhere", "--summarize"],
    ):
        assert refusal(fine) is None, fine

    for command_ in ("validate", "test", "predict"):
        said = refusal([command_, *command])
        assert said is not None
        assert said[0].startswith(f"{command_} needs trained weights")
    for given in ("fit", "test"):
        said = refusal([given, *command, "--ckpt_path", "no.ckpt"])
        assert said == (
            "The checkpoint no.ckpt does not exist: give best, last or the path of a file.",
            1,
        )
        said = refusal([given, *command, "--ckpt_path", "."])
        assert said == ("The checkpoint . is a folder: give best, last or the path of a file.", 1)
        said = refusal([given, *command, "--data.root", "f\udcfcr"])
        assert said is not None
        assert said[0].startswith(r"f\udcfcr is no UTF-8")
    assert refusal(["test", *command, "--ckpt_path=best"]) is None
    published = ["--model=lightning_modules.PCNN", "--data=faces.Faces", "--model.weights=a.pth"]
    for given in ("validate", "test", "predict"):
        assert refusal([given, *published]) == ("The file of weights a.pth does not exist.", 1)
    assert refusal(["fit", *published]) is None
    assert refusal(["test", *published, "--ckpt_path=best"]) is None
    (folder / "a.pth").touch()
    for given in ("fit", "test", "predict"):
        assert refusal([given, *published]) is None
    said = refusal(["export", "--ckpt_path", "no.ckpt"])
    assert said is not None
    assert said[0].startswith("The checkpoint no.ckpt does not exist: give the path of a file")
    for fine in (["export", "--ckpt_path=tiny.yaml"], ["compare", "a"]):
        assert refusal(fine) is None


def test_a_class_is_found_through_packages_that_import_for_type_checkers_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late").mkdir()
    checking = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from late.faces import Faces"
    )
    (tmp_path / "late" / "__init__.py").write_text(checking)
    (tmp_path / "late" / "faces.py").write_text(TREE_AND_ORIGIN)
    monkeypatch.syspath_prepend(tmp_path)
    found = find_class("late.Faces")
    assert found is not None
    assert found.parameters() == {"root"}


def test_signatures_are_read_from_the_source() -> None:
    def parameters(class_path: str) -> set[str] | None:
        found = find_class(class_path)
        return None if found is None else found.parameters()

    assert {"lists", "root", "seed"} <= (parameters("datamodules.RAFDBDataModule") or set())
    assert {"params", "lr", "betas"} <= (parameters("torch.optim.Adam") or set())
    # What is done with further arguments, a text does not tell.
    assert parameters("lightning.pytorch.loggers.WandbLogger") is None
    for nothing in ("PCNN", "datamodules.NoSuch", "no.such.Module", "__main__.A", ""):
        assert find_class(nothing) is None


def test_help_lists_commands_and_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    for name in (*COMMANDS, *(path.stem for path in EXPERIMENTS)):
        (line,) = (line for line in lines if line.startswith(f"  {name} "))
        assert len(line) < 80
        assert not lines[lines.index(line) + 1].startswith("   ")  # one line each
    with pytest.raises(SystemExit) as exit_:
        main([])
    assert exit_.value.code == 2
    assert said.strip() in capsys.readouterr().err


def test_help_of_a_command_describes_what_its_config_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def help_of(*args: str) -> str:
        with pytest.raises(SystemExit) as exit_:
            main([*args, "--help"])
        assert exit_.value.code == 0
        return capsys.readouterr().out

    plain, given = help_of("fit"), help_of("fit", PCNN)
    order = ("usage: ", "examples:", "what is mostly changed:", "data, FERDataModule:", "trainer (")
    assert [plain.index(part) for part in order] == sorted(plain.index(part) for part in order)
    # All that the class takes, its bases' too, each with a sentence.
    for part, class_path in (("model", "lightning_modules.PCNN"), ("data", "datamodules.RAFDB")):
        found = find_class(class_path + ("DataModule" if part == "data" else ""))
        assert found is not None
        for name in found.parameters() or ():
            assert f"\n  --{part}.{name} " in given, name
    assert "--model.alpha" not in plain
    assert "--fresh" in plain
    assert "--fresh" not in help_of("test")
    assert max(map(len, given.splitlines())) < 80

    table = help_of("predict").split("what is mostly changed:")[1].split("further keys:")[0]
    keys = re.findall(r"^  (--[\w.]+) ", table, re.M)
    assert {"--data.input", "--every", "--smoothing", "--data.neutral"} < {*keys}
    # The full parser takes them too, of a method that sees motion.
    given = [f"{key}=best" for key in keys if key not in ("--config", "--onnx")]
    check(["predict", f"--config={PACKAGE / 'flow_cnn.yaml'}", *given])


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["fit", "--help"],
        ["predict", PCNN, "--help"],
        ["export", "--help"],
        [],
        ["fitt"],
        ["fit", "--config=nowhere.yaml"],
        ["crossval", "--jobs=0"],
        ["transfer", "--help"],
        ["generate", "--help"],
        ["fit", PCNN, "--model.sise=64"],
        ["test", PCNN, "--ckpt_path=no.ckpt"],
        ["export", "--ckpt_path=no.ckpt"],
    ],
    ids=" ".join,
)
def test_an_answer_imports_neither_torch_nor_lightning(args: list[str], repository: Path) -> None:
    program = (
        "import sys\nfrom experiments.cli import main\n"
        f"try:\n    main({args})\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'lightning', 'jsonargparse', 'numpy', 'cv2'} & {*sys.modules}\n"
        "    sys.exit(str(heavy) if heavy else 0)\n"
        "sys.exit('it did not end')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_compare_imports_neither_torch_nor_lightning(tmp_path: Path, repository: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.write_description(tmp_path / name)
        for fold in range(10):
            made.write_fold(CrossvalFolder(tmp_path / name).fold(fold).path, fold, folds=10)
    program = (
        "import sys\nfrom experiments.cli import main\n"
        f"main(['compare', {str(tmp_path / 'a')!r}, {str(tmp_path / 'b')!r}])\n"
        "heavy = {'torch', 'lightning', 'jsonargparse', 'wandb'} & {*sys.modules}\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "mean ± std" in done.stdout
