"""How score weighs against cost, and the limits: one object for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

import numpy as np

from avengers_core.common.ranges import check_number, check_one_of, is_number
from avengers_core.records.names import check_list, meant

if TYPE_CHECKING:
    from avengers_core.routing.router import Router

OnEmpty = Literal["raise", "relax"]
Unavailable = Callable[[], Mapping[str, str]]

DEFAULT_ALPHA = 0.5
# Familiarity below which a fallback answers that is given alone.
_UNFAMILIAR = 0.05
# The first, the usual one, is the quicker to tell.
_TO_KEEP = (tuple, list, Set, str, bytes)


class PolicyArguments(TypedDict, total=False):
    """The fields of :class:`Policy` as keyword arguments, none of them required."""

    alpha: float | None
    performance_weight: float | None
    cost_sensitivity: float | None
    target_cost: float | None
    target_score: float | None
    target_saving: float | None
    exclude: Collection[str]
    max_cost: float | None
    min_score: float | None
    min_support: float | None
    min_familiarity: float | None
    fallback: str | None
    on_empty: OnEmpty
    models: Collection[str] | None


class Policy(NamedTuple):
    """How score weighs against cost, and which models will do.

    The router's keywords, the plugins' settings and the command line's options all make one.

    Attributes:
        alpha: weight of expected score against expected cost, 0 = cheapest, 1 = best; None: 0.5,
            unless one of the following five says it.
        performance_weight: with ``cost_sensitivity``, another way to give alpha: only their ratio
            matters, alpha = pw / (pw + cs).
        cost_sensitivity: see ``performance_weight``.
        target_cost: another: the best score at no more than this mean cost, USD a call.
        target_score: another: the lowest cost at no less than this mean score, in [0, 1].
        target_saving: another: the best score at this share, in [0, 1), less than what always
            choosing the best single model costs.
        exclude: models not allowed.
        max_cost: highest expected cost, USD a call.
        min_score: lowest expected score, in [0, 1].
        min_support: lowest share, in [0, 1], of what is expected of a model that rests on records
            of the model itself near the query.
        min_familiarity: queries that fewer than this share of the records, in [0, 1], are less
            like the others than, go to ``fallback``; without one they are decided on the
            artifact's overall means. Where the artifact knows no familiarity both are of no effect,
            which the log says once.
        fallback: the model for those, unless a limit rules it out; given alone, for the least
            familiar 5 %.
        on_empty: ``"raise"``, or ``"relax"``: if the limits leave nobody, take the model nearest to
            them (never one that ``models``, ``exclude`` or its availability rule out).
        models: the only models allowed, or None for all.
    """

    alpha: float | None = None
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    target_cost: float | None = None
    target_score: float | None = None
    target_saving: float | None = None
    exclude: Collection[str] = ()
    max_cost: float | None = None
    min_score: float | None = None
    min_support: float | None = None
    min_familiarity: float | None = None
    fallback: str | None = None
    on_empty: OnEmpty = "raise"
    models: Collection[str] | None = None

    @classmethod
    def of(cls, settings: object) -> Policy:
        """The policy of a plugin's object, which has all but ``models`` as attributes."""
        return cls(*_settings(settings))

    @property
    def limits(self) -> dict[str, Any]:
        """The limits, as arguments of :meth:`avengers_core.Router.route`."""
        return dict(zip(_LIMITS, self[len(BALANCE) :], strict=True))

    @property
    def balance(self) -> dict[str, float]:
        """What is given of alpha and the other ways to give it."""
        given = {name: getattr(self, name) for name in BALANCE}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def target(self) -> tuple[str, float] | None:
        """``cost``, ``score`` or ``saving`` and its value, if one is given in place of alpha."""
        if self[len(BALANCE) - len(_TARGETS) : len(BALANCE)] == _NO_TARGET:
            return None
        for name in _TARGETS:
            value: float | None = getattr(self, name)
            if value is not None:
                return name.removeprefix("target_"), value
        return None

    @property
    def least_familiarity(self) -> float:
        """Below which queries are not decided on what they are like."""
        if self.min_familiarity is not None:
            return self.min_familiarity
        return 0.0 if self.fallback is None else _UNFAMILIAR

    @property
    def own_alpha(self) -> float:
        """The alpha that is given, in itself or as two weights; else the default.

        Raises:
            ValueError: it is given in more than one way, or out of range.
        """
        if self[1 : len(BALANCE)] != _NO_OTHER:
            self._check_balance()
            if self.performance_weight is not None or self.cost_sensitivity is not None:
                alpha = alpha_from_weights(self.performance_weight, self.cost_sensitivity)
                check_number("alpha", alpha, 0, 1)
                return alpha
        if self.alpha is None:
            return DEFAULT_ALPHA
        if type(self.alpha) is float and 0 <= self.alpha <= 1:  # as it is with nearly each call
            return self.alpha
        check_number("alpha", self.alpha, 0, 1)
        return float(self.alpha)

    def overlaid(self, given: Mapping[str, Any]) -> Policy:
        """With a call's own settings in place of these.

        Any way to give alpha takes the place of every other.
        """
        if any(name in given for name in BALANCE):
            given = {**dict.fromkeys(BALANCE), **given}
        return self._replace(**kept(given))

    def check(self, models: Sequence[str]) -> None:
        """Raise ValueError for what no call could have.

        Args:
            models: the ids of all models there are.
        """
        _ = self.own_alpha
        check_one_of("on_empty", self.on_empty, OnEmpty)
        if self.models is not None or self.exclude or self.fallback is not None:
            for name, value in (("models", self.models), ("exclude", self.exclude)):
                check_list(name, value)
            named = {*(self.models or ()), *self.exclude}
            if self.fallback is not None:
                named.add(self.fallback)
            if unknown := sorted(named - set(models)):
                raise ValueError(
                    f"the artifact has no model {unknown}{meant(unknown, models)}; "
                    f"it has {list(models)}"
                )
        for name, most in _RANGES.items():
            if (value := getattr(self, name)) is not None:
                check_number(name, value, 0, most)

    def settled(self, router: Router, unavailable: Unavailable) -> Policy:
        """The same, with the alpha that meets its target, if it has one.

        Args:
            router: which is asked for it.
            unavailable: gives model -> reason, for the models that can answer no call at all; asked
                only where there is a target.

        Raises:
            ValueError: alpha is given in more than one way, or a target is out of range.
            AvengersError: no alpha meets the target.
        """
        alpha = self.own_alpha
        if self.target is not None:
            name, value = self.target
            # Where nobody is within the limits, that is for the call itself to say.
            limits: dict[str, Any] = {**self.limits, "on_empty": "relax", name: value}
            alpha = router.alpha_for(unavailable=unavailable(), **limits)
        return self.overlaid({"alpha": alpha})

    def _check_balance(self) -> None:
        given = self.balance
        if len({"weights" if name in _WEIGHTS else name for name in given}) > 1:
            raise ValueError(
                f"give one of alpha, target_cost, target_score, target_saving, or the weights "
                f"performance_weight and cost_sensitivity; got {', '.join(given)} (None takes one "
                f"back)"
            )
        if self.target is not None:
            check_target(*self.target, "target_")


