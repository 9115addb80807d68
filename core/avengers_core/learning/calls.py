"""The calls of a log as columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats, Ints, Mask
from avengers_core.records.outcomes import Outcomes
from avengers_core.routing.queries import Queries

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

# A query is unlike the records where fewer than this share of them are as unlike the others.
UNLIKE = 0.05


@dataclass(frozen=True, eq=False)
class Calls:
    """n answered calls, the earliest first.

    Attributes:
        queries: n vectors of the artifact's embedder and surface features.
        models: M ids, all of them the router's.
        answered: (n,) who answered, indices into ``models``.
        time: (n,) when, seconds since 1970 UTC.
        graded: (n,) when its first score came, likewise; NaN where there is none.
        score: (n,) in [0, 1], NaN where there is none.
        cost: (n,) USD, NaN where unknown.
        prompt_tokens: (n,) NaN where unknown.
        completion_tokens: (n,) NaN where unknown.
        propensity: (n,) chance with which the model that answered was chosen, NaN where unknown.
        alpha: (n,) the weight that the decision was made with.
        promised_score: (n,) what the decision expected of the model that answered.
        promised_cost: (n,) likewise USD, NaN where unknown.
        familiarity: (n,) how like the records the query is, in [0, 1]; NaN where unknown.
        left_out: further calls, whose vectors are another embedder's and whose texts were not kept.
    """

    queries: Queries
    models: tuple[str, ...]
    answered: Ints
    time: Floats
    graded: Floats
    score: Floats
    cost: Floats
    prompt_tokens: Floats
    completion_tokens: Floats
    propensity: Floats
    alpha: Floats
    promised_score: Floats
    promised_cost: Floats
    familiarity: Floats
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def numbers(cls) -> tuple[str, ...]:
        """The names of its columns of numbers."""
        others = ("queries", "models", "answered", "left_out")
        return tuple(field.name for field in fields(cls) if field.name not in others)

    def take(self, rows: npt.NDArray[Any]) -> Calls:
        """Some of the calls: (n,) bools, or their indices in order."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        q = self.queries
        columns = {name: getattr(self, name)[index] for name in ("answered", *self.numbers())}
        taken = Queries(q.vectors[index], None if q.surface is None else q.surface[index])
        return replace(self, queries=taken, **columns)

    def promised(self) -> Calls:
        """Those with a score that was promised one."""
        return self.take(np.isfinite(self.score) & np.isfinite(self.promised_score))

    def unlike(self) -> Mask:
        """Of those of known familiarity, whether each is unlike the records."""
        return self.familiarity[np.isfinite(self.familiarity)] < UNLIKE

    def outcomes(self, artifact: RouterArtifact) -> Outcomes:
        """The calls as records, each of the topic that its cluster is mostly made of.

        Args:
            artifact: whose clusters are meant, and whose models are the columns.
        """
        models = artifact.models
        column = np.array([models.index(model) for model in self.models])
        at = np.arange(len(self)), column[self.answered]

        def table(values: Floats) -> Floats:
            cells = np.full((len(self), len(models)), np.nan)
            cells[at] = values
            return cells

        datasets, topic = topics_of(artifact)
        return Outcomes(
            queries=[""] * len(self),
            models=models,
            datasets=datasets,
            dataset=topic[artifact.assign(self.queries.vectors)],
            scores=table(self.score),
            costs=table(self.cost),
            prompt_tokens=table(self.prompt_tokens),
            completion_tokens=table(self.completion_tokens),
            propensity=self.propensity,
            length=None if self.queries.surface is None else lengths(self.queries.surface),
        )


def topics_of(artifact: RouterArtifact) -> tuple[tuple[str, ...], Ints]:
    """The datasets of an artifact, and (K,) the one that each cluster is mostly made of."""
    topics = artifact.statistics.topics
    return artifact.datasets, topics.argmax(axis=1).astype(np.int64)


def lengths(features: npt.NDArray[np.floating]) -> Floats:
    """(n,) bytes of UTF-8 of texts, from their surface features."""
    size: Floats = np.rint(np.expm1(features[:, 0].astype(np.float64)))
    return size
