"""What a decision is made of: candidates, votes of clusters, and a draw among the candidates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from math import isnan
from typing import Any, NamedTuple

from avengers_core.common.arrays import Floats


class Candidate(NamedTuple):
    """One eligible model for one query.

    Attributes:
        model: its id.
        utility: what the ranking is by; only comparable inside one decision.
        expected_score: in [0, 1].
        expected_cost: USD for this call, or None where the artifact knows no cost of the model.
        support: how far the model has records where the query lands, in [0, 1].
    """

    model: str
    utility: float
    expected_score: float
    expected_cost: float | None
    support: float

    def to_dict(self) -> dict[str, Any]:
        """The candidate as plain JSON types."""
        return self._asdict()


# Thirteen calls of Candidate itself would take longer than all else that a decision needs.
_as_candidate = partial(tuple.__new__, Candidate)


def candidates_of(models: Sequence[str], expected: Floats) -> list[Candidate]:
    """Candidates.

    Args:
        models: M ids.
        expected: (4, M) utility, expected score, expected cost (NaN where unknown) and support.
    """
    utility, score, cost, support = expected.tolist()
    known = [None if isnan(c) else c for c in cost]
    return list(map(_as_candidate, zip(models, utility, score, known, support, strict=True)))


class ClusterVote(NamedTuple):
    """One cluster that had a say.

    Attributes:
        cluster: its number.
        weight: its share of the votes, in [0, 1].
        size: how many records it holds.
        topics: the datasets that most of them come from.
    """

    cluster: int
    weight: float
    size: int
    topics: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The vote as plain JSON types."""
        return as_dicts([self])[0]


def as_dicts(votes: Iterable[ClusterVote]) -> list[dict[str, Any]]:
    """Votes as plain JSON types."""
    return [
        {"cluster": cluster, "weight": weight, "size": size, "topics": list(topics)}
        for cluster, weight, size, topics in votes
    ]


class Exploration(NamedTuple):
    """A draw of the model that is asked first.

    Attributes:
        share: the chance, in [0, 1], that it is another than the best, each of them as likely.
        ranking: the models that were drawn from, the best first; at least two.
    """

    share: float
    ranking: tuple[str, ...]

    def first(self, model: str) -> float:
        """The chance that a model was to be asked first."""
        if model == self.ranking[0]:
            return 1.0 - self.share
        return self.share / (len(self.ranking) - 1)

    def chance(self, model: str, down: Collection[str] = (), *, took_over: bool = False) -> float:
        """The chance that a model was to answer.

        Args:
            model: the one that did.
            down: those that could not, as far as is known.
            took_over: it answered after others had failed: so it would have after any of them.
                Else it did where it is the best of those that could.
        """
        chance = self.first(model)
        could = next((m for m in self.ranking if m not in down), model)
        if took_over or could == model:
            chance += sum(self.first(m) for m in self.ranking if m in down and m != model)
        return min(chance, 1.0)
