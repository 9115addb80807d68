"""The exact path over alpha: every alpha at which a decision changes.

Where the utility of each model is a straight line in the weight of score, which rises with alpha,
the best model is the upper envelope of M lines: a handful of breakpoints for each query, found
without a grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from avengers_core.common.arrays import Floats, Ints
from avengers_core.common.functions import cached_property
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.engine import Engine

# Alphas tried for a scorer whose utility is not linear in alpha.
GRID = np.linspace(0, 1, 201)


class Path(Protocol):
    """What is known of the choices on each of B intervals of alpha.

    Attributes:
        edges: (B + 1,) ascending from 0 to 1.
        alphas: (B,) an alpha inside each interval; of a grid, the very alphas that were tried.
        exact: False where the intervals are those of a grid, not those of the choices.
    """

    @property
    def edges(self) -> Floats: ...
    @property
    def alphas(self) -> Floats: ...
    @property
    def exact(self) -> bool: ...

    def shares(self, m: int) -> Floats:
        """(B, M) share of the queries that each of M models gets, on each interval."""
        ...


@dataclass(frozen=True, eq=False)
class AlphaPath:
    """The choice for each of n queries on every interval of alpha.

    Attributes:
        edges: (B + 1,) ascending from 0 to 1; no decision changes inside ``edges[i:i + 2]``. The
            last two are both 1 where models are chosen at 1 alone, for their cost is not known.
        start: (n,) column of the model chosen on the first interval.
        changed_at: (E,) interval with which each change begins, ascending.
        changed_query: (E,) whose decision it is.
        changed_to: (E,) the column chosen from there on.
        exact: False where the edges are a grid, because the scorer is not linear.
    """

    edges: Floats
    start: Ints
    changed_at: Ints
    changed_query: Ints
    changed_to: Ints
    exact: bool

    @property
    def alphas(self) -> Floats:
        """(B,) an alpha inside each interval; of a grid, the very alphas that were tried."""
        if not self.exact:
            return np.linspace(0, 1, len(self.edges) - 1)
        middle: Floats = (self.edges[:-1] + self.edges[1:]) / 2
        return middle

    def totals(self, values: Floats) -> Floats:
        """Sum over the queries of the chosen model's value, on each interval.

        Args:
            values: (n, M).

        Returns:
            (B,) sums.
        """
        rows = self.changed_query
        step = values[rows, self.changed_to] - values[rows, self._previous]
        first = values[np.arange(len(self.start)), self.start].sum()
        jumps = np.bincount(self.changed_at, weights=step, minlength=len(self.edges) - 1)
        totals: Floats = first + np.cumsum(jumps)
        return totals

    def shares(self, m: int) -> Floats:
        """(B, M) share of the queries that each of M models gets, on each interval."""
        return np.stack(
            [
                self.totals(np.broadcast_to(np.eye(m)[j], (len(self.start), m)))
                / max(len(self.start), 1)
                for j in range(m)
            ],
            axis=1,
        )

    @cached_property
    def _previous(self) -> Ints:
        """(E,) the column that each change leaves."""
        current = self.start.copy()
        previous = np.empty_like(self.changed_to)
        for i, (query, to) in enumerate(zip(self.changed_query, self.changed_to, strict=True)):
            previous[i] = current[query]
            current[query] = to
        return previous


def find_path(engine: Engine, features: Floats, call: RoutingCall) -> AlphaPath:
    """The path of each query under the constraints of a call (its alpha does not matter).

    Args:
        engine: artifact and scorer.
        features: (n, F) of the scorer.
        call: limits on models, cost and score.

    Raises:
        NoEligibleModelError: the constraints leave nobody for a query.
    """
    if engine.scorer.linear:
        # Limits leave the same models at every alpha but 1, where unknown costs play no part.
        at_zero, at_one = (engine.rank(features, alpha, call) for alpha in (0.0, 1.0))
        low = at_zero.eligible_utility
        high = np.where(np.isneginf(low), -np.inf, at_one.utility)
        # A fallback is the same at every alpha; the nearest model is taken as if it were.
        settled = np.flatnonzero(at_zero.settled)
        low[settled] = high[settled] = -np.inf
        low[settled, at_zero.best[settled]] = high[settled, at_zero.best[settled]] = 0.0
        # A model without a known cost can be chosen at 1 alone.
        newly = np.isneginf(low[np.arange(len(low)), at_one.best])
        path = _envelope(low, high, np.where(newly, at_one.best, -1))
        return replace(path, edges=engine.scorer.scale.alpha(path.edges))
    choices = np.stack([engine.choose(features, float(alpha), call) for alpha in GRID])
    at, query = np.nonzero(choices[1:] != choices[:-1])
    edges = np.concatenate([[0.0], (GRID[1:] + GRID[:-1]) / 2, [1.0]])
    return AlphaPath(edges, choices[0], at + 1, query, choices[at + 1, query], exact=False)


def _envelope(low: Floats, high: Floats, at_one: Ints | None = None) -> AlphaPath:
    """Upper envelopes over [0, 1] of lines given by their values at 0 and at 1.

    Args:
        low: (n, M) values at 0; -inf marks a model that is not eligible.
        high: (n, M) values at 1.
        at_one: (n,) column that is chosen at 1 whatever the lines say, or -1; default, none.
    """
    n = len(low)
    out = np.isneginf(low) | np.isneginf(high)
    base = np.where(out, -np.inf, low)
    slope = np.where(out, 0.0, high - np.where(out, 0.0, low))
    # Among equals at 0, the steepest is on top right after it.
    peak = base.max(axis=1, keepdims=True)
    current = np.argmax(np.where(base == peak, slope, -np.inf), axis=1)
    start = current.copy()
    rows = np.arange(n)
    reached = np.zeros(n)
    events: list[tuple[Floats, Ints, Ints]] = []
    while len(rows):
        now = current[rows]
        rise = slope[rows] - slope[rows, now][:, None]
        gap = base[rows, now][:, None] - base[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            meet = np.where((rise > 0) & np.isfinite(gap), gap / rise, np.inf)
        # Where several lines nearly meet in one point, rounding must not put a later change first.
        first = np.maximum(meet.min(axis=1), reached[rows])
        # Several lines may meet in one point; the steepest of them goes on.
        following = np.argmax(np.where(meet <= first[:, None], slope[rows], -np.inf), axis=1)
        goes_on = first < 1
        rows, following, first = rows[goes_on], following[goes_on], first[goes_on]
        current[rows] = following
        reached[rows] = first
        events.append((first, rows, following))
    at_one = np.full(n, -1) if at_one is None else at_one
    rows = np.flatnonzero(at_one >= 0)
    events.append((np.ones(len(rows)), rows, at_one[rows]))
    alpha, query, to = (np.concatenate(parts) for parts in zip(*events, strict=True))
    order = np.argsort(alpha, kind="stable")
    alpha, query, to = alpha[order], query[order], to[order]
    breaks, at = np.unique(alpha, return_inverse=True)
    inner = breaks > 0
    edges = np.concatenate([[0.0], breaks[inner], [1.0]])
    return AlphaPath(edges, start, at + int(inner.all()), query, to, exact=True)
