"""Rules that turn the votes of ten raters on a face into a label.

Votes come in FERPlus' columns: the eight expressions in canonical order, then "unknown" and "NF"
(not a face). A rule sees whole columns and never a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.labels import Expression

_EMOTIONS = len(Expression)
_COLUMNS = _EMOTIONS + 2

Rule = Literal["majority", "argmax", "argmax8", "soft", "multi"]
"""Names of the rules."""

Votes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class VoteLabels:
    """What a rule makes of N rows of votes.

    Attributes:
        expressions: int8 [N], canonical expression, -1 where the rule drops the row.
        shares: float32 [N, 8], share of each expression; rows sum to 1, dropped ones are 0.
        tied: bool [N], rows at which the rule met a tie; what it makes of them, it says itself.
    """

    expressions: NDArray[np.int8]
    shares: NDArray[np.float32]
    tied: NDArray[np.bool_]

    @property
    def kept(self) -> int:
        """Number of rows with a label."""
        return int((self.expressions >= 0).sum())


def majority(votes: Votes) -> VoteLabels:
    """Take what more than half of the raters chose, when single votes are struck out.

    Args:
        votes: Integer [N, 10].

    Returns:
        Labels with the shares of all votes for expressions, the single ones too. Winners
        "unknown" and "NF" and rows without a majority are dropped; rows are tied where the
        largest column has exactly half of the votes.

    Reference:
        Barsoum et al., Training deep networks for facial expression recognition with
        crowd-sourced label distribution, ICMI 2016, 3.1; the authors' ferplus.py, mode majority.
    """
    counted = _without_single_votes(votes)
    most, total = counted.max(axis=1), counted.sum(axis=1)
    winner = np.where(2 * most > total, counted.argmax(axis=1), _COLUMNS)
    return _label(winner, votes, tied=(2 * most == total) & (total > 0))


def argmax(votes: Votes) -> VoteLabels:
    """Take the column with the most votes; rows that "unknown" or "NF" wins are dropped.

    Args:
        votes: Integer [N, 10].

    Returns:
        Labels with the shares of all votes for expressions. Rows are tied where several columns
        have the most votes; the first of them wins.
    """
    return _label(_first_most(votes), votes, tied=_several_most(votes))


def argmax8(votes: Votes) -> VoteLabels:
    """Take the expression with the most votes, however many say "unknown" or "NF".

    Args:
        votes: Integer [N, 10].

    Returns:
        Labels with the shares of all votes for expressions. Only rows without a vote for any are
        dropped. Rows are tied where several expressions have the most votes; the first wins.
    """
    emotions = _emotions(votes)
    return _label(_first_most(emotions), votes, tied=_several_most(emotions))


def soft(votes: Votes) -> VoteLabels:
    """Take the votes themselves as soft labels.

    Args:
        votes: Integer [N, 10].

    Returns:
        Shares of all votes for expressions; the label, for metrics, is that of `argmax8`.

    Deviation:
        The authors' modes probability and crossentropy strike out single votes and rows of more
        than three expressions. Here every vote counts.
    """
    return argmax8(votes)


def multi(votes: Votes) -> VoteLabels:
    """Take every expression that at least 30 % of the raters chose, single votes struck out.

    Args:
        votes: Integer [N, 10].

    Returns:
        Shares among the expressions taken; the label, for metrics, is the largest. Rows in which
        these columns hold half of the votes or less, or of which "unknown" or "NF" is the
        largest, are dropped. Rows are tied where several columns are the largest; the first wins.

    Reference:
        Barsoum et al., ICMI 2016, 3.2; the authors' ferplus.py, mode multi_target.
    """
    counted = _without_single_votes(votes)
    total = counted.sum(axis=1)
    taken = np.where(10 * counted >= 3 * total[:, None], counted, 0)
    winner = np.where(2 * taken.sum(axis=1) > total, _first_most(taken), _COLUMNS)
    return _label(winner, taken, tied=_several_most(taken))


RULES: dict[Rule, Callable[[Votes], VoteLabels]] = {
    "majority": majority,
    "argmax": argmax,
    "argmax8": argmax8,
    "soft": soft,
    "multi": multi,
}
"""The rules by their names."""


def vote_labels(votes: Votes, rule: Rule) -> VoteLabels:
    """Apply a rule by its name.

    Args:
        votes: Integer [N, 10].
        rule: Its name.

    Returns:
        What the rule makes of the votes.

    Raises:
        UserError: If there is no such rule, or the votes have other columns.
    """
    if rule not in RULES:
        raise UserError(f"data.rule must be one of {', '.join(RULES)}, but is {rule!r}.")
    if votes.ndim != 2 or votes.shape[1] != _COLUMNS:
        raise ValueError(f"Votes must have {_COLUMNS} columns, but are of shape {votes.shape}.")
    return RULES[rule](votes)


def _emotions(votes: Votes) -> Votes:
    return votes[:, :_EMOTIONS]


def _without_single_votes(votes: Votes) -> Votes:
    return np.where(votes > 1, votes, 0)


def _first_most(votes: Votes) -> NDArray[np.int64]:
    """Column with the most votes, the first of several; none where nobody voted."""
    return np.where(votes.max(axis=1) > 0, votes.argmax(axis=1), _COLUMNS).astype(np.int64)


def _several_most(votes: Votes) -> NDArray[np.bool_]:
    most = votes.max(axis=1, keepdims=True)
    return np.asarray(((votes == most).sum(axis=1) > 1) & (most[:, 0] > 0), np.bool_)


def _label(winner: NDArray[np.int64], votes: Votes, tied: NDArray[np.bool_]) -> VoteLabels:
    """Drop rows that no expression has won, and normalise the votes of the others."""
    kept = winner < _EMOTIONS
    emotions = np.where(kept[:, None], _emotions(votes), 0).astype(np.float32)
    shares = emotions / np.maximum(emotions.sum(axis=1, keepdims=True), 1)
    expressions = np.where(kept, winner, -1).astype(np.int8)
    return VoteLabels(expressions, shares.astype(np.float32), tied)
