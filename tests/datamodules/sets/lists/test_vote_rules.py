from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.labels import Expression
from datamodules.sets.lists.vote_rules import RULES, VoteLabels, majority, vote_labels


def made(*rows: Sequence[int]) -> NDArray[np.int64]:
    return np.array(rows, np.int64)


def by_hand(row: Sequence[int], rule: str) -> tuple[int, list[float], bool]:
    """One row at a time, as the publication and the authors' script describe the rules."""
    counted = [0 if count <= 1 else count for count in row]
    shares, tied = list(row[:8]), False
    winner = 9
    if rule == "majority":
        most, total = max(counted), sum(counted)
        winner = counted.index(most) if most > 0.5 * total else 9
        tied = total > 0 and most == total / 2
    elif rule == "multi":
        taken = [count if count >= 0.3 * sum(counted) - 1e-9 else 0 for count in counted]
        enough = sum(taken) > 0.5 * sum(counted)
        winner = taken.index(max(taken)) if enough else 9
        tied = max(taken) > 0 and taken.count(max(taken)) > 1
        shares = taken[:8]
    else:
        columns = list(row) if rule == "argmax" else list(row[:8])
        if max(columns) > 0:
            winner = columns.index(max(columns))
            tied = columns.count(max(columns)) > 1
    if winner >= 8:
        return -1, [0.0] * 8, tied
    return winner, [count / sum(shares) for count in shares], tied


@pytest.mark.parametrize("rule", list(RULES))
def test_a_rule_is_what_it_is_row_by_row(rule: str) -> None:
    rng = np.random.default_rng(0)
    concentrations = rng.choice([0.05, 0.2, 1.0], 600)
    chances = np.stack([rng.dirichlet(np.full(10, c)) for c in concentrations])
    votes = rng.multinomial(rng.choice([0, 9, 10], 600, p=[0.02, 0.08, 0.9]), chances)
    labels = RULES[rule](votes)  # type: ignore[index]
    expected = [by_hand(row, rule) for row in votes.tolist()]
    assert labels.expressions.tolist() == [e[0] for e in expected]
    assert labels.tied.tolist() == [e[2] for e in expected]
    np.testing.assert_allclose(labels.shares, [e[1] for e in expected], atol=1e-6)
    assert labels.kept == sum(e[0] >= 0 for e in expected)
    assert len(labels.expressions) == 600 > labels.kept
    assert 0 < labels.tied.sum() < 600


def test_what_the_rules_make_of_hard_rows() -> None:
    votes = made(
        [5, 0, 0, 5, 0, 0, 0, 0, 0, 0],  # one half each
        [4, 0, 0, 1, 1, 1, 1, 1, 0, 1],  # a majority once single votes are gone
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],  # all single
        [0, 0, 0, 0, 0, 0, 0, 0, 6, 4],  # nobody says an expression
        [2, 0, 0, 0, 0, 0, 0, 0, 8, 0],  # unknown
        [0, 6, 0, 0, 0, 0, 0, 3, 0, 0],  # nine raters
        [0, 0, 3, 0, 0, 0, 3, 0, 0, 4],  # two expressions beside NF
    )
    found = {rule: vote_labels(votes, rule).expressions.tolist() for rule in RULES}
    neutral, happy, surprise = Expression.NEUTRAL, Expression.HAPPINESS, Expression.SURPRISE
    assert found == {
        "majority": [-1, neutral, -1, -1, -1, happy, -1],
        "argmax": [neutral, neutral, neutral, -1, -1, happy, -1],
        "argmax8": [neutral, neutral, neutral, -1, neutral, happy, surprise],
        "soft": [neutral, neutral, neutral, -1, neutral, happy, surprise],
        "multi": [neutral, neutral, -1, -1, -1, happy, -1],
    }
    assert majority(votes).tied.tolist() == [True, *[False] * 6]


def test_shares_are_of_all_votes_for_expressions_but_in_multi() -> None:
    votes = made([0, 6, 2, 1, 0, 0, 0, 0, 1, 0])
    shares = {rule: vote_labels(votes, rule).shares[0].tolist() for rule in RULES}
    expected = [0, 6 / 9, 2 / 9, 1 / 9, 0, 0, 0, 0]
    assert shares["majority"] == pytest.approx(expected)
    assert shares["soft"] == pytest.approx(expected)
    assert shares["multi"] == [0, 1, 0, 0, 0, 0, 0, 0]


def test_no_rows_and_wrong_questions() -> None:
    nothing: VoteLabels = vote_labels(np.zeros((0, 10), np.int64), "majority")
    assert (nothing.kept, len(nothing.expressions), nothing.shares.shape) == (0, 0, (0, 8))
    with pytest.raises(ValueError, match=r"data\.rule must be one of majority, .*'mean'"):
        vote_labels(made([1] * 10), "mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"10 columns, but are of shape \(1, 8\)"):
        vote_labels(made([1] * 8), "majority")
