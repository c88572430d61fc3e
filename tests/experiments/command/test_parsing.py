from __future__ import annotations

from typing import Union

from jsonargparse import ArgumentParser

from experiments.command.parsing import whole_first


def test_one_batch_is_no_share_of_them_whatever_was_imported_first() -> None:
    parser = ArgumentParser()
    parser.add_argument("--limit", type=Union[float, int, None])  # noqa: UP007  # see whole_first
    assert isinstance(parser.parse_args(["--limit=1"]).limit, float)
    whole_first(parser)
    for text, value in (("1", 1), ("1.0", 1.0), ("0.5", 0.5), ("null", None)):
        found = parser.parse_args([f"--limit={text}"]).limit
        assert (type(found), found) == (type(value), value)
