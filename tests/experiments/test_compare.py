from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy import stats

import experiments
import lightning_modules
from callbacks.records.fold_record import seal
from experiments import published
from experiments.command.errors import CommandError
from experiments.command.signatures import find_class
from experiments.compare import compare
from tests.experiments.crossval import made

# Wrong answers among six, in each of three folds.
FIRST, SECOND = [2, 3, 3], [0, 1, 0]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    first = made.write_crossval(tmp_path / "bce" / "crossval-aaaaaa", FIRST, experiment="bce")
    second = made.write_crossval(tmp_path / "ssim" / "crossval-bbbbbb", SECOND, experiment="ssim")
    return [first, second]


def change(run: Path, **values: Any) -> None:
    for path in run.glob("fold_*/fold.json"):
        path.write_text(json.dumps(seal({**json.loads(path.read_text()), **values})))


def row(output: str, measure: str, method: str) -> list[str]:
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:2] == [measure, method]:
            return cells
    raise AssertionError(f"no row {measure}, {method} in\n{output}")


def test_two_methods_in_one_table(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    compare(list(map(str, runs)))
    output = capsys.readouterr().out
    assert "Data synthetic, 3 folds (stratified), 18 test samples of 6 subjects." in output
    assert row(output, "accuracy", "bce")[2:4] == ["55.6 ± 9.6 %", "55.6 %"]
    found = row(output, "accuracy", "ssim")
    assert found[2:4] == ["94.4 ± 9.6 %", "94.4 %"]
    # Each method is right or wrong on the first samples of a fold: 7 of 8 wrong ones are mended.
    assert found[6] == f"{stats.binomtest(0, 7).pvalue:.3f}"
    differences = [(a - b) / 6 for a, b in zip(FIRST, SECOND, strict=True)]
    mean, variance = sum(differences) / 3, stats.tvar(differences)
    # Of three folds one tests, one validates and one trains.
    error = ((1 / 3 + 1 / 1) * variance) ** 0.5
    half = stats.t.ppf(0.975, 2) * error
    low, high = 100 * (mean - half), 100 * (mean + half)
    assert found[4] == f"{100 * mean:+.1f} [{low:+.1f}, {high:+.1f}]"
    assert found[5] == f"{2 * stats.t.sf(mean / error, 2):.3f}"
    assert "No published figures" in output


def test_an_experiments_folder_stands_for_its_only_run(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    compare([str(run.parent) for run in runs])
    assert row(capsys.readouterr().out, "accuracy", "ssim")
    made.write_crossval(runs[0].parent / "crossval-cccccc", FIRST)
    with pytest.raises(CommandError, match=r"holds several .*crossval-aaaaaa, .*crossval-cccccc"):
        compare([str(runs[0].parent), str(runs[1])])


def test_any_measure_by_name(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    compare([*map(str, runs), "--measures", "loss"])
    assert row(capsys.readouterr().out, "loss", "ssim")[2:] == [
        "0.5 ± 0",
        "-",
        "+0 [+0, +0]",
        "1.000",
        "-",
    ]
    with pytest.raises(CommandError, match="Not every run measured lost; did you mean loss"):
        compare([*map(str, runs), "--measures", "lost"])


def test_a_method_names_what_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made.write_crossval(tmp_path / "crossval-aaaaaa", FIRST, model="EMotionGAN")
    names = ("emotion_gan_epe_px", "fit_judge_accuracy", "posed_accuracy")
    change(run, metrics={f"test/{name}": 0.5 for name in (*names, "judge_accuracy_over_fit")})

    def measures(*options: str) -> list[str]:
        compare([str(run), *options])
        table = capsys.readouterr().out.splitlines()[4:]
        return [line.split("|")[1].strip() for line in table if line.startswith("| ")]

    assert measures() == ["accuracy", "posed_accuracy", "emotion_gan_epe_px"]
    everything = measures("--measures", "all")
    assert set(everything) == {"accuracy", *names, "judge_accuracy_over_fit"}


def test_every_method_names_measures_by_a_literal() -> None:
    files = Path(lightning_modules.__file__).parent.glob("*.py")
    nodes = [node for file in files for node in ast.parse(file.read_text("utf-8")).body]
    for node in nodes:
        source = find_class(f"lightning_modules.{getattr(node, 'name', '')}")
        if isinstance(node, ast.ClassDef) and source is not None:
            assert isinstance(source.constant("headline_measures"), tuple), node.name


def test_runs_of_one_experiment_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [
        made.write_crossval(
            tmp_path / f"crossval-{cost}", FIRST, model_arguments={"cost": cost, "size": 64}
        )
        for cost in ("bce", "ssim")
    ]
    change(paths[1], departures=["labels by a list of the user's"])
    compare(list(map(str, paths)))
    output = capsys.readouterr().out
    assert row(output, "accuracy", "tiny cost=bce")
    # What departs from the protocol is marked.
    assert row(output, "accuracy", "tiny cost=ssim*")
    assert "* tiny cost=ssim* departs from the protocol: labels by a list" in output


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"manifest_hash": "ff"}, "differing data"),
        ({"folds_hash": "ff"}, "differing folds"),
        ({"class_names": [*made.CLASSES, "fear"]}, "differing classes"),
    ],
)
def test_other_folds_are_refused(runs: list[Path], values: dict[str, Any], said: str) -> None:
    change(runs[1], **values)
    with pytest.raises(CommandError, match=said):
        compare(list(map(str, runs)))


