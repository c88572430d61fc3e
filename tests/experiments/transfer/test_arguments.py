from __future__ import annotations

import pytest

from experiments.command.errors import CommandError
from experiments.jobs.options import LauncherOptions
from experiments.transfer.arguments import DataConfig, parse


def test_the_data_come_behind_the_configs_and_before_what_is_given_by_hand() -> None:
    line = "--config a.yaml --data_configs x/b.yaml=/data/b=1 c.yml --jobs 2 --config=d.yaml"
    options = parse([*line.split(), "--model.width=4"])
    first, second = options.data
    assert first == DataConfig("b", "x/b.yaml", "/data/b=1")
    assert options.pretrain == ("b", "c")
    assert options.launch == LauncherOptions(jobs=2)
    assert options.fit_on(first) == [
        *("--config", "a.yaml", "--config=d.yaml", "--config=x/b.yaml"),
        *("--data.root=/data/b=1", "--model.width=4"),
    ]
    assert options.fit_on(second)[3:] == ["--config=c.yml", "--model.width=4"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "required: --data_configs"),
        (["--data_configs", "kdef"], "takes config files like experiments/data/kdef.yaml"),
        (["--data_configs", "a/x.yaml", "b/x.yaml"], "two data configs are named x"),
        (["--data_configs", "x.yaml", "--pretrain", "y"], "--pretrain names y"),
        (["--data_configs", "x.yaml", "--ckpt_path=a"], "takes no --ckpt_path: every step"),
        (["--data_configs", "x.yaml", "--data.root", "a"], "as FILE=ROOT"),
        (["--data_configs", "x.yaml", "--jobs", "0"], "must be at least 1"),
        (["--data_configs", "x.yaml", "--devices", ","], "names no device"),
    ],
)
def test_what_is_refused(args: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as error:
        parse(args)
    assert error.value.exit_code == 2
