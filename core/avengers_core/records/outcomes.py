"""Records as columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from avengers_core.common.arrays import Floats, Ints
from avengers_core.records.prices import Price, per_token
from avengers_core.records.record import Records

LEAST_PROPENSITY = 0.05
"""Lower chances count as this one: no record stands for more than twenty queries."""


@dataclass(frozen=True)
class Outcomes:
    """Records as columns: n queries, M models.

    Attributes:
        queries: the n texts.
        models: the M models, naming the columns.
        datasets: the dataset names that ``dataset`` indexes.
        dataset: (n,) int, each query's dataset.
        scores: (n, M) float64, NaN where a model has no result.
        costs: (n, M) float64 USD, NaN where unknown.
        prompt_tokens: (n, M) float64, NaN where unknown.
        completion_tokens: (n, M) float64, NaN where unknown.
        propensity: (n,) the chance with which the models of each query were chosen; NaN where
            unknown.
        length: (n,) bytes of UTF-8 of the texts, where they are known without the texts.
    """

    queries: list[str]
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    dataset: Ints
    scores: Floats
    costs: Floats
    prompt_tokens: Floats
    completion_tokens: Floats
    propensity: Floats
    length: Floats | None = None

    @property
    def weights(self) -> Floats:
        """(n,) queries that each stands for: 1 / propensity, clipped; 1 where it is not known.

        Queries of a kind that a model was seldom chosen for count for those where it was not.
        Source: inverse propensity weighting, Horvitz and Thompson 1952; clipped, for a few
        large weights would be all that counts.
        """
        weights: Floats = 1 / np.maximum(self.propensity, LEAST_PROPENSITY)
        return np.where(np.isnan(weights), 1.0, weights)

    def priced(self, prices: Mapping[str, Price]) -> Outcomes:
        """The same with costs of tokens times price, where both are known."""
        if not prices:
            return self
        paid, answered = per_token(self.models, prices)
        costs = paid * self.prompt_tokens + answered * self.completion_tokens
        return replace(self, costs=np.where(np.isnan(costs), self.costs, costs))

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: Sequence[int]) -> Outcomes:
        """Some of the queries, in the order given."""
        index = np.asarray(rows, dtype=np.int64)
        columns: dict[str, Any] = {name: getattr(self, name) for name in _OF_QUERIES}
        taken: Any = {name: None if c is None else c[index] for name, c in columns.items()}
        return replace(self, queries=[self.queries[i] for i in rows], **taken)


_OF_QUERIES = (
    *("dataset", "scores", "costs", "prompt_tokens", "completion_tokens"),
    *("propensity", "length"),
)


def to_outcomes(
    records: Records,
    models: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
) -> Outcomes:
    """Turn records into columns.

    Args:
        records: the records.
        models: the columns wanted, in order; default all, in order of first appearance.
        datasets: names that come first in ``Outcomes.datasets``; default none.
    """
    model_names = tuple(models) if models is not None else records.models
    dataset_names = tuple(dict.fromkeys((*(datasets or ()), *records.datasets)))
    column = {m: j for j, m in enumerate(model_names)}
    code = {d: i for i, d in enumerate(dataset_names)}
    shape = (len(records), len(model_names))
    scores = np.full(shape, 0.0 if records.missing == "zero" else np.nan)
    costs, prompt_tokens, completion_tokens = (np.full(shape, np.nan) for _ in range(3))
    for i, record in enumerate(records):
        for model, score in record.scores.items():
            j = column.get(model)
            if j is None:
                continue
            if score is not None:
                scores[i, j] = score
            usage = record.usages.get(model)
            if usage is not None:
                if usage.cost is not None:
                    costs[i, j] = usage.cost
                if usage.prompt_tokens is not None:
                    prompt_tokens[i, j] = usage.prompt_tokens
                if usage.completion_tokens is not None:
                    completion_tokens[i, j] = usage.completion_tokens
    return Outcomes(
        queries=[r.query for r in records],
        models=model_names,
        datasets=dataset_names,
        dataset=np.array([code[r.dataset] for r in records], dtype=np.int64),
        scores=scores,
        costs=costs,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        propensity=np.array([r.propensity or np.nan for r in records], dtype=np.float64),
    )
