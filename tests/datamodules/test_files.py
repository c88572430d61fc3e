from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.files import (
    file_name,
    find_file,
    find_folder,
    folders,
    matching_files,
    natural_key,
    nested,
    read_lines,
    read_table,
    visible,
    walk,
)


def tree(root: Path, *names: str) -> Path:
    """Make empty files, and folders where a name ends with a slash."""
    for name in names:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return root


def test_natural_order() -> None:
    names = ["S10", "s9", "S010/2", "S9a", "S1"]
    assert sorted(names, key=natural_key) == ["S1", "s9", "S9a", "S10", "S010/2"]


def test_hidden_files_and_leavings_of_archives_are_not_there(tmp_path: Path) -> None:
    tree(tmp_path, "b10/", "b9/", "c.txt", ".hidden/", "__MACOSX/", "._c.txt", ".DS_Store")
    assert [path.name for path in visible(tmp_path)] == ["b9", "b10", "c.txt"]
    assert [path.name for path in folders(tmp_path)] == ["b9", "b10"]


def test_a_walk_goes_from_the_top_down_in_natural_order(tmp_path: Path) -> None:
    tree(tmp_path, "b10/1.png", "b9/d/2.png", "b9/.h/", "__MACOSX/3.png", "a2.png", "a10.png")
    seen = [(path.relative_to(tmp_path).as_posix(), *rest) for path, *rest in walk(tmp_path)]
    assert seen == [
        (".", ["b9", "b10"], ["a2.png", "a10.png"]),
        ("b9", ["d"], []),
        ("b9/d", [], ["2.png"]),
        ("b10", [], ["1.png"]),
    ]
    assert [path.name for path, _, _ in walk(tmp_path, depth=1)] == [tmp_path.name, "b9", "b10"]
    for _, below, _ in walk(tmp_path):
        assert below != ["d"]
        below[:] = below[1:]  # the caller leaves b9 out
    assert list(walk(tmp_path / "nowhere")) == []


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    tree(tmp_path, "elsewhere/faces/1.png", "data/a/")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "faces" / "up").symlink_to(tmp_path / "elsewhere")
    assert [p.relative_to(tmp_path).as_posix() for p, _, _ in walk(tmp_path / "data")] == [
        "data",
        "data/a",
        "data/linked",
        "data/linked/faces",
    ]


def test_links_lead_neither_up_nor_in_a_ring_nor_twice_to_one_place(tmp_path: Path) -> None:
    tree(tmp_path, "beside/3.png", "data/a/1.png", "data/b/2.png")
    data = tmp_path / "data"
    (data / "a" / "x").symlink_to(data / "b")
    (data / "b" / "y").symlink_to(data / "a")
    (data / "up").symlink_to(tmp_path)
    (data / "c").symlink_to(tmp_path / "beside")
    (data / "d").symlink_to(tmp_path / "beside")
    found = [path / name for path, _, names in walk(data) for name in names]
    assert [str(p.relative_to(data)) for p in found] == ["a/1.png", "b/2.png", "c/3.png"]


def test_folder_is_found_below_wrappers_but_not_deeper(tmp_path: Path) -> None:
    tree(tmp_path, "a/b/Emotion/")
    assert find_folder(tmp_path, ["emotion"]) == tmp_path / "a" / "b" / "Emotion"
    assert find_folder(tmp_path, ["emotion"], depth=1) is None
    (tmp_path / "EMOTIONS").mkdir()
    assert find_folder(tmp_path, ["emotion", "emotions"]) == tmp_path / "EMOTIONS"
    assert find_folder(tmp_path / "missing", ["emotion"]) is None


def test_file_is_found_below_wrappers_but_not_deeper(tmp_path: Path) -> None:
    tree(tmp_path, "a/b/Labels.TXT", "labels.csv/")
    assert find_file(tmp_path, ["labels.csv", "labels.txt"]) == tmp_path / "a" / "b" / "Labels.TXT"
    assert find_file(tmp_path, ["labels.txt"], depth=1) is None
    tree(tmp_path, "c/labels.csv", "a/labels.txt")
    assert find_file(tmp_path, ["labels.csv", "labels.txt"]) == tmp_path / "c" / "labels.csv"
    assert find_file(tmp_path / "missing", ["labels.csv"]) is None


def test_an_archive_in_a_folder_of_its_own_name_is_entered(tmp_path: Path) -> None:
    tree(tmp_path, "Emotion_labels/Emotion/", "FACS/S001/")
    assert nested(tmp_path / "Emotion_labels", "emotion") == tmp_path / "Emotion_labels" / "Emotion"
    assert nested(tmp_path / "FACS", "FACS") == tmp_path / "FACS"


def test_second_copies_are_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "b/10.png", "b/9.png", "a/b/9.PNG", "a/notes.txt")
    found = matching_files(tmp_path, re.compile(r"(\d+)\.png", re.IGNORECASE))
    assert [path for path, _ in found] == [tmp_path / "a/b/9.PNG", tmp_path / "b/10.png"]
    assert [fields[1] for _, fields in found] == ["9", "10"]


def test_lines_come_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xef\xbb\xbfa;1 \r\n\n  b;2")
    assert read_lines(path) == [(1, "a;1"), (3, "b;2")]
    path.write_bytes(b"\xff\xfe")
    for unreadable in (path, tmp_path / "missing.csv"):
        with pytest.raises(DatasetError, match=rf"The list {unreadable} cannot be read: "):
            read_lines(unreadable)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    for read in (read_lines, lambda path: list(read_table(path))):
        with pytest.raises(DatasetError, match="a pipe or a device"):
            read(tmp_path / "list.txt")


def test_file_names_are_harmless_and_never_shared() -> None:
    assert file_name("clip_01.mp4") == "clip_01.mp4"
    names = [file_name(name) for name in ("a/b", "a b", "a_b", "../a_b", "x" * 300)]
    assert len(set(names)) == len(names)
    assert not any(set("/ ") & set(name) or name.startswith(".") for name in names)
    assert max(map(len, names)) < 120
