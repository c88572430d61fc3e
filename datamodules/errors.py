"""What a person reads when something that was given cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")

OnBadSample = Literal["raise", "skip"]
"""What to do with unusable samples: collect all into one error, or drop and count them."""

_LISTED = 20
_MOST = 1_900  # characters of a message: a terminal's screen, and under 2 kB where they are ASCII


def printable(text: str, most: int = _MOST) -> str:
    """Make any text, such as the name of a file, fit to be shown.

    Args:
        text: The text; what is no printable character in it, or no character at all, is escaped.
        most: Bytes of UTF-8 that are kept, in full lines and words or not; the rest is counted.
    """
    if not text.isprintable():
        kept = (c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
        text = "".join(kept)
    if len(text) * 4 <= most or len(data := text.encode()) <= most:
        return text
    return f"{data[:most].decode(errors='ignore')} ... ({len(data) - most} bytes more)"


class UserError(ValueError):
    """What a person gave cannot be used, for a reason that the person can change.

    Its text is one plain sentence: what was got, what was expected, what to do. Every other
    exception is a mistake of this project and keeps its stack trace.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def some_of(argument: str, chosen: Sequence[T], known: Sequence[T]) -> tuple[T, ...]:
    """Return what an argument of the data names.

    Raises:
        UserError: If it names nothing, or what is not known.
    """
    if not chosen or not set(chosen) <= set(known):
        raise UserError(
            f"data.{argument} must name some of {', '.join(map(str, known))}, but is "
            f"{list(chosen)}."
        )
    return tuple(dict.fromkeys(chosen))


class DatasetError(UserError):
    """A data set is missing, damaged or not what its reader expects."""


class BadSample(DatasetError):  # noqa: N818  # it is what was found, one of many
    """One unusable sample.

    Args:
        path: The file or folder that is at fault.
        reason: What is wrong with it, as the end of the sentence "<path>: <reason>".
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        # Both go to the base class, so that the exception survives pickling between processes.
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.reason}")


class BadSamples(DatasetError):  # noqa: N818
    """All unusable samples of a data set in one message.

    Args:
        bad: (path, reason) of each; repetitions (one frame serves many samples) are said once.
    """

    def __init__(self, bad: Sequence[tuple[str | Path, str]]) -> None:
        super().__init__(list(bad))
        self.bad = list(dict.fromkeys((str(path), reason) for path, reason in bad))

    def __str__(self) -> str:
        files = "file or folder is" if len(self.bad) == 1 else "files or folders are"
        named = name_bad(self.bad)
        return (
            f"{len(self.bad)} {files} unusable; repair or remove them, "
            f"or, where others are left, set on_bad_sample to skip:\n{named}"
        )


def name_bad(bad: Sequence[tuple[str | Path, str]]) -> str:
    """Name bad samples, a line each, as many as a screen takes; count the rest."""
    lines: list[str] = []
    for path, reason in bad[:_LISTED]:
        line = printable(f"  {path}: {reason}".replace("\n", " "), _MOST // 4)
        if sum(map(len, lines)) + len(line) > _MOST - 300:
            break
        lines.append(line)
    if len(bad) > len(lines):
        lines.append(f"  ... and {len(bad) - len(lines)} more")
    return "\n".join(lines)


class Released(Protocol):
    """A data set that somebody has released, as its DataModule class describes it."""

    name: str
    tree: str  # the expected folders and files, one entry a line
    origin: str  # where the data set can be had


def expected(data: Released, tree: str | None = None) -> str:
    """Tell which folders a data set has, those of another tree if given, and where it is from."""
    indented = "\n".join(f"  {line}" for line in (tree or data.tree).strip("\n").splitlines())
    return f"Expected there:\n{indented}\n{data.name} comes from {data.origin}."


def missing_root(data: Released, root: str | Path, *, tree: str | None = None) -> DatasetError:
    """Make the error for a root at which a data set was not found, to be raised by its reader.

    Args:
        data: Class of the data set's DataModule.
        root: The folder that was given.
        tree: Another tree than that of the class.
    """
    folder = Path(root)
    if not folder.exists():
        found = "does not exist"
    elif not folder.is_dir():
        found = "is not a folder"
    else:
        held = sorted(entry.name for entry in folder.iterdir())
        shown = ", ".join(held[:5]) + (", ..." if len(held) > 5 else "")
        found = f"holds only {shown}" if held else "is empty"
    return DatasetError(f"{data.name} was not found: {folder} {found}. {expected(data, tree)}")
