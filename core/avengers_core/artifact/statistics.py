"""Sums per (cluster, model): all that routing needs of the records, and it adds up.

Sums, never averages or rankings: the statistics of two shards are added to give those of both, a
model is added by adding a column, and the weight of cost against score is applied at route time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.additive import WeightedSums
from avengers_core.artifact.clusters import ratio, select, sums_of_cells
from avengers_core.artifact.parts.arrays import check_arrays
from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.embedders.tokens import n_bytes

if TYPE_CHECKING:
    from avengers_core.records.outcomes import Outcomes

_ROUNDING = 1e-9
_LEAST_COUNT = 1e-3
KEPT = 50.0
"""Records' worth of a model in a cluster that do not fade before there are as many newer ones."""
# In the artifacts of this version and later.
_OF_TOKENS = (
    *("n_token_cost", "token_length", "token_length_squared"),
    *("prompt_length", "completion_length"),
)
_COUNTS = ("topics", "n", "squares", "n_cost", "n_tokens", "n_token_cost")


@dataclass(frozen=True, eq=False)
class Statistics(WeightedSums):
    """Additive sums over the records of K clusters, M models and D datasets.

    What is summed by model is weighted by the queries that a record stands for, see
    :attr:`avengers_core.records.outcomes.Outcomes.weights`: 1, where there is no propensity.

    Attributes:
        topics: (K, D) records of each dataset in each cluster.
        query_length: (K,) bytes of UTF-8 of the queries in each cluster.
        n: (K, M) records with a score.
        squares: (K, M) sum of their squared weights.
        inferred: (K, M) how many of them are no records of the model, but taken over from one that
            it is said to be like.
        score: (K, M) sum of scores.
        n_cost: (K, M) records with a known cost.
        cost: (K, M) sum of known costs, USD.
        n_tokens: (K, M) records with a score and known prompt and completion tokens.
        prompt_tokens: (K, M) sum of prompt tokens over those.
        completion_tokens: (K, M) sum of completion tokens over those.
        n_token_cost: (K, M) records among those with a known cost.
        token_cost: (K, M) sum of their costs, USD.
        length: (K, M) sum of the queries' lengths over the records with a known cost.
        length_squared: (K, M) likewise of their squares.
        length_cost: (K, M) likewise of lengths times cost.
        token_length: (K, M) sum of the queries' lengths over the records with known tokens.
        token_length_squared: (K, M) likewise of their squares.
        prompt_length: (K, M) likewise of lengths times prompt tokens.
        completion_length: (K, M) likewise of lengths times completion tokens.
    """

    topics: Floats
    query_length: Floats
    n: Floats
    squares: Floats
    inferred: Floats
    score: Floats
    n_cost: Floats
    cost: Floats
    n_tokens: Floats
    prompt_tokens: Floats
    completion_tokens: Floats
    n_token_cost: Floats
    token_cost: Floats
    length: Floats
    length_squared: Floats
    length_cost: Floats
    token_length: Floats
    token_length_squared: Floats
    prompt_length: Floats
    completion_length: Floats

    SHARED = ("topics", "query_length")

    @classmethod
    def collect(cls, outcomes: Outcomes, labels: npt.NDArray[np.integer], k: int) -> Statistics:
        """Sum up records.

        Args:
            outcomes: n records as columns.
            labels: (n,) each record's cluster, in [0, k).
            k: number of clusters.
        """
        weight = outcomes.weights[:, None]

        def by_model(values: Floats | float, known: npt.NDArray[np.bool_]) -> Floats:
            return sums_of_cells(np.where(known, values * weight, 0.0), labels, k)

        scored = ~np.isnan(outcomes.scores)
        # What a model without a score cost says nothing of what its answers cost.
        priced = ~np.isnan(outcomes.costs) & scored
        counted = scored & ~np.isnan(outcomes.prompt_tokens) & ~np.isnan(outcomes.completion_tokens)
        lengths = outcomes.length
        if lengths is None:
            lengths = np.array([n_bytes(q) for q in outcomes.queries], dtype=np.float64)
        length = lengths[:, None]
        n_datasets = len(outcomes.datasets)
        topics = np.bincount(labels * n_datasets + outcomes.dataset, minlength=k * n_datasets)
        return cls(
            topics=topics.reshape(k, n_datasets).astype(np.float64),
            query_length=sums_of_cells(length, labels, k)[:, 0],
            n=by_model(1.0, scored),
            squares=by_model(weight, scored),
            inferred=np.zeros((k, len(outcomes.models))),
            score=by_model(outcomes.scores, scored),
            n_cost=by_model(1.0, priced),
            cost=by_model(outcomes.costs, priced),
            n_tokens=by_model(1.0, counted),
            prompt_tokens=by_model(outcomes.prompt_tokens, counted),
            completion_tokens=by_model(outcomes.completion_tokens, counted),
            n_token_cost=by_model(1.0, counted & priced),
            token_cost=by_model(outcomes.costs, counted & priced),
            length=by_model(length, priced),
            length_squared=by_model(length**2, priced),
            length_cost=by_model(outcomes.costs * length, priced),
            token_length=by_model(length, counted),
            token_length_squared=by_model(length**2, counted),
            prompt_length=by_model(outcomes.prompt_tokens * length, counted),
            completion_length=by_model(outcomes.completion_tokens * length, counted),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> Statistics:
        """The inverse of :meth:`stored`; raises KeyError or TypeError for missing ones.

        Older versions knew tokens only where the cost was known, and not how they go with the
        queries' lengths: as the costs do is then the best guess.
        """
        n = arrays["n"]
        arrays = {"squares": n, "inferred": np.zeros_like(n), **arrays}
        if any(name in arrays for name in _OF_TOKENS):
            return cls(**arrays)
        n, n_cost, cost = arrays["n_tokens"], arrays["n_cost"], arrays["cost"]
        share = ratio(n, n_cost)
        usual = ratio(arrays["length_cost"], cost)
        return cls(
            **arrays,
            n_token_cost=n,
            token_length=arrays["length"] * share,
            token_length_squared=arrays["length_squared"] * share,
            prompt_length=arrays["prompt_tokens"] * usual,
            completion_length=arrays["completion_tokens"] * usual,
        )

    @classmethod
    def zeros(cls, k: int, m: int, d: int) -> Statistics:
        """Statistics of no records."""
        return cls(**{name: np.zeros(shape) for name, shape in _shapes(k, m, d).items()})

    def of_failing(self) -> Mapping[str, Floats]:
        return dict.fromkeys(("n", "squares"), self.size[:, None])

    def faded(self, factor: float, newer: Statistics | None = None) -> Statistics:
        """All sums times a factor; what is left of less than a thousandth of a record is none.

        Args:
            factor: in [0, 1].
            newer: evidence in favour of which it fades: a model keeps :data:`KEPT` records' worth
                in a cluster, or what there is, until there is as much that is newer.
        """
        cells = np.full_like(self.n, factor)
        if newer is not None:
            least = np.minimum(self.n, KEPT) - newer.n
            cells = np.maximum(factor, ratio(least, self.n))
        kept = self.scaled(cells, factor).arrays()
        for name in _COUNTS:
            kept[name] = np.where(kept[name] < _LEAST_COUNT, 0.0, kept[name])
        for name in ("score", "inferred"):
            kept[name] = np.minimum(kept[name], kept["n"])
        return replace(self, **kept)

    @cached_property
    def size(self) -> Floats:
        """(K,) records in each cluster."""
        total: Floats = self.topics.sum(axis=1)
        return total

    def stored(self) -> dict[str, Floats]:
        """The sums by name; without those that say nothing: where all weights are 1, or all is
        known from records.
        """
        arrays = self.telling()
        if not self.inferred.any():
            del arrays["inferred"]
        return arrays

    def select_datasets(self, columns: Sequence[int | None]) -> Statistics:
        """The topic columns asked for, in that order; None gives a column of zeros."""
        return replace(self, topics=select(self.topics, columns))

    def check(self, k: int, m: int, d: int) -> str | None:
        """What is wrong with the arrays, or None: shapes, NaN, negative, scores above 1."""
        if fault := check_arrays(self.arrays(), _shapes(k, m, d)):
            return fault
        for name in _COUNTS:
            counts = getattr(self, name)
            if ((counts > 0) & (counts < _LEAST_COUNT)).any():
                return f"{name} holds counts below {_LEAST_COUNT:g}"
        if (self.score > self.n * (1 + _ROUNDING)).any():
            return "score holds sums of more than 1 a record"
        return None

    def lent(self, column: int, share: float) -> Statistics:
        wide = super().lent(column, share)
        return replace(wide, inferred=np.append(self.inferred, wide.n[:, -1:], axis=1))

    def most_frequent(
        self, cluster: int, datasets: Sequence[str], most: int = 3
    ) -> tuple[str, ...]:
        """The datasets that a cluster's records come from, most frequent first."""
        counts = self.topics[cluster]
        order = np.argsort(-counts, kind="stable")[:most]
        return tuple(datasets[i] for i in order if counts[i] > 0)


def _shapes(k: int, m: int, d: int) -> dict[str, tuple[int, ...]]:
    """Of the sums over K clusters, M models and D datasets."""
    of_models = dict.fromkeys(Statistics.PER_MODEL, (k, m))
    return {"topics": (k, d), "query_length": (k,), **of_models}
