"""Tables for a paper."""

from __future__ import annotations

from collections.abc import Sequence

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {char: rf"\{char}" for char in "&%$#_{}"}
_SPECIAL |= {"±": r"$\pm$", "<": "$<$", ">": "$>$"}


def booktabs(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Write a table as LaTeX with the rules of the package booktabs.

    Args:
        columns: Names of the columns.
        rows: Their cells, plain text.
        caption: Plain text.
    """
    body = [" & ".join(map(escape, row)) + r" \\" for row in rows]
    head = " & ".join(map(escape, columns)) + r" \\"
    aligned = "l" * min(1, len(columns)) + "r" * (len(columns) - 1)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\begin{{tabular}}{{{aligned}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Write plain text so that LaTeX prints it."""
    return "".join(_SPECIAL.get(char, char) for char in text)
