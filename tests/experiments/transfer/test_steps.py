"""Steps as processes of a stand-in that needs no torch."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.jobs import step
from experiments.jobs.local import LocalLauncher
from experiments.transfer.command import run_steps
from experiments.transfer.paper import counterpart
from experiments.transfer.plan import Plan
from experiments.transfer.report import as_markdown, summarize, write_report

Make = Callable[..., Plan]


@pytest.fixture(autouse=True)
def _fast_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (sys.executable, str(Path(__file__).with_name("fake_step.py")))
    monkeypatch.setattr(step, "PROGRAM", program)


def run(plan: Plan) -> tuple[dict[str, str], list[str], list[str]]:
    """Run a plan; return its failures, what it said, and the steps in the order they began."""
    calls = Path("calls.txt")
    calls.unlink(missing_ok=True)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        failures = run_steps(plan.steps(), LocalLauncher([None, None]))
    begun = calls.read_text().splitlines() if calls.exists() else []
    return failures, said.getvalue().splitlines(), begun


def test_each_step_runs_once_behind_its_need_and_is_skipped_when_done(plan: Make) -> None:
    failures, said, calls = run(plan("faces", "rafd"))
    assert failures == {}
    assert sorted(calls) == [
        *("fit pretrain/faces", "fit pretrain/rafd", "fit train/faces+rafd"),
        *("test test/faces+rafd+rafd", "test test/rafd+rafd+rafd"),
    ]
    assert calls.index("fit pretrain/faces") < calls.index("fit train/faces+rafd")
    assert calls.index("fit train/faces+rafd") < calls.index("test test/faces+rafd+rafd")
    assert said[0] == "5 steps to do, 0 done before"
    assert run(plan("faces", "rafd"))[1:] == (["0 steps to do, 5 done before"], [])
    # A data set that is added costs only its own cells.
    calls = run(plan("faces", "rafd", "other", more=("--pretrain", "faces")))[2]
    assert sorted(calls) == [
        "fit train/faces+other",
        *("test test/faces+other+other", "test test/faces+other+rafd"),
        "test test/faces+rafd+other",
    ]


def test_a_failed_step_costs_what_needs_it_and_runs_again(plan: Make, folder: Path) -> None:
    behaviour = folder / "behaviour.json"
    why = "No face was found. Expected there:\n  AF01.JPG ..."
    behaviour.write_text(json.dumps({"train/faces+rafd": why}))
    made = plan("faces", "rafd", "other", more=("--pretrain", "faces"))
    failures, said, calls = run(made)
    assert failures == {"train faces > rafd": why}
    assert any("train faces > rafd: failed: No face was found." in line for line in said)
    assert "test test/faces+other+rafd" in calls
    assert "test test/faces+rafd+rafd" not in calls
    summary = summarize(made, [], failures)
    missing = [cell["missing"] for cell in summary["cells"]]
    assert missing == ["train faces > rafd failed"] * 2 + [None, None]
    lines = as_markdown(summary).splitlines()
    assert "- train faces > rafd failed: No face was found. Expected there: AF01.JPG ..." in lines
    behaviour.unlink()
    failures, _, calls = run(made)
    assert (failures, calls[0], len(calls)) == ({}, "fit train/faces+rafd", 3)


def test_tables_name_the_experiment_of_the_paper(plan: Make, folder: Path) -> None:
    made = plan("rafd=/data/RaFD", "eight=/data/8", "other", more=("--pretrain", "rafd"))
    failures, _, _ = run(made)
    summary = summarize(made, ["--config", "tiny.yaml"], failures)
    cells = {(c["pretrain"], c["train"], c["test"]): c for c in summary["cells"]}
    own = cells["rafd", "rafd", "rafd"]
    remark = "counterpart of Exp_5 (Table II), which tested other samples"
    assert own["remarks"] == [remark]
    assert own["areas"] == {"happiness": 0.75, "anger": None, "fear": 0.25, "average": 0.5}
    assert (own["accuracy"], own["n_subjects"]) == (0.13, 1)
    assert cells["rafd", "other", "other"]["remarks"] == []
    assert summary["commits"] == ["c0ffee"]
    text = as_markdown(summary)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["1", "rafd", "rafd", "rafd", "6", "1", "13.0 %", "0.500", remark] in rows
    differ = "classes differ: basic7 and all8"
    assert ["2", "rafd", "rafd", "eight", *["-"] * 4, differ] in rows
    table = {row[0]: row for row in rows if row}
    assert table["happiness"][1] == "0.750"
    assert table["anger"][1] == "-"
    assert [row[0] for row in rows if row][-1] == "average"
    write_report(made.folder, summary)
    assert json.loads((made.folder / "transfer.json").read_text()) == summary
    lines = (made.folder / "transfer.csv").read_text().splitlines()
    assert "rafd,rafd,rafd,auc_fear,0.25," in lines


def test_embedded_faces_stand_beside_no_paper(plan: Make) -> None:
    made = plan("rafd")
    summary = summarize(made, [], run(made)[0])
    assert summary["cells"][0]["remarks"] == []
    assert "synthetic faces" in as_markdown(summary)


@pytest.mark.parametrize(
    ("task", "names", "experiment", "enhanced"),
    [
        ("emotions", ("CelebA", "RaFD frontal", "RaFD frontal"), "Exp_2 (Table II)", False),
        ("emotions", ("CK+", "RaFD multi-view", "RaFD multi-view"), "Exp_3 (Table II)", True),
        ("action_units", ("CK+", "CK+", "CK+"), "Exp-1 (Table IV)", True),
        ("action_units", ("CelebA", "RaFD frontal", "CK+"), "Exp-5 (Table IV)", True),
        ("action_units", ("CelebA", "RaFD frontal", "RaFD frontal"), "Exp-6 (Table IV)", False),
        ("action_units", ("KDEF", "KDEF", "KDEF"), None, False),
        ("emotions", ("CelebA", "RaFD frontal", "KDEF"), None, False),
        ("emotions", (None, None, None), None, False),
    ],
)
def test_ck_plus_is_never_the_enhanced_ck(
    task: str, names: tuple[str | None, ...], experiment: str | None, enhanced: bool
) -> None:
    found = counterpart(task, *names)
    assert len(found) == (experiment is not None) + enhanced
    assert experiment is None or experiment in found[0]
    assert not enhanced or "enhanced CK, 8,422 frames, where this has CK+" in found[1]


def test_two_selections_of_one_data_set_are_marked(plan: Make) -> None:
    made = plan("rafd=/d", "views=/d")
    summary = summarize(made, [], run(made)[0])
    marks = {(c["pretrain"], c["test"]): c["remarks"] for c in summary["cells"]}
    seen = "pretraining may have seen tested people, in another selection of the same data"
    # S3 was held out of both, S2 of the second only.
    assert marks["rafd", "views"] == [seen]
    assert marks["views", "rafd"] == marks["rafd", "rafd"] == []


def test_two_embedded_data_sets_are_not_taken_for_one(plan: Make) -> None:
    """Both are called synthetic, but no file is in both."""
    made = plan("rafd", "views")
    summary = summarize(made, [], run(made)[0])
    assert [cell["remarks"] for cell in summary["cells"]] == [[]] * len(summary["cells"])


@pytest.mark.parametrize("damage", ["fold.json", "checkpoint"])
def test_what_is_damaged_is_made_again(plan: Make, damage: str) -> None:
    made = plan("rafd")
    run(made)
    if damage == "fold.json":
        next(made.folder.glob("test/*/fold.json")).write_text("{}")
        assert run(made)[2] == ["test test/rafd+rafd+rafd"]
    else:
        next(made.folder.glob("pretrain/*/checkpoints/last.ckpt")).rename("gone")
        failures, _, calls = run(made)
        assert calls[0] == "fit pretrain/rafd"
        assert list(failures) == ["pretrain rafd"]  # the stand-in makes its folder once
