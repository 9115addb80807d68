"""What a way of choosing comes to where not every result is known: a doubly robust estimate.

What the router expects of the chosen model stands in for every query, and is put right by how far
known results lie from it, of queries of the same dataset for which the same model was chosen; where
few are known, of the dataset's others, and of all. Where
all results are known, it is their mean; where the expectations are right, or the known results a
fair sample of each dataset's, it is right.

Source: Dudik, Langford and Li, Doubly Robust Policy Evaluation and Learning, 2011; with weights
that sum to the queries they stand for (self-normalised), Swaminathan and Joachims 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avengers_core.artifact.additive import Adding
from avengers_core.artifact.clusters import ratio, sums_of_cells
from avengers_core.artifact.estimation.cells import fewer, lacking, unseen
from avengers_core.common.arrays import Floats, Ints, Mask
from avengers_core.records.outcomes import Outcomes

# Records' worth of the dataset's own correction in that of a model chosen there, of the correction
# of all in a dataset's, and of none in that of all: a handful of known results must not speak for
# hundreds of queries.
_OF_DATASET, _OF_ALL, _OF_NONE = 20.0, 50.0, 50.0


class Guesses(NamedTuple):
    """What is expected of every model on every query.

    Attributes:
        score: (n, M).
        cost: (n, M) USD; NaN where no cost is known of a model.
    """

    score: Floats
    cost: Floats


class Doubt:
    """By how much what is expected may be off where results are not known, in S ways.

    Where a model has results on a dataset, as much as its clusters leave open. Where it has none it
    was kept from the dataset, and that is where expectations are off the most, and one model's
    together: as far as they were where results were held back.

    Args:
        outcomes: n records of D datasets.
        votes: (n, K) of the clusters.
        plausible: (K, S, M) by how much a score may differ in each.
        error: of what is inferred on a topic that a model was kept from, root mean square; 0 where
            that is not known.
    """

    def __init__(
        self, outcomes: Outcomes, votes: Floats, plausible: Floats, error: float = 0.0
    ) -> None:
        self._outcomes, self._votes, self._plausible = outcomes, votes, plausible
        d, m = len(outcomes.datasets), outcomes.scores.shape[1]
        n = sums_of_cells(~np.isnan(outcomes.scores), outcomes.dataset, d)
        size = np.bincount(outcomes.dataset, minlength=d).astype(np.float64)
        kept_from = lacking(n, size) if error > 0 else np.zeros((d, m))
        self._elsewhere = kept_from * unseen(np.eye(d), kept_from, error, plausible.shape[1])
        self._known = 1 - kept_from

    def of(self, choice: Ints) -> Floats:
        """(S, D) by how much the sum of the unknown scores of (n,) models chosen may differ."""
        outcomes = self._outcomes
        d, m = self._known.shape
        unknown = np.isnan(outcomes.scores[np.arange(len(choice)), choice])
        cell = (outcomes.dataset * m + choice)[unknown]
        by_cell = sums_of_cells(self._votes[unknown], cell, d * m).reshape(d, m, -1)
        near = by_cell * self._known[..., None]
        away: Floats = np.einsum("dmk,ksm->sd", near, self._plausible, optimize=True)
        count = np.bincount(cell, minlength=d * m).reshape(d, m)
        away += np.einsum("dm,sdm->sd", count, self._elsewhere)
        return away


def doubted_means(doubt: Floats, dataset: Ints, average: str) -> Floats:
    """(S,) by how much a mean over datasets or queries may differ, of what :class:`Doubt` gives."""
    n = np.bincount(dataset, minlength=doubt.shape[1])
    if average == "query":
        return np.asarray(doubt.sum(axis=1) / n.sum())
    return np.asarray((doubt[:, n > 0] / n[n > 0]).mean(axis=1))


@dataclass(frozen=True, eq=False)
class Estimate(Adding):
    """Sums of a value, score or cost, over the queries of D datasets by the M models chosen.

    Attributes:
        asked: (D, M) queries that each model was chosen for.
        guessed: (D, M) sum of what was expected for them.
        weight: (D, M) queries with a known value, weighted by the chance of its being known.
        away: (D, M) weighted sum of known values less what was expected.
    """

    asked: Floats
    guessed: Floats
    weight: Floats
    away: Floats

    @classmethod
    def of(cls, outcomes: Outcomes, choice: Ints, values: Floats, guesses: Floats) -> Estimate:
        """Sum up (n,) choices, with (n, M) values, NaN where unknown, and guesses."""
        rows, m = np.arange(len(outcomes)), values.shape[1]
        value, guess = values[rows, choice], guesses[rows, choice]
        known = ~np.isnan(value)
        weight = np.where(known, outcomes.weights, 0.0)
        shape = len(outcomes.datasets), m
        cell = outcomes.dataset * m + choice

        def total(of_query: Floats) -> Floats:
            sums = np.bincount(cell, weights=of_query, minlength=shape[0] * m)
            return sums.astype(np.float64).reshape(shape)

        away = weight * np.where(known, value - guess, 0.0)
        return cls(total(np.ones(len(rows))), total(guess), total(weight), total(away))

    def correction(self) -> Floats:
        """(D, M) what has to be added to a guess, by dataset and model chosen.

        The fewer results are known, the more it is that of the dataset, of all, and none. Nothing
        that is known of others puts right what is expected of a model that was kept from a dataset.
        """
        correction: Floats = np.zeros((1, 1))
        for axes, worth in (((0, 1), _OF_NONE), ((1,), _OF_ALL), ((), _OF_DATASET)):
            away, weight, asked = (
                a.sum(axis=axes, keepdims=True) for a in (self.away, self.weight, self.asked)
            )
            borrowed = worth * (
                1 - np.minimum(ratio(weight, asked), 1.0)
            )  # none where all is known
            correction = ratio(away + borrowed * correction, weight + borrowed)
        usual = self.asked * ratio(self.weight.sum(), self.asked.sum())
        return correction * (1 - fewer(self.weight, usual))

    def totals(self, most: float | None = None) -> Floats:
        """(D,) estimated sums over all queries; NaN where nothing was expected, either.

        Args:
            most: the largest value that there is; the least is 0. An estimate could be beyond both.
        """
        total = (self.guessed + self.asked * self.correction()).sum(axis=1)
        largest = None if most is None else most * self.asked.sum(axis=1)
        estimate: Floats = np.clip(total, 0.0, largest)
        return estimate

    def complete(
        self, total: Floats, count: Floats, measured: Mask, most: float | None = None
    ) -> tuple[Floats, Floats]:
        """(D,) sums and counts over all queries, from those of the known values.

        They stand where all values are known, and where a model was chosen of which none is, or
        nothing was expected.

        Args:
            total: (D,) sums of known values.
            count: (D,) how many.
            measured: (M,) whether any value is known of each model, whoever chose it.
            most: as for :meth:`totals`.
        """
        asked, estimated = self.asked.sum(axis=1), self.totals(most)
        guessed_alone = self.asked[:, ~measured].sum(axis=1) > 0
        incomplete = (count < asked) & np.isfinite(estimated) & ~guessed_alone
        return np.where(incomplete, estimated, total), np.where(incomplete, asked, count)


def completed(
    outcomes: Outcomes, choice: Ints, values: Floats, guesses: Floats, most: float | None = None
) -> Floats:
    """(n,) values whose mean in each dataset is the estimate, and whose spread is a sample's.

    Where all are known, they are the values; where a model was chosen of which none is, all are
    NaN, for the others' would be of the queries that suit them.

    Args:
        outcomes: n records.
        choice: (n,) models chosen.
        values: (n, M) scores or costs, NaN where unknown.
        guesses: (n, M) what was expected.
        most: as for :meth:`Estimate.totals`.
    """
    e = Estimate.of(outcomes, choice, values, guesses)
    rows = np.arange(len(outcomes))
    value, guess = values[rows, choice], guesses[rows, choice]
    known = ~np.isnan(value)
    unmeasured = np.isnan(values).all(axis=0)
    if np.take(unmeasured, choice).any():
        return np.full_like(value, np.nan)
    if known.all() or np.isnan(guess).any():
        return value
    cell = outcomes.dataset, choice
    stands_for = np.where(known, outcomes.weights, 0.0) * ratio(e.asked, e.weight)[cell]
    correction = e.correction()[cell]
    away = np.where(known, value - guess, 0.0) - correction
    spread: Floats = guess + correction + stands_for * np.where(known, away, 0.0)
    # Of a cell the residuals sum to nothing but what is shared with its dataset.
    n = np.bincount(outcomes.dataset, minlength=len(e.asked))
    sums = np.bincount(outcomes.dataset, weights=spread, minlength=len(n))
    shift = ratio(np.subtract(e.totals(most), sums), n.astype(np.float64))
    fitted: Floats = np.add(spread, shift[outcomes.dataset])
    return fitted
