"""`lightning sync`, against a stand-in of the server."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import wandb

from datamodules.store.lock import try_lock
from experiments.cli import main
from experiments.run.folder import WANDB_LOCK, runs
from experiments.run.parent_run import ParentRun
from experiments.run.wandb_run import WandbIdentity
from tests.experiments.wandb_server import WandbServer, assert_one_group


def one_run(folder: Path, run_id: str, value: float = 1.0) -> Path:
    """Leave an offline run below a folder."""
    run = ParentRun(folder, "offline", WandbIdentity(run_id, "g", "train", run_id), {}, "cv/n")
    run.log({"cv/n": 1, "cv/x": value})
    run.finish({"cv/n": 2, "cv/x": value})
    wandb.teardown()  # on a busy machine W&B's own process still writes after a run's end
    return folder


def test_fit_test_and_predict_are_one_run(
    folder: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server, arguments = wandb_server, ["--config=tiny.yaml", "--wandb_artifacts=all"]
    main(["fit", *arguments, "--model.width=4"])
    for command in ("test", "predict"):
        main([command, *arguments, "--ckpt_path=best"])
    wandb.teardown()
    main(["sync"])
    (run,) = runs(folder / "runs" / "tiny")
    (sent,) = server.runs.values()
    assert_one_group(sent, "train")
    assert sent.groups[0] == run.status["wandb"]["group"]
    assert sent.name == "TinyGAN-TinyData-width=4-f00-s0"
    assert sent.summary["val/x"] == {"min": min(r["val/x"] for r in sent.history if "val/x" in r)}
    assert sent.summary["test/x"] == pytest.approx(sent.summary["val/x"]["min"])
    assert [row["_step"] for row in sent.history] == [*range(len(sent.history))]
    assert {"model", "environment"} <= {*sent.config}
    assert server.artifacts == [f"model-{run.status['wandb']['id']}"]
    private = (str(Path.home()), socket.gethostname(), "tiny.yaml", "--wandb_artifacts")
    # As words: the name of a host may be two letters, which any id holds.
    words = [re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in private]
    assert not [word for word in words if any(map(word.search, server.received))]

    # Once each.
    count = len(server.received)
    capsys.readouterr()
    main(["sync", "runs/tiny"])
    assert capsys.readouterr().out == "There is nothing to send below runs/tiny.\n"
    assert len(server.received) == count


def test_a_failure_is_a_sentence_and_the_others_are_sent(
    tmp_path: Path, wandb_server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, refused, good, alive = (
        one_run(tmp_path / name, f"{name}0000"[:8])
        for name in ("damaged", "refused", "good", "alive")
    )
    (file,) = damaged.glob("wandb/offline-run-*/*.wandb")
    file.write_bytes(file.read_bytes()[:40])
    wandb_server.refused = {"refused0"}
    lock = try_lock(alive / WANDB_LOCK, shared=True)  # as a process that writes there holds it
    assert lock is not None
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["sync", str(tmp_path)])
    assert ended.value.code == 1
    said, complaint = capsys.readouterr()
    assert f"{alive}: is still running" in said
    assert f"{good}: sent" in said
    assert f"{damaged}: not sent: Failed to" in said
    assert f"{refused}: not sent: Failed to" in said
    assert "2 of 3 runs were not sent" in complaint
    assert {*wandb_server.runs} == {"good0000"}


def test_what_cannot_be_sent_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_run(tmp_path, "0a1b2c3d")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    for folder, said in (
        (tmp_path, "W&B knows no key of yours"),
        (tmp_path / "nowhere", "There is no folder"),
    ):
        with pytest.raises(SystemExit):
            main(["sync", str(folder)])
        assert said in capsys.readouterr().err
