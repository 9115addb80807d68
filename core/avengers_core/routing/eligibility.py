"""Which models may answer which query; why the others may not, as codes, and in words if asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.errors import NoEligibleModelError
from avengers_core.routing.call import RoutingCall

Codes = npt.NDArray[np.int8]

# Expected scores and costs are single precision: a model that costs just what it may must not fail
# for the last digit.
SLACK = 1e-5


class Fault(IntEnum):
    """Why a model is not eligible for a query; of several faults, the first in this order."""

    NONE = 0
    EXCLUDED = 1
    NOT_ALLOWED = 2
    UNAVAILABLE = 3
    LITTLE_SUPPORT = 4
    UNLIMITED_COST = 5
    UNKNOWN_COST = 6
    OVER_MAX_COST = 7
    UNDER_MIN_SCORE = 8


class Eligibility:
    """The limits of a call on the M models of an artifact.

    Args:
        call: whose policy it is; checked here.
        models: the M ids.
        needs_cost: a model without a known cost cannot be compared with the others.
        all_priced: every model has a known cost.
        least_support: the lowest support that any model can have for any query.
        min_support: lowest support that is demanded unless the policy says otherwise.
        knows_familiarity: it is known how like the records a query is.

    Attributes:
        relax: take the nearest model where the limits leave nobody, instead of raising.
        min_support: lowest support that is demanded.
        least_familiarity: below which queries are not decided on what they are like; 0 where that
            is not known.
        fallback: the column of the model that answers those, if it is eligible; None: they are
            decided on overall means.
        fixed: (M,) a :class:`Fault` for each model that is out whatever the query, or None where
            none is.
        by_estimate: whether what is expected of a model, its score or its cost, can rule it out.
        admits_all: whether nothing can, for any query.

    Raises:
        ValueError: a limit out of range, or an unknown model.
    """

    def __init__(
        self,
        call: RoutingCall,
        models: Sequence[str],
        *,
        needs_cost: bool,
        all_priced: bool,
        least_support: float,
        min_support: float,
        knows_familiarity: bool,
    ) -> None:
        policy = call.policy
        policy.check(models)
        self._models = models
        self._unavailable = call.unavailable or {}
        self.relax = policy.on_empty == "relax"
        self.least_familiarity = policy.least_familiarity if knows_familiarity else 0.0
        self.fallback = None if policy.fallback is None else models.index(policy.fallback)
        self._max_cost = policy.max_cost
        self._min_score = policy.min_score
        self.min_support = min_support if policy.min_support is None else policy.min_support
        self._needs_cost = needs_cost or policy.max_cost is not None
        self.fixed: Codes | None = None
        if policy.models is not None or policy.exclude or self._unavailable:
            self.fixed = np.array(
                [self._fixed_fault(m, policy.models, policy.exclude) for m in models], dtype=np.int8
            )
        self.by_estimate = (
            self._max_cost is not None
            or self._min_score is not None
            or (self._needs_cost and not all_priced)
        )
        supported = least_support >= self.min_support
        self.admits_all = self.fixed is None and not self.by_estimate and supported

    def _fixed_fault(
        self, model: str, allowed: Collection[str] | None, excluded: Collection[str]
    ) -> Fault:
        if model in excluded:
            return Fault.EXCLUDED
        if allowed is not None and model not in allowed:
            return Fault.NOT_ALLOWED
        return Fault.UNAVAILABLE if model in self._unavailable else Fault.NONE

    @property
    def ruled_out(self) -> npt.NDArray[np.bool_]:
        """(M,) the models that are out whatever the query."""
        if self.fixed is None:
            return np.zeros(len(self._models), dtype=np.bool_)
        return self.fixed > 0

    @cached_property
    def fixed_reasons(self) -> dict[str, str]:
        """model -> reason, in words, for the models that are out whatever the query."""
        if self.fixed is None:
            return {}
        named = zip(self._models, self.fixed.tolist(), strict=True)
        return {m: self.explain(m, code, 0.0, None, 0.0) for m, code in named if code}

    def codes(self, score: Floats, cost: Floats, support: Floats) -> Codes:
        """(n, M) a :class:`Fault` for each query and model.

        Args:
            score: (n, M) expected scores.
            cost: (n, M) expected costs, USD; NaN where unknown.
            support: (n, M) in [0, 1].
        """
        codes = np.zeros(score.shape, dtype=np.int8)
        # From the last reason to the first, which has the last word.
        if self._min_score is not None:
            codes[score < self._min_score - SLACK] = Fault.UNDER_MIN_SCORE
        if self._max_cost is not None:
            # In double precision, which a limit beyond the single one does not leave.
            codes[cost > np.float64(self._max_cost) * (1 + SLACK)] = Fault.OVER_MAX_COST
        if self._needs_cost:
            unknown = Fault.UNKNOWN_COST if self._max_cost is None else Fault.UNLIMITED_COST
            codes[np.isnan(cost)] = unknown
        if self.min_support > 0:
            codes[support < self.min_support] = Fault.LITTLE_SUPPORT
        if self.fixed is not None:
            np.copyto(codes, self.fixed, where=self.fixed > 0)
        return codes

    def nearest_first(
        self, utility: Floats, score: Floats, cost: Floats, support: Floats
    ) -> npt.NDArray[np.intp]:
        """(n, M) the models in the order in which relaxed limits take them.

        Where a model has no records its score and cost are no more than a guess, which comes after
        all others; among these, the sum of the relative excesses over the limits decides, then
        utility, then the models' order. Models that are out whatever the query come last.
        """
        guess = (support < self.min_support) | (self._needs_cost & np.isnan(cost))
        excess = np.maximum(self.min_support - support, 0.0).astype(np.float64)
        if self._max_cost is not None:
            over = np.where(np.isnan(cost), np.inf, cost - self._max_cost)
            excess += np.maximum(over, 0.0) / max(self._max_cost, 1e-12)
        if self._min_score:
            excess += np.maximum(self._min_score - score, 0.0) / max(self._min_score, 1e-12)
        rank = np.where(self.ruled_out, 2, guess)
        return np.lexsort((-utility, excess, rank), axis=-1)

    def explain(
        self, model: str, code: int, score: float, cost: float | None, support: float
    ) -> str:
        """In words, why a model is not eligible for a query.

        Args:
            model: its id.
            code: its :class:`Fault` there.
            score: what is expected of it there; likewise the rest.
            cost: USD, or None.
            support: in [0, 1].
        """
        match code:
            case Fault.EXCLUDED:
                return "named in exclude="
            case Fault.NOT_ALLOWED:
                return "not among models="
            case Fault.UNAVAILABLE:
                return self._unavailable[model]
            case Fault.LITTLE_SUPPORT:
                return f"no records near this query (support {support:.0%})"
            case Fault.UNLIMITED_COST:
                return f"its cost is unknown, so it cannot be held to max_cost={self._max_cost:g}"
            case Fault.UNKNOWN_COST:
                return "its cost is unknown: no record has one; alpha=1 leaves costs out"
            case Fault.OVER_MAX_COST:
                return f"expected cost ${cost:.3g} is over max_cost={self._max_cost:g}"
            case _:
                return f"expected score {score:.3f} is under min_score={self._min_score:g}"


def nobody(reasons: Mapping[str, str], relaxable: bool) -> NoEligibleModelError:
    """The error for a call that leaves no model: which limit removed whom.

    Args:
        reasons: model -> why it is not eligible.
        relaxable: whether a looser limit would bring one back.
    """
    by_reason: dict[str, list[str]] = {}
    for model, reason in reasons.items():
        by_reason.setdefault(reason, []).append(model)
    listed = "; ".join(f"{', '.join(models)}: {reason}" for reason, models in by_reason.items())
    hint = ', or pass on_empty="relax" to take the nearest model' if relaxable else ""
    message = f"no model is eligible. {listed}. Loosen a constraint{hint}."
    return NoEligibleModelError(message, reasons)
