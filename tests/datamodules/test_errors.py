import pickle
from pathlib import Path

import pytest

from datamodules.errors import BadSample, BadSamples, DatasetError, UserError, missing_root


def test_bad_sample_names_path_and_reason_and_survives_pickling() -> None:
    error = BadSample(Path("a/b.png"), "the file is truncated")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "a/b.png: the file is truncated"
    assert (copy.path, copy.reason) == ("a/b.png", "the file is truncated")


def test_bad_samples_name_each_once() -> None:
    error = BadSamples([("a", "empty"), ("b", "truncated"), ("a", "empty")])
    assert error.bad == [("a", "empty"), ("b", "truncated")]
    assert str(error).splitlines()[1:] == ["  a: empty", "  b: truncated"]
    assert str(error).startswith("2 files or folders are unusable")
    assert "on_bad_sample" in str(error)
    assert pickle.loads(pickle.dumps(error)).bad == error.bad


def test_many_bad_samples_are_counted_after_twenty() -> None:
    lines = str(BadSamples([(f"f{n}", "empty") for n in range(25)])).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  ... and 5 more"


class Released:
    name = "CK+"
    tree = "\ncohn-kanade-images/\nEmotion/\n"
    origin = "its authors"


@pytest.mark.parametrize(
    ("entries", "found"),
    [(None, "does not exist"), ([], "is empty"), (["x", "y"], "holds only x, y")],
)
def test_missing_root_shows_what_is_there_and_what_should_be(
    tmp_path: Path, entries: list[str] | None, found: str
) -> None:
    root = tmp_path / "data"
    for entry in [] if entries is None else [".", *entries]:
        (root / entry).mkdir(exist_ok=True)
    error = missing_root(Released, root)
    assert isinstance(error, DatasetError)
    assert f"CK+ was not found: {root} {found}." in str(error)
    assert "\n  cohn-kanade-images/\n  Emotion/\n" in str(error)
    assert "its authors" in str(error)


def test_missing_root_tells_a_file_from_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "data.zip"
    file.touch()
    assert "is not a folder" in str(missing_root(Released, file))


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\udcff", "\u202etxt.exe", "a\x00b"])
def test_messages_have_printable_characters_only(text: str) -> None:
    for error in (UserError(text), BadSample(text, text), BadSamples([(text, text)])):
        said = str(error)
        assert said.replace("\n", "").isprintable()
        said.encode()


def test_messages_are_short() -> None:
    long = "x" * 200_000
    for error in (UserError(long), BadSample(long, long), BadSamples([(long, long)] * 3)):
        assert len(str(error).encode()) < 2_000
    many = BadSamples([(f"/some/where/{n}.png", "y" * 300) for n in range(99)])
    assert len(str(many).encode()) < 2_000
    assert "more" in str(many)
