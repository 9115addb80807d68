"""The curve over alpha, known at some alphas only: of records that were read in parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avengers_core.common.arrays import Floats
from avengers_core.evaluation.rows import Average
from avengers_core.evaluation.tallying.tally import Tally
from avengers_core.routing.alpha.curve import AlphaCurve
from avengers_core.routing.alpha.path import GRID

GRID_ALPHAS: tuple[float, ...] = tuple(GRID[::4].tolist())
"""Where the curve is known."""


@dataclass(frozen=True, eq=False)
class _GridPath:
    """Alphas that were tried, with the shares of the models there.

    Attributes:
        alphas: (B,) ascending from 0 to 1.
        chosen: (B, M) share of the queries that each model got.
    """

    alphas: Floats
    chosen: Floats
    exact: bool = False

    @property
    def edges(self) -> Floats:
        """(B + 1,) halfway between the alphas."""
        return np.concatenate([[0.0], (self.alphas[1:] + self.alphas[:-1]) / 2, [1.0]])

    def shares(self, m: int) -> Floats:
        """(B, M) share of the queries that each of M models gets, on each interval."""
        return self.chosen[:, :m]


def grid_curve(tally: Tally, average: Average) -> AlphaCurve:
    """The curve of a tally that has routed at :data:`GRID_ALPHAS`."""
    tally = tally.completed()
    at = {way.alpha: s for way, s in tally.ways.items() if way.kind == "router"}
    routed, singles = [at[alpha] for alpha in GRID_ALPHAS], tally.of_kind("model")
    chosen = np.stack([s.chosen.sum(axis=0) for s in routed]) / tally.queries.sum()
    return AlphaCurve(
        _GridPath(np.array(GRID_ALPHAS), chosen),
        tally.models,
        np.array([s.accuracy(average) for s in routed]),
        np.array([s.mean_cost for s in routed]),
        np.array([s.accuracy(average) for s in singles]),
        np.array([s.mean_cost for s in singles]),
    )
