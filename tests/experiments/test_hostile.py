"""Every command against every nasty file: one sentence, no stack trace, nothing run or lost.

A new command is met by the tests once it stands in `COMMANDS`, a new kind of file once it stands in
one of the tables here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.command.usage import COMMANDS
from tests.experiments.command.test_config_file import REFUSED as CONFIGS
from tests.experiments.crossval import made

WITH_CONFIG = sorted(set(COMMANDS) - {"compare", "export"})

JSON = {
    "empty": b"",
    "cut": b'{"experiment": "ti',
    "no text": b"\xff\xfe\x00\x00",
    "list": b"[]",
    "number": b"3",
    "nothing": b"null",
    "no values": b"{}",
    "nan": b'{"a": NaN}',
    "deep": b"[" * 100_000,
    "nul": b'{"a": "\0"}',
}


def run(capfd: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    code = 0
    try:
        main(args)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "please report" not in said
    assert len(said.encode()) < 2000
    assert all(char.isprintable() or char == "\n" for char in said)
    return code, said


@pytest.mark.parametrize("command", WITH_CONFIG)
def test_no_command_takes_a_nasty_config(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    start = time.process_time()
    for content, sentence in CONFIGS.values():
        Path("a.yaml").write_bytes(content)
        data = ("--data_configs", "a.yaml") if command == "transfer" else ()
        code, said = run(capfd, command, "--config", "a.yaml", *data)
        assert code == 2
        assert sentence in said
    assert time.process_time() - start < 20
    assert sorted(path.name for path in Path().iterdir()) == ["a.yaml"]


@pytest.fixture(params=["crossval.json", "fold_00/fold.json", "fold_00/split.json", "values"])
def files(request: pytest.FixtureRequest) -> Iterator[tuple[Path, bytes]]:
    """Each file of a cross-validation under each nasty content, one value of the wrong kind too."""
    folder = Path("runs/tiny/crossval-abcdef")

    def changed() -> Iterator[tuple[Path, bytes]]:
        contents = list(JSON.values())
        file = folder / "crossval.json"
        if request.param != "values":
            file = folder / request.param
        else:
            made.write_description(folder)
            whole = json.loads(file.read_text())
            contents = [
                json.dumps({**whole, key: other}).encode()
                for key in whole
                for other in (None, 1, [1], {"a": 1})
            ]
        for content in contents:
            made.write_crossval(folder, [1, 2, 1])
            yield file, content

    return changed()


def test_a_damaged_record_of_a_cross_validation(
    files: Iterator[tuple[Path, bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    for file, content in files:
        file.write_bytes(content)
        code, said = run(capfd, "crossval", "--summarize")
        assert code in (0, 1)
        assert (code == 0) == (said == "")
        code, said = run(capfd, "compare", "runs/tiny/crossval-abcdef", "runs/tiny/crossval-abcdef")
        assert (code == 0) == (said == "")
        assert file.read_bytes() == content
