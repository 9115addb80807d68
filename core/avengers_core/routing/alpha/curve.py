"""What is expected at every alpha: mean score and cost along a path, and the alpha of a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avengers_core.common.arrays import Floats, Ints, to_twelve_digits
from avengers_core.errors import AvengersError
from avengers_core.routing.alpha.path import AlphaPath, Path, find_path
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.engine import Engine
from avengers_core.routing.policy import check_target


class Target(NamedTuple):
    """A point on the curve over alpha, with what is expected there."""

    alpha: float
    score: float
    cost: float


@dataclass(frozen=True, eq=False, repr=False)
class AlphaCurve:
    """Mean score and cost over a set of queries as functions of alpha.

    Attributes:
        path: the intervals and choices.
        models: the M model ids.
        score: (B,) mean score on each interval; NaN where a model without any known score is
            chosen: the mean over the others' queries would make such an alpha look good.
        cost: (B,) mean cost, USD a call, on each interval; NaN where a model without known cost is
            chosen: the mean of the others' costs would make such an alpha look cheap.
        single_score: (M,) mean score of always choosing one model; NaN where unknown.
        single_cost: (M,) and its mean cost, USD a call; NaN where unknown.
    """

    path: Path
    models: tuple[str, ...]
    score: Floats
    cost: Floats
    single_score: Floats
    single_cost: Floats

    def __post_init__(self) -> None:
        for name in ("score", "cost"):
            unknown = np.isnan(getattr(self, f"single_{name}"))
            if unknown.any():
                taken = self.path.shares(len(unknown))[:, unknown].sum(axis=1)
                known = np.where(taken > 0, np.nan, getattr(self, name))
                object.__setattr__(self, name, known)

    def __repr__(self) -> str:
        ends = (
            f"alpha {alpha}: score {self.score[i]:.3f}, cost ${self.cost[i]:.3g}"
            for alpha, i in ((0, 0), (1, -1))
        )
        return f"<{type(self).__name__}: {len(self.score)} intervals, {'; '.join(ends)}>"

    @property
    def alphas(self) -> Floats:
        """(B,) an alpha inside each interval."""
        return self.path.alphas

    def alpha_for(self, **target: float | None) -> float:
        """The alpha of :meth:`target`; same arguments."""
        return self.target(**target).alpha

    def target(
        self,
        *,
        cost: float | None = None,
        score: float | None = None,
        saving: float | None = None,
    ) -> Target:
        """The alpha that meets one target, with the score and cost that the curve has there.

        Args:
            cost: the best score at no more than this mean cost, USD a call.
            score: the lowest cost at no less than this mean score, in [0, 1].
            saving: the best score at this share, in [0, 1], less than what always choosing the
                best single model costs.

        Raises:
            ValueError: not exactly one target, or a saving out of range.
            AvengersError: no alpha meets it; the message says what can be had.
        """
        if sum(t is not None for t in (cost, score, saving)) != 1:
            raise ValueError("give exactly one of cost=, score= and saving=")
        for name, value in (("cost", cost), ("score", score), ("saving", saving)):
            if value is not None:
                check_target(name, value)
        if np.isnan(self.score).all():
            raise AvengersError("no score is known at any alpha, so none can be told to be best")
        if saving is not None:
            cost = self._cost_saving(saving)
        if cost is not None:
            costs = np.where(np.isnan(self.score), np.nan, self.cost)
            within = costs <= cost * (1 + 1e-9)
            if not within.any():
                if np.isnan(costs).all():
                    raise AvengersError("no cost is known, so there is none to hold a target to")
                lowest = int(np.nanargmin(costs))
                saved = ""
                if saving is not None and cost > 0:
                    share = 1 - (1 - saving) * self.cost[lowest] / cost
                    saved = f", which saves {share:.3g} in place of saving={saving:g}"
                raise AvengersError(
                    f"no alpha has a mean cost of ${cost:.3g} or less; the lowest is "
                    f"${self.cost[lowest]:.3g} at alpha {self.alphas[lowest]:.3g}{saved}"
                )
            best = int(np.argmax(np.where(within, self.score, -np.inf)))
        else:
            within = self.score >= float(score or 0.0) - 1e-9
            if not within.any():
                raise AvengersError(
                    f"no alpha has a mean score of {score:.3g} or more; the highest is "
                    f"{np.nanmax(self.score):.3f} at alpha "
                    f"{self.alphas[np.nanargmax(self.score)]:.3g}"
                )
            best = int(np.lexsort((self.cost, ~within))[0])  # costs that are not known last
        return Target(float(self.alphas[best]), float(self.score[best]), float(self.cost[best]))

    def _cost_saving(self, saving: float) -> float:
        """The mean cost that is this share less than the best single model's."""
        best = best_single(self.single_score, self.single_cost)
        if np.isnan(self.single_cost[best]):
            raise AvengersError(
                f"the best single model is {self.models[best]}, whose cost is unknown, so there "
                f"is nothing to save against; give cost= or score="
            )
        return float((1 - saving) * self.single_cost[best])


