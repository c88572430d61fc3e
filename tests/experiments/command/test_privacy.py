from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
import yaml

from experiments.cli import main
from experiments.command.privacy import environment_hider, is_path, without_home
from experiments.run.folder import runs


def sent_to_wandb(run: Path) -> bytes:
    """Read what an offline run would send, once it is there: W&B's own process writes later."""
    content = b""
    deadline = time.monotonic() + 60
    while b"~/data" not in content and time.monotonic() < deadline:
        time.sleep(0.1)
        content = b"".join(file.read_bytes() for file in run.glob("wandb/offline-run-*/*.wandb"))
    assert b"~/data" in content
    return content


def test_values_of_the_environment_are_references_in_what_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2xyz")
    monkeypatch.setenv("WANDB_MODE", "offline")
    home = Path.home()
    (home / "data").mkdir(exist_ok=True)
    (folder / "secret.yaml").write_text("model: {init_args: {name: 'is ${oc.env:TOKEN}'}}\n")
    files = ["--config", "tiny.yaml", "--config", "secret.yaml", f"--data.root={home}/data"]
    monkeypatch.setattr(sys, "argv", ["lightning", "fit", *files])
    wandb.teardown()  # its process may have been started in the folder of another test
    main(["fit", *files, "--trainer.max_epochs=1"])
    (run,) = runs(folder / "runs" / "tiny")
    content = sent_to_wandb(run.path)
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    assert config["model"]["init_args"]["name"] == "is ${oc.env:TOKEN}"
    written = [path for path in run.path.rglob("*") if path.is_file()]
    assert all(b"hunter2xyz" not in path.read_bytes() for path in written)
    checkpoint = torch.load(run.last, weights_only=True)
    assert checkpoint["hyper_parameters"]["name"] == "is ${oc.env:TOKEN}"
    # Of person and machine nothing goes where others read it.
    for private in (str(home), socket.gethostname(), "secret.yaml", sys.executable):
        assert private.encode() not in content


def test_short_values_are_hidden_where_they_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "1")
    hide = environment_hider(["--x=${oc.env:A}", "--y=${oc.env:B,2}"])
    assert hide({"x": "1", "y": ["21", 1, ("1",)]}) == {
        "x": "${oc.env:A}",
        "y": ["21", 1, ("${oc.env:A}",)],
    }


def test_home_and_paths() -> None:
    assert without_home([f"{Path.home()}/a"]) == ["~/a"]
    Path("votes").mkdir()
    values = {"a": "a/b", "root": "here", "e_fer_checkpoint": "best.ckpt"}
    assert [is_path(*item) for item in values.items()] == [True, True, True]
    assert is_path("detector", "yunet.onnx")
    assert is_path("judges", {"DMUE": "dmue.onnx"})
    assert is_path("extra", "made")
    # A choice stays one, whatever lies in the working directory.
    others: dict[str, Any] = {
        "labels": "votes",
        "weights_sha256": "0" * 300,
        "root": None,
        "fold": 3,
    }
    others["g_f_optimizer"] = {"class_path": "torch.optim.Adam"}
    assert [is_path(*item) for item in others.items()] == [False] * 5


def test_users_of_addresses_are_hidden() -> None:
    hide = environment_hider([])
    assert hide(
        {
            "input": "rtsp://user:pa@ss:w0rd@camera.local:554/stream?a=b@c",
            "command": ["--data.input=http://token@host/a"],
            "api": "https://wandb.ai/a@b",
            "notes": "write to a@b",
        }
    ) == {
        "input": "rtsp://***@camera.local:554/stream?a=b@c",
        "command": ["--data.input=http://***@host/a"],
        "api": "https://wandb.ai/a@b",
        "notes": "write to a@b",
    }
