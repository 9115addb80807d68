"""Eligibility: which models may answer, and in words, why the others may not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from avengers_core.errors import NoEligibleModelError
from avengers_core.routing.decision import Candidate

# Where less than this of a query's votes comes from clusters in which a model has its share of the
# records, what is expected of the model is mostly its overall mean, no evidence about the query.
MIN_SUPPORT = 0.5

# Expected scores and costs are single precision: a model that costs just what it may must not fail
# for the last digit.
SLACK = 1e-5


class Constraints(NamedTuple):
    """What a call demands of the model that answers it.

    Attributes:
        models: the only models allowed, or None for all.
        exclude: models not allowed.
        max_cost: highest expected cost, USD a call.
        min_score: lowest expected score, in [0, 1].
        unavailable: model -> reason, models that can not serve this call.
        needs_cost: a model without a known cost can not be compared with the others.
        min_support: lowest support, in [0, 1].
    """

    models: Collection[str] | None = None
    exclude: Collection[str] = ()
    max_cost: float | None = None
    min_score: float | None = None
    unavailable: Mapping[str, str] | None = None
    needs_cost: bool = True
    min_support: float = MIN_SUPPORT

    def check(self, known: Sequence[str]) -> None:
        """Raise ValueError for unknown models and numbers out of range."""
        if self.models is not None or self.exclude:
            for name, value in (("models", self.models), ("exclude", self.exclude)):
                if isinstance(value, str):
                    raise ValueError(f"{name} must be a list of model ids, got the text {value!r}")
            named = {*(self.models or ()), *self.exclude}
            if unknown := sorted(named - set(known)):
                raise ValueError(f"the artifact has no model {unknown}; it has {list(known)}")
        if self.max_cost is not None and not (_is_number(self.max_cost) and self.max_cost >= 0):
            raise ValueError(f"max_cost must be USD a call, not negative, got {self.max_cost!r}")
        if self.min_score is not None and not (
            _is_number(self.min_score) and 0 <= self.min_score <= 1
        ):
            raise ValueError(f"min_score must lie in [0, 1], got {self.min_score!r}")

    def ruled_out(self, known: Sequence[str]) -> dict[str, str]:
        """model -> reason, for the models that are out whatever the query."""
        if self.models is None and not self.exclude and not self.unavailable:
            return {}
        out = {m: r for m, r in (self.unavailable or {}).items() if m in known}
        if self.models is not None:
            out |= {m: "not among models=" for m in known if m not in self.models}
        return out | {m: "named in exclude=" for m in known if m in self.exclude}

    def fault(self, c: Candidate) -> str | None:
        """Why a model is out for one query, or None."""
        if c.support < self.min_support:
            return f"no records near this query (support {c.support:.0%})"
        if c.expected_cost is None:
            if self.max_cost is not None:
                return f"its cost is unknown, so it can not be held to max_cost={self.max_cost:g}"
            if self.needs_cost:
                return "its cost is unknown: no record has one; alpha=1 leaves costs out"
        elif self.max_cost is not None and c.expected_cost > self.max_cost * (1 + SLACK):
            return f"expected cost ${c.expected_cost:.3g} is over max_cost={self.max_cost:g}"
        if self.min_score is not None and c.expected_score < self.min_score - SLACK:
            return f"expected score {c.expected_score:.3f} is under min_score={self.min_score:g}"
        return None

    def is_guess(self, c: Candidate) -> bool:
        """Whether a model is out for want of records, which no looser limit makes up for."""
        asked = self.needs_cost or self.max_cost is not None
        return c.support < self.min_support or (asked and c.expected_cost is None)

    def violation(self, c: Candidate) -> float:
        """How far a model is from the limits, as the sum of relative excesses."""
        total = max(0.0, self.min_support - c.support)
        if self.max_cost is not None:
            over = float("inf") if c.expected_cost is None else c.expected_cost - self.max_cost
            total += max(0.0, over) / max(self.max_cost, 1e-12)
        if self.min_score:
            total += max(0.0, self.min_score - c.expected_score) / self.min_score
        return total


def _is_number(value: object) -> bool:
    return isinstance(value, float | int | np.number)


def nobody(reasons: Mapping[str, str], out: Collection[str]) -> NoEligibleModelError:
    """The error for a call that leaves no model: which constraint removed whom.

    Args:
        reasons: model -> why it is not eligible.
        out: those that no looser limit brings back.
    """
    by_reason: dict[str, list[str]] = {}
    for model, reason in reasons.items():
        by_reason.setdefault(reason, []).append(model)
    listed = "; ".join(f"{', '.join(models)}: {reason}" for reason, models in by_reason.items())
    hint = ', or pass on_empty="relax" to take the nearest model' if set(reasons) - set(out) else ""
    return NoEligibleModelError(f"no model is eligible. {listed}. Loosen a constraint{hint}.")