def best_single(score: Floats, cost: Floats) -> int:
    """The column of the best single model, the cheaper of those that are equal but for rounding.

    Args:
        score: (M,) mean scores, NaN where unknown.
        cost: (M,) mean costs, NaN where unknown, which counts as more than any.
    """
    return int(np.lexsort((to_twelve_digits(cost), -to_twelve_digits(score)))[0])


def curve(
    path: AlphaPath,
    models: tuple[str, ...],
    score: Floats,
    cost: Floats,
    *,
    weight: Floats | None = None,
    group: Ints | None = None,
) -> AlphaCurve:
    """Mean score and cost along a path; missing values are left out of the means.

    Args:
        path: of n queries.
        models: the M columns.
        score: (n, M) score of each model on each query; NaN where missing.
        cost: (n, M) likewise cost, USD.
        weight: (n,) weights of the queries; default all equal.
        group: (n,) group of each query: the mean score is then that of the groups' means, while
            the mean cost stays what the average call costs. Default, no groups.
    """
    w = np.ones(len(score)) if weight is None else weight
    groups = [score]
    if group is not None:
        groups = [np.where((group == g)[:, None], score, np.nan) for g in np.unique(group)]
    return AlphaCurve(
        path,
        models,
        _mean_of_known([_mean_along(path, part, w) for part in groups]),
        _mean_along(path, cost, w),
        _mean_of_known([_weighted_mean(part, w) for part in groups]),
        _weighted_mean(cost, w),
    )


def expected_curve(
    engine: Engine, features: Floats, call: RoutingCall, weight: Floats | None
) -> AlphaCurve:
    """What the router itself expects along the path of some queries.

    Args:
        engine: artifact and scorer.
        features: (n, F) of the scorer.
        call: the limits; of models that they rule out nothing is known.
        weight: (n,) of the queries; None, all equal.

    Raises:
        NoEligibleModelError: the limits leave nobody for a query.
    """
    path = find_path(engine, features, call)
    ranking = engine.expect(features, call)
    there = ~engine.eligibility(1.0, call).ruled_out
    score, cost = (np.where(there, a, np.nan) for a in (ranking.score, ranking.cost))
    return curve(path, engine.artifact.models, score, cost, weight=weight)


def _mean_of_known(parts: list[Floats]) -> Floats:
    values = np.stack(parts)
    return _weighted_mean(values, np.ones(len(values)))


def _mean_along(path: AlphaPath, values: Floats, weight: Floats) -> Floats:
    known = ~np.isnan(values)
    total = path.totals(np.where(known, values, 0.0) * weight[:, None])
    mass = path.totals(known * weight[:, None])
    return np.divide(total, mass, out=np.full_like(total, np.nan), where=mass > 0)


def _weighted_mean(values: Floats, weight: Floats) -> Floats:
    known = ~np.isnan(values)
    mass = weight @ known
    total = weight @ np.where(known, values, 0.0)
    return np.divide(total, mass, out=np.full_like(total, np.nan), where=mass > 0)
