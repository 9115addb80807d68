"""What is expected of every model on every query, as arrays; a decision is a view of one row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.routing.decision.candidates import Candidate, candidates_of
from avengers_core.routing.eligibility import Codes, Eligibility, Fault, nobody


class Ranking:
    """M models on n queries.

    Args:
        models: the M ids.
        estimate: (n, 4M) utility, expected score, expected cost (USD, NaN where unknown) and
            support side by side; it is changed in place, when it is first looked at, where it
            leaves what can be: a score below 0 or over 1, a cost below 0, a support over 1.
        limits: of the call.
        unfamiliar: (n,) whether a query is too little like the records to go by; default, none.

    Attributes:
        codes: (n, M) :class:`~avengers_core.routing.eligibility.Fault`, or None where all are
            eligible for every query.
        best: (n,) the column of the model that is chosen.

    Raises:
        NoEligibleModelError: nobody is eligible for a query, and limits may not be relaxed.
    """

    codes: Codes | None = None
    _as_fixed = True
    _nearest: Mapping[int, npt.NDArray[np.intp]] = MappingProxyType({})

    def __init__(
        self,
        models: tuple[str, ...],
        estimate: Floats,
        limits: Eligibility,
        unfamiliar: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.models = models
        self._unbounded = estimate
        self._limits = limits
        self._unfamiliar = unfamiliar
        if limits.admits_all or (codes := self._codes()) is None:
            self.best: npt.NDArray[np.intp] = estimate[:, : len(models)].argmax(axis=1)
        else:
            self.codes = codes
            masked = self.eligible_utility
            self.best = masked.argmax(axis=1)
            (empty,) = (masked.max(axis=1) == -np.inf).nonzero()
            if len(empty):
                self._take_nearest(empty)
        if unfamiliar is not None and limits.fallback is not None:
            if self.codes is not None:
                unfamiliar = unfamiliar & (self.codes[:, limits.fallback] == Fault.NONE)
            self.best[unfamiliar] = limits.fallback
            self._unfamiliar = unfamiliar

    def _codes(self) -> Codes | None:
        limits = self._limits
        if limits.by_estimate or self._least_support < limits.min_support:
            self._as_fixed = False
            return limits.codes(self.score, self.cost, self.support)
        return (
            None if limits.fixed is None else limits.fixed[None].repeat(len(self.utility), axis=0)
        )

    def _take_nearest(self, empty: npt.NDArray[np.intp]) -> None:
        ruled_out = self._limits.ruled_out
        if not self._limits.relax or ruled_out.all():
            raise nobody(self.ineligible(int(empty[0])), relaxable=not ruled_out.all())
        order = self._limits.nearest_first(
            self.utility[empty], self.score[empty], self.cost[empty], self.support[empty]
        )[:, : int((~ruled_out).sum())]
        self.best[empty] = order[:, 0]
        self._nearest = dict(zip(empty.tolist(), order, strict=True))

    @cached_property
    def _estimate(self) -> Floats:
        # A regression can leave [0, 1], and a short query take its tokens off the usual cost.
        least, most = _bounds(len(self.models))
        np.maximum(self._unbounded, least, out=self._unbounded)
        return np.minimum(self._unbounded, most, out=self._unbounded)

    @property
    def _least_support(self) -> float:
        return float(np.minimum.reduce(self._unbounded[:, 3 * len(self.models) :], axis=None))

    @property
    def utility(self) -> Floats:
        """(n, M) what the ranking is by."""
        return self._unbounded[:, : len(self.models)]

    @property
    def score(self) -> Floats:
        """(n, M) expected score, in [0, 1]."""
        m = len(self.models)
        return self._estimate[:, m : 2 * m]

    @property
    def cost(self) -> Floats:
        """(n, M) expected cost, USD; NaN where unknown."""
        m = len(self.models)
        return self._estimate[:, 2 * m : 3 * m]

    @property
    def support(self) -> Floats:
        """(n, M) in [0, 1]."""
        return self._estimate[:, 3 * len(self.models) :]

    @property
    def eligible_utility(self) -> Floats:
        """(n, M) utility, -inf where a model is not eligible."""
        if self.codes is None:
            return self.utility.copy()
        return np.where(self.codes == Fault.NONE, self.utility, -np.inf)

    @property
    def relaxed(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the limits left nobody, and the nearest model was taken."""
        relaxed = np.zeros(len(self.utility), dtype=np.bool_)
        relaxed[list(self._nearest)] = True
        return relaxed

    def is_relaxed(self, i: int) -> bool:
        """Whether the limits left nobody for query i, and the nearest model was taken."""
        return i in self._nearest

    def is_unfamiliar(self, i: int) -> bool:
        """Whether query i was too little like the records to go by."""
        return self._unfamiliar is not None and bool(self._unfamiliar[i])

    @property
    def settled(self) -> npt.NDArray[np.bool_]:
        """(n,) whether something else than utility chose: the nearest model, or a fallback."""
        if self._unfamiliar is None or self._limits.fallback is None:
            return self.relaxed
        return self.relaxed | self._unfamiliar

    def order(self, i: int) -> list[int]:
        """The columns of the eligible models for query i, best first, ties in the models' order."""
        if i in self._nearest:
            return list(map(int, self._nearest[i]))
        order: list[int] = (-self.utility[i]).argsort(kind="stable").tolist()
        if self.codes is not None:
            codes = self.codes[i].tolist()
            order = [j for j in order if codes[j] == Fault.NONE]
        if (fallback := self._limits.fallback) is not None and self.is_unfamiliar(i):
            order.sort(key=lambda j: j != fallback)
        return order

    def candidates(self, i: int) -> tuple[Candidate, ...]:
        """The eligible models for query i, in that order."""
        each = candidates_of(self.models, self.expected(i))
        return tuple([each[j] for j in self.order(i)])

    def candidate(self, i: int, j: int) -> Candidate:
        """The model in column j for query i, in a fraction of the time that all take."""
        return candidates_of([self.models[j]], self.expected(i)[:, j : j + 1])[0]

    def ineligible(self, i: int) -> dict[str, str]:
        """model -> reason, for the models that are not eligible for query i."""
        if self.codes is None or self._as_fixed:
            return dict(self._limits.fixed_reasons)
        taken = set(self._nearest[i].tolist()) if i in self._nearest else set()
        each = candidates_of(self.models, self.expected(i))
        return {
            c.model: self._limits.explain(
                c.model, code, c.expected_score, c.expected_cost, c.support
            )
            for j, (c, code) in enumerate(zip(each, self.codes[i].tolist(), strict=True))
            if code != Fault.NONE and j not in taken
        }

    def expected(self, i: int) -> Floats:
        """(4, M) utility, expected score, expected cost and support of all models for query i."""
        row: Floats = self._estimate[i].reshape(4, -1)
        return row


@lru_cache(maxsize=32)
def _bounds(m: int) -> tuple[Floats, Floats]:
    """(1, 4M) the least and the most that an estimate can be.

    In the very shape of one row, for which numpy takes less than half as long.
    """
    least, most = np.full((1, 4 * m), -np.inf, np.float32), np.full((1, 4 * m), np.inf, np.float32)
    least[:, m : 3 * m] = 0.0
    most[:, m : 2 * m] = most[:, 3 * m :] = 1.0
    return least, most
