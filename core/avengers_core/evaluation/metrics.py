"""Metrics of a router's accuracy/cost trade-off, under the names that the benchmarks gave them.

PerfGain, CostSave and ParetoDist are LLMRouterBench's (arXiv 2601.07206), AIQ is RouterBench's
(arXiv 2403.12031). All take operating points: the accuracy and the cost that a router reaches at
each alpha.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from avengers_core.common.arrays import Floats, Mask


class Metric(NamedTuple):
    """How a metric is shown.

    Attributes:
        name: that a benchmark gave it.
        meaning: in a few words.
        percent: whether it is a share.
        keep: what a saving keeps of the best single model's accuracy; None: it is no saving.
    """

    name: str
    meaning: str
    percent: bool = False
    keep: float | None = None


METRICS: dict[str, Metric] = {
    "perf_gain": Metric(
        "PerfGain", "best accuracy over alpha, relative to the best single model", True
    ),
    "cost_save": Metric("CostSave", "cost saved at the best single model's accuracy", True, 1.0),
    "cost_save_95": Metric("CostSave at 95 %", "cost saved at 95 % of its accuracy", True, 0.95),
    "aiq": Metric("AIQ", "mean, over costs, of the best accuracy reachable at or under each"),
    "gain_over_random": Metric("Gain over random", "best accuracy less that of choosing at random"),
    "gap_to_oracle": Metric(
        "Gap to oracle", "what choosing the best model for every query would add"
    ),
    "pareto_dist": Metric("ParetoDist", "mean distance to the Pareto front; 0 is on it"),
}
"""By the name of a report's attribute."""
OF_STUDIES = ("perf_gain", "cost_save_95", "aiq")
"""Those that a study shows of each value."""

# Points compared with a whole front at once: bounds memory.
_BLOCK = 1024


def best(accuracy: Floats) -> float:
    """The highest of (B,) accuracies; NaN where none is known."""
    return float(np.fmax.reduce(accuracy))


def perf_gain(accuracy: Floats, best_single: float) -> float:
    """Best accuracy over alpha, relative to the best single model: 0.05 is 5 % more.

    Args:
        accuracy: (B,) accuracy at each alpha; NaN where unknown.
        best_single: accuracy of the best single model.
    """
    return best(accuracy) / best_single - 1 if best_single > 0 else 0.0


def cost_save(
    accuracy: Floats, cost: Floats, best_single: float, its_cost: float, keep: float = 1.0
) -> float:
    """Share of the best single model's cost saved while keeping a share of its accuracy.

    Args:
        accuracy: (B,) accuracy at each alpha.
        cost: (B,) cost at each alpha, in any unit.
        best_single: accuracy of the best single model.
        its_cost: and its cost, in the same unit.
        keep: share of its accuracy to keep, in (0, 1].

    Returns:
        The saving, at most 1, negative where the router costs more; NaN where no alpha keeps that
        accuracy.
    """
    enough = (accuracy >= keep * best_single - 1e-12) & ~np.isnan(cost)
    if not enough.any() or not its_cost > 0:
        return float("nan")
    return float(1 - cost[enough].min() / its_cost)


def aiq(accuracy: Floats, cost: Floats, low: float, high: float) -> float:
    """Mean, over costs from ``low`` to ``high``, of the best accuracy reachable at or under each.

    Below the router's lowest cost its cheapest point counts. RouterBench joins the points by their
    convex hull, which a router reaches only by drawing lots between two alphas; this is the
    staircase that it reaches as it is, so never more.

    Args:
        accuracy: (B,) accuracy at each alpha.
        cost: (B,) cost at each alpha.
        low: lower end of the costs, usually that of the cheapest single model.
        high: upper end, usually that of the most expensive single model.
    """
    accuracy, cost = _known(accuracy, cost)
    if not len(cost):
        return float("nan")
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(accuracy[order])
    if not high > low:
        return float(best[max(int(np.searchsorted(cost[order], high, side="right")) - 1, 0)])
    steps = np.clip(np.concatenate([[low], cost[order][1:], [high]]), low, high)
    return float(np.sum(best * np.diff(steps)) / (high - low))


def pareto_front(accuracy: Floats, cost: Floats) -> Mask:
    """(B,) which points no other point beats in one of accuracy and cost without losing the other.

    Args:
        accuracy: (B,) accuracies.
        cost: (B,) costs.
    """
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracy[order][:-1]]))
    front = np.zeros(len(accuracy), dtype=np.bool_)
    front[order] = accuracy[order] > best
    return front


def pareto_dist(
    accuracy: Floats, cost: Floats, rival_accuracy: Floats, rival_cost: Floats
) -> float:
    """Mean distance of a router's points to the Pareto front of them and their rivals.

    Both axes are scaled to the range of all points, so the distance is a share of the picture's
    side; 0 means that every point is on the front. (The paper gives the name and the idea, not
    the scaling, which is ours.)

    Args:
        accuracy: (B,) the router's accuracies.
        cost: (B,) and costs.
        rival_accuracy: (R,) those of the single models, or of other routers.
        rival_cost: (R,) and their costs.
    """
    own = np.stack(_known(accuracy, cost), axis=1)
    rivals = np.stack(_known(rival_accuracy, rival_cost), axis=1)
    if not len(own):
        return float("nan")
    points = np.concatenate([own, rivals])
    spread = np.ptp(points, axis=0)
    # Costs that differ by rounding alone are no spread.
    flat = spread <= 1e-9 * np.abs(points).max(axis=0)
    scaled = points / np.where(flat, 1.0, spread)
    front = scaled[pareto_front(points[:, 0], points[:, 1])]
    distance = [
        np.linalg.norm(scaled[i : i + _BLOCK, None] - front, axis=2).min(axis=1)
        for i in range(0, len(own), _BLOCK)
    ]
    return float(np.concatenate(distance)[: len(own)].mean())


def _known(accuracy: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """The points of which both are known."""
    known = ~(np.isnan(accuracy) | np.isnan(cost))
    return accuracy[known], cost[known]
