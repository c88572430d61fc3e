"""The page that `lightning workspace` saves, as the JSON that W&B would get."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("wandb_workspaces")

import wandb
from wandb_workspaces.workspaces import internal

from experiments.cli import main
from experiments.workspace import comparison


def test_groups_are_compared_by_bars_curves_tables_and_matrices() -> None:
    view = comparison("people", "faces")._to_model()
    spec = json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))["section"]
    panels = [
        panel for section in spec["panelBankConfig"]["sections"] for panel in section["panels"]
    ]
    by_kind: dict[str, list[dict[str, object]]] = {}
    for panel in panels:
        by_kind.setdefault(panel["viewType"], []).append(panel["config"])
    assert {tuple(bars["metrics"]) for bars in by_kind["Bar Chart"]} == {
        ("test/accuracy",),
        ("cv/accuracy_mean",),
        ("cv/val_accuracy_mean",),
    }
    for bars in by_kind["Bar Chart"]:
        assert (bars["groupBy"], bars["groupAgg"], bars["groupArea"]) == ("group", "mean", "stderr")
    for curves in by_kind["Run History Line Plot"]:
        assert curves["xAxis"] == "trainer/global_step"
        assert (curves["groupBy"], curves["groupArea"]) == ("group", "stddev")
    for table in ("study/rows", "transfer/cells", "cv/folds"):
        assert json.dumps(table) in json.dumps(by_kind["Weave"])
    (chart,) = by_kind["Vega2"]
    assert chart["panelDefId"] == "wandb/confusion_matrix/v1"
    assert "cv/confusion_matrix_table" in json.dumps(chart)


@pytest.mark.parametrize("project", ["faces", "people/", "a/b/c"])
def test_a_project_is_named_with_its_owner(
    project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["workspace", project])
    assert ended.value.code == 2
    assert "give ENTITY/PROJECT" in capsys.readouterr().err


def test_what_wandb_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(view: object) -> None:
        raise wandb.errors.CommError("no such project\nand more")

    monkeypatch.setattr(internal, "upsert_view2", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["workspace", "people/faces"])
    assert ended.value.code == 1
    assert "W&B did not take the page: no such project\n" in capsys.readouterr().err
