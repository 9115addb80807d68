"""A sound alarm: whether the mean of a stream of scores has changed, however often one looks.

The null hypothesis is that the scores of a stream are in [0, 1] with the same mean all along, which
is not known. The evidence against it is a likelihood ratio: above, a mixture over all points at
which the mean may have changed, each with a Beta(1/2, 1/2) prior of the mean before and of the mean
after; below, the likelihood under the best constant mean in hindsight. Under any constant mean the
ratio is at most a likelihood ratio of a fixed alternative, so it is an e-process: the chance that
it *ever* reaches 1/a is at most a (Ville's inequality). It may therefore be looked at every day,
and several streams are watched together by giving each a share of a.

Scores between 0 and 1 count as Bernoulli likelihoods ``p^y (1-p)^(1-y)``: a function of y that is
convex, so its mean is largest for scores of 0 and 1.

Source: Wasserman, Ramdas and Balakrishnan, Universal inference, PNAS 2020, section 7; Krichevsky
and Trofimov, The performance of universal encoding, IEEE Trans. IT 1981.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betaln, xlogy

from avengers_core.common.arrays import Floats, Ints

# A change may begin, and is looked for, after every so many calls; later, after every 2 %.
_STEP, _LATER = 25, 0.02
_HALF = 0.5


class Change(NamedTuple):
    """The strongest sign of a change in a stream.

    Attributes:
        log_evidence: natural logarithm of the e-process where it was largest.
        seen_at: position in the log at which it first was as large as asked for, or None.
        since: position at which the mean most likely changed.
        before: mean score before that.
        after: and after.
        n_before: scores before that.
        n_after: and after.
    """

    log_evidence: float
    seen_at: int | None
    since: int
    before: float
    after: float
    n_before: int
    n_after: int


def looks(n: int) -> Ints:
    """Positions in a log of n calls at which streams are looked at; those of a longer log begin so.

    Args:
        n: at least 0.
    """
    places: list[int] = []
    at = 0
    while at < n:
        at += max(_STEP, int(at * _LATER))
        places.append(min(at, n))
    return np.array(places, dtype=np.int64)


def find_change(positions: Ints, scores: Floats, n: int, log_limit: float) -> Change:
    """The evidence that the mean of a stream changed.

    Args:
        positions: (q,) where in the log the stream's scores stand, rising, in [0, n).
        scores: (q,) in [0, 1]; none are no evidence.
        n: calls in the log.
        log_limit: logarithm of the evidence at which ``seen_at`` is noted.
    """
    places = looks(n)
    count = np.searchsorted(positions, places)  # scores before each place
    total = np.concatenate([[0.0], np.cumsum(scores)])[count]
    weight = _log_prior(len(places))
    if not len(scores):
        return Change(-np.inf, None, 0, np.nan, np.nan, 0, 0)
    best, seen_at = -np.inf, None
    for t in range(1, len(places)):
        if count[t] == count[t - 1]:
            continue
        mixed = float(np.logaddexp.reduce(_terms(count, total, weight, t)))
        evidence = mixed - _log_best(total[t], count[t])
        best = max(best, evidence)
        if seen_at is None and evidence >= log_limit:
            seen_at = int(places[t])
    last = len(places) - 1
    at = int(_terms(count, total, weight, last)[:-1].argmax()) if last > 0 else 0
    q, s = int(count[at]), float(total[at])
    n_after = len(scores) - q
    return Change(
        log_evidence=float(best),
        seen_at=seen_at,
        since=int(places[at]),
        before=s / q if q else float("nan"),
        after=(float(total[-1]) - s) / n_after if n_after else float("nan"),
        n_before=q,
        n_after=n_after,
    )


def _log_prior(n: int) -> Floats:
    """(n,) log chance of a change at each place: 1 / (j (j + 1)), which sums to 1 over all."""
    j = np.arange(1, n + 1)
    chance: Floats = -np.log(j * (j + 1.0))
    return chance


def _terms(count: Ints, total: Floats, weight: Floats, t: int) -> Floats:
    """(t + 1,) log likelihoods up to place t with a change at each earlier place, and without."""
    q, s = count[: t + 1], total[: t + 1]
    changed = weight[:t] + _log_mixture(s[:t], q[:t]) + _log_mixture(s[t] - s[:t], q[t] - q[:t])
    # What is left of the prior: the change is still to come.
    none = -np.log(t + 1.0) + _log_mixture(s[t:], q[t:])
    return np.concatenate([changed, none])


def _log_mixture(total: Floats, n: Ints) -> Floats:
    mixture: Floats = betaln(total + _HALF, n - total + _HALF) - betaln(_HALF, _HALF)
    return mixture


def _log_best(total: float, n: int) -> float:
    mean = total / n
    return float(xlogy(total, mean) + xlogy(n - total, 1 - mean))