def test_missing_folds_are_refused(runs: list[Path]) -> None:
    (runs[1] / "fold_01" / "fold.json").unlink()
    with pytest.raises(CommandError, match=r"lacks folds 1: finish it with lightning crossval"):
        compare(list(map(str, runs)))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no cross-validation"):
        compare([str(tmp_path)])
    with pytest.raises(CommandError, match="compare: the following arguments are required: runs"):
        compare([])


@pytest.fixture
def papers_run(tmp_path: Path) -> Path:
    """A cross-validation in the paper's setting, on data with the paper's name."""
    config = yaml.safe_load((Path(experiments.__file__).parent / "ssim_vae.yaml").read_text())
    arguments = {**config["model"]["init_args"], "num_classes": 6, "variational": True}
    run = made.write_crossval(
        tmp_path / "crossval-aaaaaa", FIRST, model="SSIMVAE", model_arguments=arguments
    )
    metrics = {"test/accuracy_eyes": 0.7, "test/accuracy_eyes_reconstructed": 0.9}
    change(run, data="OccludedCKPlusDataModule", source="ckplus", metrics=metrics)
    training = dict.fromkeys(published.TRAINER_ARGUMENTS)
    training |= {"max_epochs": 100, "max_steps": -1, "overfit_batches": 0.0}
    training |= {"accumulate_grad_batches": 1, "callbacks": []}
    about(run, data="OccludedCKPlusDataModule", trainer_arguments=training)
    return run


def about(run: Path, **values: Any) -> None:
    path = run / "crossval.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_published_figures_stand_beside_the_papers_setting_and_data_only(
    papers_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compare([str(papers_run)])
    output = capsys.readouterr().out
    assert row(output, "accuracy_eyes", "tiny")[-1] == "- [1]"
    assert row(output, "accuracy_eyes_reconstructed", "tiny")[-1] == "- [2]"
    (why,) = [line for line in output.splitlines() if line.startswith("[2]")]
    # Three classes and eighteen samples of six people are not CK+.
    assert why == (
        "[2] No published figure beside tiny (vae_ssim, Table 2: classes basic6 there, neutral "
        "happiness surprise here; 374 samples there, 18 here; 99 people there, 6 here)."
    )

    of, same = published.setting_of, {"samples": 18, "people": 6}
    monkeypatch.setattr(published, "class_names", lambda name: made.CLASSES)
    monkeypatch.setattr(published, "setting_of", lambda name: {**of(name), **same})
    compare([str(papers_run)])
    output = capsys.readouterr().out
    assert "published (CK+)" in output
    assert "No published figure" not in output
    eyes = row(output, "accuracy_eyes", "tiny")
    assert eyes[-1] == "73.8 % (vae_ssim, Table 1, Flow-CNN (no reconstruction))"
    assert eyes[3] == "22.2 %"  # two more of six are wrong under this condition
    back = row(output, "accuracy_eyes_reconstructed", "tiny")
    assert back[-1] == "91.2 % (vae_ssim, Table 2, VAE-SSIM)"
