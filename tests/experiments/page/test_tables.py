from __future__ import annotations

from typing import Any

from experiments.page.tables import published_table


def figure(value: float, *differences: str, **changes: Any) -> dict[str, Any]:
    told = {"value": value, "std": None, "unit": "%", "paper": "PCNN", "table": "Table III"}
    return {**told, "method": "PCNN", "differences": list(differences), **changes}


def row(name: str, found: float | None, published: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "row": name,
        "data": "rafdb",
        "measures": {"accuracy": "accuracy"},
        "cells": {"accuracy": None if found is None else {"mean": found}},
        "published": {"accuracy": published},
    }


def test_milliseconds_of_another_machine_are_shown_and_not_subtracted() -> None:
    own = row("pcnn", 12.5, {**figure(5.83, "an RTX 4090 there", std=0.04), "unit": "ms"})
    rows = [{**own, "measures": {"accuracy": "latency_ms"}}]
    table = published_table({"rows": rows, "others": []})
    assert table is not None
    assert table.body[0][3:] == ["5.83 ± 0.04 ms [1]", "12.5", "-"]
    assert list(table.notes) == ["[1] PCNN, Table III: an RTX 4090 there."]


def test_a_figure_stands_beside_its_own_setting_alone() -> None:
    rows = [
        row("pcnn", 0.85, figure(89.0, std=0.5)),
        row("pcnn, small", 0.8, figure(89.0, "size 96 here, 224 there", "30 epochs here")),
        row("not run", None, figure(70.0)),
        row("in no paper", 0.5, None),
    ]
    rival = {"method": "SCN", "dataset": "RAF-DB", "condition": "", "metric": "accuracy"}
    told = {**rival, "value": 87.0, "std": None, "unit": "%", "reason": "no code of it here"}
    others = [told, {**told, "method": "RAN"}]
    table = published_table({"rows": rows, "others": others})
    assert table is not None
    assert [list(line) for line in table.body] == [
        ["pcnn", "rafdb", "accuracy", "89 ± 0.5 % (PCNN, Table III)", "85", "-4"],
        ["pcnn, small", "rafdb", "accuracy", "- [1]", "", ""],
        ["not run", "rafdb", "accuracy", "70 % (PCNN, Table III)", "-", "-"],
        ["SCN", "RAF-DB", "accuracy", "87 %", "- [2]", ""],
        ["RAN", "RAF-DB", "accuracy", "87 %", "- [2]", ""],
    ]
    assert list(table.notes) == [
        "[1] PCNN, Table III: size 96 here, 224 there; 30 epochs here.",
        "[2] no code of it here.",
    ]


def test_without_any_figure_there_is_no_table() -> None:
    assert published_table({"rows": [row("pcnn", 0.85, None)], "others": []}) is None
