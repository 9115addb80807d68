"""Decisions: which models could answer a query, and what score and cost are expected of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from avengers_core.routing.decision import explaining
from avengers_core.routing.decision.candidates import Candidate, ClusterVote, Exploration, as_dicts

if TYPE_CHECKING:
    from avengers_core.routing.queries import Queries

Basis = Literal["query", "overall", "unfamiliar"]


class RoutingDecision:
    """The eligible models for one query, best first, and why the others are not.

    Most callers only want :attr:`model`, so the rest may be given as functions, which are called
    when it is first asked for.

    Args:
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
        model: the best model, where it is known without the candidates.
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
        plausible_scores: as the property of that name; default, nothing is known.
        cut: characters of what was decided on that were left out, because only the first 100,000
            of a text are embedded.
    """

    def __init__(
        self,
        candidates: tuple[Candidate, ...] | Callable[[], tuple[Candidate, ...]],
        ineligible: Mapping[str, str] | Callable[[], Mapping[str, str]],
        clusters: tuple[ClusterVote, ...] | Callable[[], tuple[ClusterVote, ...]],
        alpha: float,
        scorer: str,
        *,
        n: int = 1,
        basis: Basis = "query",
        prompt_tokens: int | None = None,
        relaxed: bool = False,
        model: str | None = None,
        familiarity: float | None = None,
        question_share: float = 1.0,
        stayed: bool = False,
        query: Queries | None = None,
        exploration: Exploration | None = None,
        plausible_scores: Callable[[], Mapping[str, npt.NDArray[np.floating]]] | None = None,
        cut: int = 0,
    ) -> None:
        self._candidates = candidates
        self._clusters = clusters
        self._ineligible = ineligible
        self.alpha = alpha
        self.scorer = scorer
        self.n = n
        self.basis = basis
        self.prompt_tokens = prompt_tokens
        self.relaxed = relaxed
        self._model = model
        self.familiarity = familiarity
        self.question_share = question_share
        self.stayed = stayed
        self.query = query
        self.exploration = exploration
        self._plausible_scores = plausible_scores
        self.cut = cut

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every eligible model, best first."""
        if callable(self._candidates):
            self._candidates = self._candidates()
        return self._candidates

    @property
    def ineligible(self) -> Mapping[str, str]:
        """model -> reason, for every other model of the artifact."""
        if callable(self._ineligible):
            self._ineligible = self._ineligible()
        return self._ineligible

    @property
    def clusters(self) -> tuple[ClusterVote, ...]:
        """The clusters with the largest votes, largest first."""
        if callable(self._clusters):
            self._clusters = self._clusters()
        return self._clusters

    @property
    def model(self) -> str:
        """The best model."""
        return self._model or self.candidates[0].model

    @property
    def explored(self) -> bool:
        """Whether the first candidate was drawn in place of the best."""
        return self.exploration is not None and self.model != self.exploration.ranking[0]

    @property
    def models(self) -> tuple[str, ...]:
        """The ``n`` best models, best first; fewer if fewer are eligible."""
        return tuple(c.model for c in self.candidates[: self.n])

    @property
    def expected_score(self) -> float:
        """Of the best model, in [0, 1]."""
        return self.candidates[0].expected_score

    @property
    def expected_cost(self) -> float | None:
        """Of the best model, USD a call, or None where unknown."""
        return self.candidates[0].expected_cost

    @property
    def plausible_scores(self) -> Mapping[str, npt.NDArray[np.floating]]:
        """model -> (S,) scores that the records allow for, in S ways; empty where unknown.

        Of every model, eligible or not. The S ways are the same for all models, so that what is
        uncertain of all of them alike cancels in a comparison. Worked out when asked for; the
        first time, for a router, takes 0.1 to 3 seconds.
        """
        return self._plausible_scores() if self._plausible_scores else {}

    @property
    def standard_errors(self) -> dict[str, float]:
        """model -> standard error of its expected score, in score; empty where unknown.

        How well the mean score on queries like this one is known, not how much answers vary.
        """
        return {model: float(draws.std()) for model, draws in self.plausible_scores.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RoutingDecision) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.model, self.alpha, self.scorer))

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_candidates": self.candidates,
            "_ineligible": self.ineligible,
            "_clusters": self.clusters,
            "_plausible_scores": partial(dict, self.plausible_scores),
        }

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
            "ineligible": dict(self.ineligible),
            "clusters": as_dicts(self.clusters),
        }

    def flat(self) -> tuple[Any, ...]:
        """All of it but the query and the plausible scores, in a few plain tuples.

        What waits for a log is to be few objects: the garbage collector would look at them, and at
        all else that is there, again and again. A plain tuple of numbers and texts is none of its
        business.
        """
        return (
            tuple(chain.from_iterable(self.candidates)),
            tuple(chain.from_iterable(self.clusters)),
            self.ineligible,
            *_facts(self),
        )

    @classmethod
    def of_flat(cls, flat: Sequence[Any]) -> RoutingDecision:
        """The inverse of :meth:`flat`."""
        candidates, clusters, ineligible, *facts = flat
        decision = cls.__new__(cls)
        decision.__dict__ = {
            "_candidates": _filled(Candidate, candidates),
            "_clusters": _filled(ClusterVote, clusters),
            "_ineligible": ineligible,
            **dict(zip(_FACTS, facts, strict=True)),
            "query": None,
            "_plausible_scores": None,
        }
        return decision


_FACTS = (
    *("alpha", "scorer", "n", "basis", "prompt_tokens", "relaxed", "_model", "familiarity"),
    *("question_share", "stayed", "exploration", "cut"),
)
_facts = attrgetter(*_FACTS)
_Row = TypeVar("_Row", Candidate, ClusterVote)


def _filled(kind: type[_Row], flat: Sequence[Any]) -> tuple[_Row, ...]:
    fields = [iter(flat)] * len(kind._fields)
    return tuple(map(kind._make, zip(*fields, strict=True)))
