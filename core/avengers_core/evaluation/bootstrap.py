"""Bootstrap confidence intervals of means over held-out queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from avengers_core.common.arrays import Floats, Ints, Mask
from avengers_core.common.ranges import check_number, check_seed, check_whole
from avengers_core.evaluation.estimating import Guesses, completed, doubted_means

if TYPE_CHECKING:
    from avengers_core.evaluation.results import Results

_MOST_RESAMPLES = 100_000
# Drawn rows held at a time: bounds memory.
_AT_ONCE = 4_000_000


def intervals(
    results: Results, level: float, resamples: int, seed: int
) -> dict[float, dict[str, tuple[float, float]]]:
    """See :meth:`avengers_core.evaluation.results.Results.intervals`."""
    check_whole("resamples", resamples, 1, _MOST_RESAMPLES)
    check_seed(seed)
    check_number("level", level, 0, 1, inside="both")
    outcomes, alphas = results.outcomes, list(results.choices)
    if outcomes is None or not alphas:
        return {}
    known, most = (outcomes.scores, outcomes.costs), (1.0, None)
    guesses = results.guesses or Guesses(*known)

    def values(which: int, choice: Ints) -> Floats:
        return completed(outcomes, choice, known[which], guesses[which], most[which])

    score = [values(0, results.choices[a]) for a in alphas]
    cost = [values(1, results.choices[a]) for a in alphas]
    single = outcomes.models.index(results.best_single.name)
    best = values(0, np.full(len(outcomes), single))
    n = len(alphas)
    means = resampled_means(
        np.stack([*score, best, *cost], axis=1),
        outcomes.dataset,
        np.arange(2 * n + 1) <= (n if results.average == "dataset" else -1),
        resamples,
        seed,
    )
    rows: list[float | str] = [*alphas, results.best_single.name]
    for i, name in enumerate(rows):
        if name in results.doubts:
            doubt = doubted_means(results.doubts[name], outcomes.dataset, results.average)
            means[:, i] += np.resize(doubt, resamples)
    means[:, : n + 1] = np.clip(means[:, : n + 1], 0.0, 1.0)  # what an accuracy can be
    if len(outcomes) < 2:
        means[:] = np.nan
    return {
        alpha: {
            "accuracy": interval(means[:, i], level),
            "mean_cost": interval(means[:, n + 1 + i], level),
            "lead": interval(means[:, i] - means[:, n], level),
        }
        for i, alpha in enumerate(alphas)
    }


def resampled_means(
    values: Floats,
    dataset: Ints,
    mean_of_datasets: Mask,
    resamples: int,
    seed: int,
) -> Floats:
    """Means over queries that are drawn anew, with replacement, inside each dataset.

    Of a dataset with one query that would always be the same; so those with one are drawn anew
    together, as datasets.

    Args:
        values: (n, C) one column for each mean; NaN where unknown, which a mean leaves out.
        dataset: (n,) of the queries.
        mean_of_datasets: (C,) whether the mean is that of the datasets' means.
        resamples: how often.
        seed: of the drawing.

    Returns:
        (resamples, C); the columns share what is drawn, so that their differences are paired.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    rng = np.random.default_rng(seed)
    known = ~np.isnan(values)
    both = np.concatenate([np.where(known, values, 0.0), known], axis=1)
    columns = values.shape[1]
    total = np.zeros((resamples, 2 * columns))
    means, there = np.zeros((resamples, columns)), np.zeros((resamples, columns))
    _, drawn_in, rows = np.unique(dataset, return_inverse=True, return_counts=True)
    together = -1
    drawn_in = np.where(rows[drawn_in] == 1, together, drawn_in)
    for group in np.unique(drawn_in):
        sums = _resampled_sums(both[drawn_in == group], resamples, rng)
        total += sums
        if group == together:
            means += sums[:, :columns]
            there += sums[:, columns:]
            continue
        found = sums[:, columns:] > 0
        means += np.where(found, sums[:, :columns] / np.maximum(sums[:, columns:], 1), 0.0)
        there += found
    with np.errstate(invalid="ignore"):
        over_queries = total[:, :columns] / total[:, columns:]
        over_datasets = means / there
    drawn: Floats = np.where(mean_of_datasets, over_datasets, over_queries)
    return drawn


def _resampled_sums(values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples, C) sums over as many rows of (n, C) values as there are, drawn at random."""
    n = len(values)
    step = max(1, _AT_ONCE // n)
    parts = []
    for start in range(0, resamples, step):
        k = min(step, resamples - start)
        drawn = rng.integers(n, size=(k, n)) + np.arange(k)[:, None] * n
        parts.append(np.bincount(drawn.ravel(), minlength=k * n).reshape(k, n) @ values)
    return np.concatenate(parts)


def interval(samples: Floats, level: float) -> tuple[float, float]:
    """Lower and upper end, by the percentile method; NaN where nothing is known."""
    tail = (1 - level) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)
