from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from experiments.command.display import Lines, Row, Screen


def row(place: str, value: float | None, best: bool = False) -> Row:
    monitor, loss = "val/confidence_reconstructed", "train/cross_entropy_baseline"
    return Row(place, "step", monitor, value, best, loss, 0.5, 1e-3, 65.0, 3700.0)


def screen(width: int) -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    return Screen(console), file


@pytest.mark.parametrize("width", [80, 120])
def test_rows_of_a_table_stand_below_each_other(width: int) -> None:
    shown, file = screen(width)
    shown.row(row("250/2000", 0.51, best=True))
    shown.row(row("1250/2000", None))
    lines = file.getvalue().splitlines()
    head, rule, first, second = lines
    assert max(map(len, lines)) <= width
    assert head.split()[0] == "step"
    assert head.split()[-3:] == ["lr", "time", "left"]
    assert ("val/confidence_reconstructed" in head) == (width == 120)
    assert first.split() == ["250/2000", "0.5", "0.51", "★", "0.001", "1:05", "1:01:40"]
    assert second.split() == ["1250/2000", "0.5", "0.001", "1:05", "1:01:40"]
    assert set(rule) == {"─", " "}
    ends = [line.index(last) + len(last) for line, last in ((first, "1:05"), (second, "1:05"))]
    assert ends[0] == ends[1] == head.index("time") + len("time")


def test_the_bar_is_gone_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    shown, file = screen(80)
    error = sys.stderr
    shown.advance("epoch 1/2", 3, 10, "1 min 10 s left")
    assert sys.stderr is not error  # what others print goes above the bar
    shown.advance("predict", 4, float("inf"), "")
    shown.close()
    shown.close()
    assert sys.stderr is error
    assert "epoch 1/2" in file.getvalue()
    assert "3/10" in file.getvalue()
    assert "1 min 10 s left" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")


def test_a_line_an_epoch_begins_with_the_monitored_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    lines.row(row("3/15", 0.51, best=True))
    lines.row(row("4/15", None))
    first, second = capsys.readouterr().err.splitlines()
    rest = "train/cross_entropy_baseline 0.5, lr 0.001, 1 min 5 s, 1 h 1 min left"
    assert first == f"val/confidence_reconstructed 0.51 *, step 3/15, {rest}"
    assert second == f"step 4/15, {rest}"
