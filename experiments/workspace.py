"""`lightning workspace`: W&B's page of a comparison, made from code."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.command.arguments import CommandParser
from experiments.command.errors import CommandError

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

_GROUP = "Group"  # what W&B calls the group of a run
_CONFUSION = "cv/confusion_matrix_table"
_CLASSES = ("Actual", "Predicted", "nPredictions")


def workspace(args: Sequence[str]) -> None:
    """Run `lightning workspace`.

    Raises:
        CommandError: If the command line is wrong, or W&B does not take the page.
    """
    parser = CommandParser(
        "workspace",
        description="Save a page in W&B on which the runs of a project are compared: bars with "
        "intervals, learning curves, tables and confusion matrices, seeds and folds together.",
    )
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="Where the runs were sent.")
    parser.add_argument("--name", default="Comparison", help="Name of the page.")
    own = parser.parse_args(list(args))
    entity, slash, project = own.project.partition("/")
    if not (entity and slash and project) or "/" in project:
        parser.error(f"give ENTITY/PROJECT, such as people/fer-lightning, not {own.project}")
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise CommandError("This needs wandb-workspaces: pip install 'fer-lightning[workspace]'.")
    page = comparison(entity, project, own.name)
    try:
        page.save()
        print(f"Saved: {page.url}", flush=True)
    # W&B has errors of many kinds for no network, no login and no such project.
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise CommandError(f"W&B did not take the page: {said[0][:300]}") from error


def comparison(entity: str, project: str, name: str = "Comparison") -> Workspace:
    """Lay out the page on which methods are compared; a group holds seeds and folds of a setting.

    Args:
        entity: Person or team.
        project: Project that the runs were sent to.
        name: Name of the page.
    """
    import wandb_workspaces.reports.v2 as panels
    from wandb_workspaces import expr
    from wandb_workspaces.workspaces import RunsetSettings, Section, Workspace

    def bars(metric: str, title: str) -> panels.BarPlot:
        return panels.BarPlot(
            title=title,
            metrics=[metric],
            groupby=_GROUP,
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
        )

    def curves(metric: str, title: str) -> panels.LinePlot:
        return panels.LinePlot(
            title=title,
            x="trainer/global_step",
            y=[metric],
            groupby=_GROUP,
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )

    sections = [
        Section(
            name="Accuracy: mean and standard error over seeds and folds",
            panels=[
                bars("test/accuracy", "test"),
                bars("cv/accuracy_mean", "cross-validations, over seeds"),
                bars("cv/val_accuracy_mean", "cross-validations, validation of the tested weights"),
            ],
            is_open=True,
        ),
        Section(
            name="Learning curves: mean and standard deviation over seeds and folds",
            panels=[
                curves("val/accuracy", "validation accuracy"),
                curves("val/cross_entropy", "validation cross-entropy"),
            ],
            is_open=True,
        ),
        Section(
            name="Tables",
            panels=[
                panels.WeavePanelSummaryTable(table_name=table)
                for table in ("study/rows", "transfer/cells", "cv/folds")
            ],
            is_open=True,
        ),
        Section(
            name="Confusion matrices of cross-validations, pooled over folds",
            panels=[
                panels.CustomChart(
                    query={"summaryTable": {"tableKey": _CONFUSION}},
                    chart_name="wandb/confusion_matrix/v1",
                    chart_fields={field: field for field in _CLASSES},
                )
            ],
        ),
    ]
    return Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=sections,
        runset_settings=RunsetSettings(groupby=[expr.Metric(_GROUP), expr.Metric("JobType")]),
    )
