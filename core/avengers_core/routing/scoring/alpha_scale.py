"""What an alpha means: how much score counts against cost there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from avengers_core.common.arrays import Floats

# Odds of score against cost that are tried, and the spread of those that are averaged over, in
# natural logarithms: a step, where many queries change at once, becomes a slope.
_ODDS = np.geomspace(1e-4, 1e4, 128)
_SPREAD = 0.3
# Share of the weight itself in alpha, which then moves where expected costs do not.
_OWN = 0.02


def _straight() -> Floats:
    return np.array([0.0, 1.0])


@dataclass(frozen=True, eq=False)
class AlphaScale:
    """A rising map of alpha in [0, 1] to the weight of score in [0, 1]; that of cost is the rest.

    The weight alone is no good scale: where some models cost a thousand times as much as others,
    nearly all that may be spent is spent between .9 and 1. So alpha is the root of the share that
    is spent of what choosing the best everywhere is expected to cost beyond choosing the cheapest;
    the root, for the first of it buys the most. And score never counts less than alpha says: where
    queries are of a few kinds, and all of a kind change at once, what is spent says little.

    Attributes:
        alphas: ascending from 0 to 1.
        weights: of score at these, ascending from 0 to 1; between them straight lines.
    """

    alphas: Floats = field(default_factory=_straight)
    weights: Floats = field(default_factory=_straight)

    @classmethod
    def of_costs(cls, gain: Floats, loss: Floats, size: Floats) -> AlphaScale:
        """From what is expected of M models in K typical queries, one for each cluster.

        Args:
            gain: (K, M) by how much their utility rises with the weight of score.
            loss: (K, M) by how much it falls with that of cost: their costs, in some unit.
            size: (K,) records in each cluster.

        Returns:
            Alpha is the weight itself where nothing more can be spent.
        """
        if not loss.size:
            return cls()
        clusters = np.arange(len(loss))
        least = loss.min(axis=1) @ size
        more = loss[clusters, gain.argmax(axis=1)] @ size - least
        if not more > 0:
            return cls()
        spent = np.array([loss[clusters, (o * gain - loss).argmax(axis=1)] @ size for o in _ODDS])
        share = np.maximum.accumulate(np.clip(_averaged((spent - least) / more), 0.0, 1.0))
        weights = _ODDS / (1 + _ODDS)
        alphas = np.minimum((1 - _OWN) * np.sqrt(share) + _OWN * weights, weights)
        return cls(*(np.concatenate([[0.0], inner, [1.0]]) for inner in (alphas, weights)))

    def weight(self, alpha: float) -> float:
        """The weight of score at an alpha."""
        return float(np.interp(alpha, self.alphas, self.weights))

    def alpha(self, weights: Floats) -> Floats:
        """The alphas at which score has these weights."""
        return np.interp(weights, self.weights, self.alphas)


def _averaged(shares: Floats) -> Floats:
    """Shares at all odds, each averaged over odds that are nearly the same."""
    odds = np.log(_ODDS)
    near = np.exp(-0.5 * ((odds[:, None] - odds) / _SPREAD) ** 2)
    averaged: Floats = near @ shares / near.sum(axis=1)
    return averaged
