"""Decisions: which models could answer a query, and what score and cost are expected of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.routing.decision import explaining
from avengers_core.routing.decision.candidates import (
    Candidate,
    ClusterVote,
    Exploration,
    as_dicts,
    candidates_of,
)

if TYPE_CHECKING:
    from avengers_core.routing.queries import Queries

Basis = Literal["query", "overall", "unfamiliar"]


@dataclass(eq=False, repr=False)
class RoutingDecision:
    """The eligible models for one query, best first, and why the others are not.

    Attributes:
        candidates: every eligible model, best first; at least one.
        ineligible: model -> reason, for every other model of the artifact.
        clusters: the clusters with the largest votes, largest first.
        alpha: the weight of expected score against expected cost that was used.
        scorer: the scorer's name.
        n: how many models were asked for.
        basis: ``"query"``; ``"overall"`` where there was no text to go by and the artifact's
            overall means decided; ``"unfamiliar"`` where the query was less like the records than
            ``min_familiarity``, and the ``fallback`` answers, or overall means decided.
        prompt_tokens: length of the whole prompt that costs were scaled to, or None.
        relaxed: the constraints left nobody, and the nearest model was taken.
        familiarity: share of the records, in [0, 1], that are no more like the rest of them than
            the query is; None where the artifact does not know. Of the least familiar 2 % the
            estimates go towards the overall means by themselves.
        question_share: how far the query itself was decided on, in [0, 1], rather than what was
            said before it in a conversation.
        stayed: another model would be the best, had this one not read the prompt's beginning
            before.
        query: what was decided on, one row of numbers; None for a blank text, and where many were
            decided at once.
        exploration: how the first candidate was drawn, or None where nothing was left to chance.
        plausible: gives :attr:`plausible_scores`; default, nothing is known.
        cut: characters of what was decided on that were left out, because only the first 100,000
            of a text are embedded.
    """

    candidates: tuple[Candidate, ...]
    ineligible: Mapping[str, str]
    clusters: tuple[ClusterVote, ...]
    alpha: float
    scorer: str
    _: KW_ONLY
    n: int = 1
    basis: Basis = "query"
    prompt_tokens: int | None = None
    relaxed: bool = False
    familiarity: float | None = None
    question_share: float = 1.0
    stayed: bool = False
    query: Queries | None = None
    exploration: Exploration | None = None
    plausible: Callable[[], Mapping[str, npt.NDArray[np.floating]]] | None = None
    cut: int = 0

    @property
    def ranking(self) -> tuple[str, ...]:
        """The ids of the eligible models, best first."""
        return tuple([c.model for c in self.candidates])

    def candidate(self, model: str) -> Candidate:
        """What is expected of one of them.

        Raises:
            ValueError: the model is not eligible.
        """
        if model not in self.ranking:
            raise ValueError(f"{model!r} is no candidate; there are {', '.join(self.ranking)}")
        return self._candidate(model)

    def _candidate(self, model: str) -> Candidate:
        return self.candidates[self.ranking.index(model)]

    @property
    def model(self) -> str:
        """The best model."""
        return self.candidates[0].model

    @property
    def explored(self) -> bool:
        """Whether the first candidate was drawn in place of the best."""
        return self.exploration is not None and self.model != self.exploration.ranking[0]

    @property
    def models(self) -> tuple[str, ...]:
        """The ``n`` best models, best first; fewer if fewer are eligible."""
        return self.ranking[: self.n]

    @property
    def expected_score(self) -> float:
        """Of the best model, in [0, 1]."""
        return self.candidate(self.model).expected_score

    @property
    def expected_cost(self) -> float | None:
        """Of the best model, USD a call, or None where unknown."""
        return self.candidate(self.model).expected_cost

    @property
    def plausible_scores(self) -> Mapping[str, npt.NDArray[np.floating]]:
        """model -> (S,) scores that the records allow for, in S ways; empty where unknown.

        Of every model, eligible or not. The S ways are the same for all models, so that what is
        uncertain of all of them alike cancels in a comparison. Worked out when asked for; the
        first time, for a router, takes 0.1 to 3 seconds.
        """
        return self.plausible() if self.plausible else {}

    @property
    def standard_errors(self) -> dict[str, float]:
        """model -> standard error of its expected score, in score; empty where unknown.

        How well the mean score on queries like this one is known, not how much answers vary.
        """
        return {model: float(draws.std()) for model, draws in self.plausible_scores.items()}

    def among(
        self, candidates: tuple[Candidate, ...], ineligible: Mapping[str, str]
    ) -> RoutingDecision:
        """The same decision among other candidates, the first of which it is for."""
        return RoutingDecision(
            candidates,
            ineligible,
            self.clusters,
            self.alpha,
            self.scorer,
            n=self.n,
            basis=self.basis,
            prompt_tokens=self.prompt_tokens,
            relaxed=self.relaxed,
            familiarity=self.familiarity,
            question_share=self.question_share,
            query=self.query,
            plausible=lambda: self.plausible_scores,
            cut=self.cut,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RoutingDecision) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.model, self.alpha, self.scorer))

    def __reduce__(self) -> tuple[Callable[..., RoutingDecision], tuple[Any, ...]]:
        scores = partial(dict[str, Any], self.plausible_scores)
        return RoutingDecision.of_flat, (self.flat(), self.query, scores)

    def __repr__(self) -> str:
        return f"<RoutingDecision: {self}>"

    def __str__(self) -> str:
        return explaining.in_short(self)

    def explain(self) -> str:
        """A short table: the ranking, the clusters that voted, and who is not eligible."""
        return explaining.in_full(self)

    def _repr_html_(self) -> str:
        return explaining.as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """The decision as plain JSON types; it does not hold the query's text."""
        return {
            "model": self.model,
            "models": list(self.models),
            "alpha": self.alpha,
            "expected_score": self.expected_score,
            "expected_cost": self.expected_cost,
            "scorer": self.scorer,
            "basis": self.basis,
            "familiarity": self.familiarity,
            "relaxed": self.relaxed,
            "prompt_tokens": self.prompt_tokens,
            "question_share": self.question_share,
            "stayed": self.stayed,
            "explored": self.explored,
            "cut": self.cut,
            "candidates": [c.to_dict() for c in self.candidates],
            "ineligible": {model: str(why) for model, why in self.ineligible.items()},
            "clusters": as_dicts(self.clusters),
        }

    def flat(self) -> tuple[Any, ...]:
        """All of it but the query and the plausible scores, in a few plain tuples and an array.

        What waits for a log is to be few objects: the garbage collector would look at them, and at
        all else that is there, again and again. A plain tuple of numbers and texts is none of its
        business, nor is an array.
        """
        return (
            self.ranking,
            *self._expected(),
            tuple(chain.from_iterable(self.clusters)),
            self.ineligible,
            *_facts(self),
        )

    def _expected(self) -> tuple[tuple[str, ...], Floats]:
        """Models, the candidates among them, and (4, M) what is expected of each."""
        of_each = [[np.nan if x is None else x for x in c[1:]] for c in self.candidates]
        return self.ranking, np.array(of_each).T

    @classmethod
    def of_flat(
        cls,
        flat: Sequence[Any],
        query: Queries | None = None,
        plausible: Callable[[], Mapping[str, npt.NDArray[np.floating]]] | None = None,
    ) -> RoutingDecision:
        """The inverse of :meth:`flat`, with what is not part of it."""
        ranking, models, expected, clusters, ineligible, *facts = flat
        candidates = dict(zip(models, candidates_of(models, expected), strict=True))
        return cls(
            tuple([candidates[model] for model in ranking]),
            ineligible,
            _votes(clusters),
            **dict(zip(_FACTS, facts, strict=True)),
            query=query,
            plausible=plausible,
        )


_FACTS = (
    *("alpha", "scorer", "n", "basis", "prompt_tokens", "relaxed", "familiarity"),
    *("question_share", "stayed", "exploration", "cut"),
)
_facts = attrgetter(*_FACTS)


def _votes(flat: Sequence[Any]) -> tuple[ClusterVote, ...]:
    fields = [iter(flat)] * len(ClusterVote._fields)
    return tuple(map(ClusterVote._make, zip(*fields, strict=True)))
