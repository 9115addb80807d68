"""What an evaluation finds, as numbers: rows to compare, the curve over alpha, and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np

from avengers_core.common.arrays import Floats, Ints
from avengers_core.common.plain import plain
from avengers_core.evaluation import metrics
from avengers_core.evaluation.bootstrap import intervals
from avengers_core.evaluation.estimating import Guesses
from avengers_core.evaluation.rows import Average, Row, router_name
from avengers_core.records.outcomes import Outcomes
from avengers_core.routing.alpha.curve import AlphaCurve, best_single

# Of a row, before and behind its accuracy by dataset.
_FIRST = ("name", "kind", "alpha")
_LAST = ("dataset_mean", "query_mean", "mean_cost", "total_cost", "priced")


@dataclass(frozen=True, eq=False)
class Results:
    """What :func:`avengers_core.evaluate` finds.

    Attributes:
        rows: every single model, the router at each alpha asked for, and the baselines.
        curve: accuracy and cost of the router as exact functions of alpha.
        average: what accuracy means in the metrics: the mean over datasets or over queries.
        scorer: the router's scorer.
        n_queries: how many queries were held out.
        outcomes: the held-out records as columns; None where only their sums are known.
        choices: alpha -> (n,) column chosen for each query; empty where only sums are known.
        guesses: what the router expected, where results are not known; None where only sums are.
        doubts: alpha, or model -> (S, D) by how much the sum of the scores that are not known, by
            dataset, may differ from what was expected; empty where all are known.
        relaxed: queries that no model meets the limits for, where the nearest model was taken
            (``on_empty="relax"``).
        setup: how it was made, as plain JSON types: embedder, fit, scorer, limits, version. Who
            knows more, such as the input, adds it by
            ``replace(report, setup={**report.setup, ...})``.
    """

    rows: tuple[Row, ...]
    curve: AlphaCurve
    average: Average
    scorer: str
    n_queries: int
    outcomes: Outcomes | None = None
    choices: Mapping[float, Ints] = field(default_factory=dict)
    guesses: Guesses | None = None
    doubts: Mapping[float | str, Floats] = field(default_factory=dict)
    relaxed: int = 0
    setup: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models of which no held-out record has a cost."""
        return self._unknown(self.curve.single_cost)

    @property
    def unscored(self) -> tuple[str, ...]:
        """The models of which no held-out record has a score.

        No metric counts an alpha at which one of them is chosen.
        """
        return self._unknown(self.curve.single_score)

    def _unknown(self, of_models: Floats) -> tuple[str, ...]:
        pairs = zip(self.curve.models, np.isnan(of_models), strict=True)
        return tuple(model for model, none in pairs if none)

    # -- LLMRouterBench and RouterBench ------------------------------------------------------

    @property
    def best_single(self) -> Row:
        """The single model with the best accuracy; the cheaper of equals."""
        models = [r for r in self.rows if r.kind == "model"]
        accuracy = np.array([self._accuracy(r) for r in models])
        return models[best_single(accuracy, np.array([r.mean_cost for r in models]))]

    @property
    def perf_gain(self) -> float:
        """Best accuracy over alpha, relative to the best single model (PerfGain)."""
        return metrics.perf_gain(self.curve.score, self._accuracy(self.best_single))

    @property
    def cost_save(self) -> float:
        """Cost saved at no less than the best single model's accuracy; NaN if never reached."""
        return self.cost_save_at(1.0)

    @property
    def cost_save_95(self) -> float:
        """Cost saved at 95 % of the best single model's accuracy; NaN if never reached."""
        return self.cost_save_at(0.95)

    def cost_save_at(self, keep: float) -> float:
        """Cost saved while keeping a share of the best single model's accuracy (CostSave).

        Args:
            keep: the share, in (0, 1]; 0.95 is the usual one beside 1.
        """
        best = self.best_single
        return metrics.cost_save(
            self.curve.score, self.curve.cost, self._accuracy(best), best.mean_cost, keep
        )

    @property
    def aiq(self) -> float:
        """Mean, over costs, of the best accuracy reachable at or under that cost (AIQ).

        Costs run from the cheapest to the most expensive single model's.
        """
        costs = self.curve.single_cost[~np.isnan(self.curve.single_cost)]
        if not len(costs):
            return float("nan")
        return metrics.aiq(self.curve.score, self.curve.cost, costs.min(), costs.max())

    @property
    def pareto_dist(self) -> float:
        """Mean distance to the Pareto front of the router and the single models (ParetoDist)."""
        known = ~np.isnan(self.curve.single_cost)
        return metrics.pareto_dist(
            self.curve.score,
            self.curve.cost,
            self.curve.single_score[known],
            self.curve.single_cost[known],
        )

    @property
    def gain_over_random(self) -> float:
        """Best accuracy over alpha less that of choosing at random, in accuracy points."""
        return metrics.best(self.curve.score) - self._accuracy(self.row("random"))

    @property
    def gap_to_oracle(self) -> float:
        """Accuracy of the per-query oracle less the best over alpha, in accuracy points."""
        return self._accuracy(self.row("oracle")) - metrics.best(self.curve.score)

    def row(self, name: str) -> Row:
        """The row of that name.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no row {name!r}; there are {[r.name for r in self.rows]}")

    def at(self, alpha: float) -> Row:
        """The router's row at one of the alphas asked for.

        Raises:
            KeyError: it is none of them.
        """
        asked = {row.alpha: row for row in self.rows if row.kind == "router"}
        nearest = min(asked, key=lambda known: abs((known or 0.0) - alpha), default=None)
        if nearest is None or router_name(nearest) != router_name(alpha):
            raise KeyError(f"the router has no row at alpha {alpha:g}; it has {list(asked)}")
        return asked[nearest]

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rows as flat dicts; name, alpha, ``accuracy.D`` for each dataset D, means, costs."""
        return [
            {name: getattr(row, name) for name in _FIRST}
            | {f"accuracy.{dataset}": value for dataset, value in row.accuracy.items()}
            | {name: getattr(row, name) for name in _LAST}
            for row in self.rows
        ]

    @property
    def metrics(self) -> dict[str, float]:
        """All metrics by name."""
        return {name: getattr(self, name) for name in metrics.METRICS}

    def confidence(
        self, alpha: float, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """Bootstrap intervals of the router at one alpha, and of its lead over the best single.

        Queries are drawn anew with replacement inside each dataset; the percentile method
        (Efron & Tibshirani 1993, chapter 13).

        Args:
            alpha: one of those evaluated.
            level: of confidence, in (0, 1).
            resamples: bootstrap samples, at most 100,000.
            seed: of the resampling.

        Returns:
            ``accuracy``, ``mean_cost`` and ``lead`` (accuracy points over the best single model):
            lower and upper end of each, NaN where it cannot be known (see :attr:`lone`).

        Raises:
            ValueError: only sums of the records are known, another alpha, or a number out of range.
        """
        if alpha not in self.choices:
            raise ValueError(
                f"there is nothing to resample at alpha {alpha:g}: evaluate() in memory, at this "
                f"alpha, keeps what it takes (kept: {sorted(self.choices)})"
            )
        return self.intervals(level, resamples, seed)[alpha]

    def intervals(
        self, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[float, dict[str, tuple[float, float]]]:
        """:meth:`confidence` of every alpha, on the same resamples; empty where it has none."""
        return intervals(self, level, resamples, seed)

    @property
    def complete(self) -> bool:
        """Whether every model's score is known on every query, so that none is estimated."""
        return all(r.known >= self.n_queries for r in self.rows if r.kind == "model")

    @property
    def costs_estimated(self) -> bool:
        """Whether costs of single models stand for calls whose cost is not known."""
        return any(r.priced > r.known_costs for r in self.rows if r.kind == "model")

    @property
    def lone(self) -> tuple[str, ...]:
        """The datasets with one query; drawn anew it is the same, so how it spreads is unknown.

        Intervals draw them anew together, as datasets. One alone adds nothing to the width; of one
        query in all there are none.
        """
        if self.outcomes is None:
            return ()
        count = np.bincount(self.outcomes.dataset, minlength=len(self.outcomes.datasets))
        return tuple(d for d, n in zip(self.outcomes.datasets, count, strict=True) if n == 1)

    def to_dict(self) -> dict[str, Any]:
        """Metrics, rows and the curve as plain JSON types; null where a value is unknown."""
        content = {
            "setup": self.setup,
            "scorer": self.scorer,
            "average": self.average,
            "n_queries": self.n_queries,
            "relaxed": self.relaxed,
            "best_single": self.best_single.name,
            "unpriced": self.unpriced,
            "unscored": self.unscored,
            "metrics": self.metrics,
            "rows": [asdict(row) for row in self.rows],
            "intervals": [
                {"alpha": alpha, "level": 0.95, **ends} for alpha, ends in self.intervals().items()
            ],
            "curve": {
                "exact": self.curve.path.exact,
                "alpha": self.curve.alphas,
                "accuracy": self.curve.score,
                "mean_cost": self.curve.cost,
            },
        }
        return cast("dict[str, Any]", plain(content))

    def _accuracy(self, row: Row) -> float:
        return row.dataset_mean if self.average == "dataset" else row.query_mean
