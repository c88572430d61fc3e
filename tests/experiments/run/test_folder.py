from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import experiments.run.folder
from experiments.run.folder import (
    RunFolder,
    config_hash,
    create_run,
    run_of_checkpoint,
    runs,
    shared_config_hash,
    unfinished_run,
)

DIGEST = config_hash({"a": 1})


def test_a_config_has_one_hash_whatever_the_order_of_its_keys() -> None:
    assert config_hash({"a": 1, "b": [1, 2]}) == config_hash({"b": [1, 2], "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
    assert config_hash({"a": [1, 2]}) != config_hash({"a": [2, 1]})


def test_runs_of_one_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(["20260101-000000", "20260101-000000", "20260101-000001"])
    monkeypatch.setattr(experiments.run.folder.time, "strftime", lambda form: next(seconds))
    first, second = create_run(tmp_path, DIGEST), create_run(tmp_path, DIGEST)
    assert first.path.name == f"20260101-000000-{DIGEST[:6]}"
    assert [run.path for run in runs(tmp_path)] == [second.path, first.path]
    first.release()
    second.release()


def test_only_an_unfinished_run_of_the_same_config_is_found(tmp_path: Path) -> None:
    run = create_run(tmp_path, DIGEST)
    # It is alive, and in this process.
    assert unfinished_run(tmp_path, DIGEST) is None
    run.release()
    assert unfinished_run(tmp_path, config_hash({"a": 2})) is None
    found = unfinished_run(tmp_path, DIGEST)
    assert found is not None
    assert found.path == run.path
    found.update_status(state="finished", step=3)
    found.release()
    assert found.status == {"state": "finished", "config_hash": DIGEST, "step": 3}
    assert unfinished_run(tmp_path, DIGEST) is None


def test_the_run_of_a_living_process_is_left_alone_and_that_of_a_killed_one_is_not(
    tmp_path: Path,
) -> None:
    # A child inherits open files and outlives its parent's kill, as a loading worker may.
    program = (
        "import os, pathlib, sys, time; from experiments.run.folder import create_run;"
        "create_run(pathlib.Path(sys.argv[1]), sys.argv[2]);"
        "os.fork() and print('made', flush=True);"
        "time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), DIGEST],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "made\n"
            assert unfinished_run(tmp_path, DIGEST) is None
            process.kill()
            process.wait()
            found = unfinished_run(tmp_path, DIGEST)
            assert found is not None
            found.release()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_checkpoint_knows_its_run(tmp_path: Path) -> None:
    run = create_run(tmp_path, DIGEST)
    found = run_of_checkpoint(run.checkpoints / "best.ckpt")
    assert found is not None
    assert found.path == run.path
    assert run_of_checkpoint(tmp_path / "best.ckpt") is None
    assert run_of_checkpoint(tmp_path / "checkpoints" / "best.ckpt") is None
    run.release()


def test_only_a_folder_without_steps_and_answers_is_removed(tmp_path: Path) -> None:
    empty, tested, predicted = (create_run(tmp_path, DIGEST) for _ in range(3))
    (tested.path / "metrics.csv").touch()
    (predicted.path / "predict").mkdir()
    for run in (empty, tested, predicted):
        run.release()
        run.remove_if_empty()
    assert {run.path for run in runs(tmp_path)} == {tested.path, predicted.path}


def test_no_runs_where_there_is_no_folder(tmp_path: Path) -> None:
    assert not list(runs(tmp_path / "none"))
    assert RunFolder(tmp_path / "none").status == {}


def test_the_newest_run_comes_first_however_fast_they_follow(tmp_path: Path) -> None:
    made = [create_run(tmp_path, digest).path for digest in ("f" * 64, "0" * 64)]
    assert [run.path for run in runs(tmp_path)] == made[::-1]


def config(**data: Any) -> dict[str, Any]:
    return {
        "seed_everything": 0,
        "trainer": {"max_epochs": 2},
        "model": {"class_path": "M"},
        "data": {"class_path": "D", "init_args": {"root": None, "fold": 0, **data}},
        "runs_dir": "runs",
        "ckpt_path": None,
    }


def test_folds_and_commands_share_a_hash() -> None:
    shared = shared_config_hash(config())
    machine = {"cache_dir": "/scratch", "num_workers": 3, "on_device": True}
    assert shared_config_hash(config(fold=7, **machine)) == shared
    test = {**config(fold=3), "ckpt_path": "best.ckpt", "verbose": False, "weights_only": None}
    assert shared_config_hash(test) == shared


def test_whatever_changes_results_changes_the_hash() -> None:
    for other in (
        config(folds=5),
        config(root="/data/ck"),
        {**config(), "seed_everything": 1},
        {**config(), "model": {"class_path": "N"}},
    ):
        assert shared_config_hash(other) != shared_config_hash(config())


def test_hashing_leaves_the_config_alone() -> None:
    given = config()
    shared_config_hash(given)
    assert given == config()
