from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from datamodules.errors import printable
from experiments.command.config_file import check_section, read_config
from experiments.command.errors import CommandError

_DOUBLING = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
REFUSED = {
    "latin-1": ("name: caf\xe9\n".encode("latin-1"), "not in UTF-8 (byte 10)"),
    "utf-16": ("trainer: {max_epochs: 1}\n".encode("utf-16"), "not in UTF-8 (byte 1)"),
    "nul": (b"trainer: {max_epochs: 1}\n\0\n", "special characters are not allowed"),
    "holds itself": (b"a: &a [*a]\n", "no experiment needs that"),
    "anchors of anchors": (_DOUBLING.encode(), "no experiment needs that"),
    "deep": (b"[" * 1_000, "no experiment needs that"),
    "large": (b"a: " + b"x" * 1_000_001, "1,000,004 bytes"),
    "key twice": (b"a:\n  b: 1\n  b: 2\n", "line 3 is not valid YAML: the key b is there twice"),
    "number for arguments": (b"model: {init_args: 3}\n", "init_args is a section"),
    "list": (b"- 1\n", "no keys with values"),
    "empty": (b"", "no keys with values"),
    "number as a key": (b"trainer: {1: 2}\n", "the key 1, which is no text"),
    "list as a key": (b"trainer: {[1]: 2}\n", "unhashable key"),
    "no such day": (b"a: 2026-99-99\n", "not valid YAML"),
    "two documents": (b"a: 1\n---\nb: 1\n", "line 2 is not valid YAML"),
    "code": (b"a: !!python/object/apply:os.mkdir [ran]\n", "could not determine a constructor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_experiment_holds_is_refused_at_once(name: str) -> None:
    content, sentence = REFUSED[name]
    Path("a.yaml").write_bytes(content)
    start = time.process_time()
    with pytest.raises(CommandError) as caught:
        read_config("a.yaml")
    assert str(caught.value).count("a.yaml") <= 1
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2
    assert time.process_time() - start < 5
    assert not Path("ran").exists()


def test_what_is_no_file_is_not_opened() -> None:
    os.mkfifo("pipe.yaml")
    Path("folder.yaml").mkdir()
    for name in ("pipe.yaml", "folder.yaml"):
        with pytest.raises(CommandError, match="is no file"):
            read_config(name)
    with pytest.raises(CommandError, match="does not exist"):
        read_config("none.yaml")


def test_what_editors_and_yaml_allow_is_read() -> None:
    text = "a: &a {b: 1, c: 2}\nd: {<<: *a, b: 3}\n"
    Path("a.yaml").write_bytes(text.encode("utf-8-sig"))
    assert read_config("a.yaml") == {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}


@pytest.mark.parametrize(("key", "value"), [("trainer", 3), ("trainer", None), ("model", [])])
def test_a_single_value_wipes_no_section(key: str, value: object) -> None:
    check_section(key, {})
    check_section("model", "lightning_modules.PCNN")
    with pytest.raises(CommandError, match=f"{key} is a section"):
        check_section(key, value)


def test_a_message_is_short_and_printable() -> None:
    assert printable("a\n\u00e9 \x1b[31m\x00 \udce9") == "a\n\u00e9 \\x1b[31m\\x00 \\udce9"
    for long in ("x" * 10**6, "\u20ac" * 10**6, "\0" * 10**6):
        assert len(printable(long).encode()) < 2000
        assert printable(long).endswith(" bytes more)")
