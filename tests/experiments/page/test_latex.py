from __future__ import annotations

from experiments.page.latex import booktabs


def test_special_characters_are_printed() -> None:
    table = booktabs(["a_b", "c & d"], [["50 %", "1 ± 2"], ["x\\y", "p < 0.1"]], "50 % of {all}")
    assert r"a\_b & c \& d \\" in table
    assert r"50 \% & 1 $\pm$ 2 \\" in table
    assert r"x\textbackslash{}y & p $<$ 0.1 \\" in table
    assert r"\caption{50 \% of \{all\}}" in table
    assert r"\begin{tabular}{lr}" in table
