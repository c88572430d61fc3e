import threading

import cv2
import pytest

from datamodules.store.threads import cores, for_each


def test_each_row_is_worked_on_once_and_by_several_threads() -> None:
    done: list[int] = []
    meet = threading.Barrier(3, timeout=30)  # three rows at a time, or it breaks

    def work(row: int) -> None:
        meet.wait()
        done.append(row)

    for_each(range(30), work, "rows", total=30, workers=3)
    assert sorted(done) == list(range(30))


def test_rows_of_a_group_go_to_one_thread_one_after_the_other() -> None:
    taken: dict[int, list[tuple[int, int]]] = {}
    meet = threading.Barrier(2, timeout=30)  # both threads have a group, or it breaks

    def work(row: int) -> None:
        if row in (0, 3):
            meet.wait()
        taken.setdefault(row // 3, []).append((threading.get_ident(), row))

    for_each(range(6), work, "rows", group=lambda row: row // 3, workers=2)
    for group, rows in taken.items():
        assert [row for _, row in rows] == [3 * group, 3 * group + 1, 3 * group + 2]
        assert len({thread for thread, _ in rows}) == 1
    assert taken[0][0][0] != taken[1][0][0]


def test_a_large_group_is_shared_between_threads() -> None:
    meet = threading.Barrier(2, timeout=30)
    for_each(range(65), lambda row: row % 64 or meet.wait(), "rows", group=lambda _: 0, workers=2)


def test_opencv_has_one_thread_meanwhile() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    seen: set[int] = set()
    for_each([0], lambda _: seen.add(cv2.getNumThreads()), "rows", total=1, workers=1)
    assert seen == {1}
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(before)


def test_an_error_stops_all_threads() -> None:
    done: list[int] = []

    def work(row: int) -> None:
        done.append(row)
        if row == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_each(range(1_000_000), work, "rows", total=1_000_000, workers=2)
    assert len(done) < 1_000_000


def test_a_log_gets_few_lines(capfd: pytest.CaptureFixture[str]) -> None:
    for_each(range(5000), lambda _: None, "faces", total=6000, workers=2)
    said = capfd.readouterr().err.replace("\r", "\n").strip().splitlines()
    assert 1 <= len(said) <= 3
    assert "6000/6000" in said[-1]


def test_nothing_to_do_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for_each([], lambda _: None, "faces", total=10, workers=2)
    assert capfd.readouterr().err == ""


def test_there_is_a_core() -> None:
    assert cores() >= 1
