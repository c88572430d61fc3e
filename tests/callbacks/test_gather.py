from __future__ import annotations

from pathlib import Path

import torch.distributed as dist
import torch.multiprocessing as mp

from callbacks.outputs import gather


def _speak(rank: int, meeting: str, heard: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    Path(heard, str(rank)).write_text(repr(gather({"rank": rank})))
    dist.destroy_process_group()


def test_one_process_hears_itself() -> None:
    assert gather("alone") == ["alone"]


def test_every_process_hears_all_in_order(tmp_path: Path) -> None:
    (tmp_path / "heard").mkdir()
    mp.spawn(_speak, (str(tmp_path / "meeting"), str(tmp_path / "heard")), nprocs=2)
    heard = [path.read_text() for path in (tmp_path / "heard").iterdir()]
    assert heard == ["[{'rank': 0}, {'rank': 1}]"] * 2