# Together they are the fields, in order.
_WEIGHTS = ("performance_weight", "cost_sensitivity")
_TARGETS = ("target_cost", "target_score", "target_saving")
BALANCE = ("alpha", *_WEIGHTS, *_TARGETS)
"""The ways to say how score weighs against cost."""
_LIMITS = Policy._fields[len(BALANCE) :]
NO_LIMITS = tuple(Policy._field_defaults[name] for name in _LIMITS)
"""What stands behind these in a policy that every model is within."""
_NO_OTHER = (None,) * (len(BALANCE) - 1)
_NO_TARGET = (None,) * len(_TARGETS)
_RANGES = {"max_cost": np.inf, "min_score": 1, "min_support": 1, "min_familiarity": 1}
NUMBERS = tuple(_RANGES)
"""The limits that are numbers."""
FIELDS = Policy._fields
_settings = attrgetter(*FIELDS[:-1])


def kept(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields of a policy as it can keep them, or arguments of a call with these among them.

    An iterator would be used up by the first look, and a view, which may change, be remembered.
    """
    if "models" not in given and "exclude" not in given:
        return given
    once = {
        name: tuple(value)
        for name in ("models", "exclude")
        if isinstance(value := given.get(name), Iterable) and not isinstance(value, _TO_KEEP)
    }
    return {**given, **once} if once else given


def alpha_from_weights(
    performance_weight: float | None = None, cost_sensitivity: float | None = None
) -> float:
    """alpha = pw / (pw + cs); a weight that is not given is 1 minus the other.

    Raises:
        ValueError: a negative weight, or both zero.
    """
    if performance_weight is None and cost_sensitivity is None:
        return DEFAULT_ALPHA
    given = (performance_weight, cost_sensitivity)
    if not all(weight is None or is_number(weight) for weight in given):
        raise ValueError(f"performance_weight and cost_sensitivity must be numbers, got {given}")
    pw = 1 - (cost_sensitivity or 0.0) if performance_weight is None else performance_weight
    cs = 1 - pw if cost_sensitivity is None else cost_sensitivity
    if not (pw >= 0 and cs >= 0 and 0 < pw + cs < np.inf):
        raise ValueError(
            f"performance_weight and cost_sensitivity must not be negative, infinite, nor both "
            f"zero, got {performance_weight} and {cost_sensitivity}"
        )
    return pw / (pw + cs)


def check_target(name: str, value: Any, prefix: str = "") -> None:
    """Refuse a target out of range: a ``cost`` in USD, a ``score`` or a ``saving``."""
    most = np.inf if name == "cost" else 1.0
    check_number(prefix + name, value, 0, most, inside="most" if name == "saving" else "")
