"""The plugins' settings of routing: how score weighs against cost, and the limits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from avengers_core.routing.calls import OnEmpty, alpha_from_weights
from avengers_core.routing.router import Router

Unavailable = Callable[[], Mapping[str, str]]


class Policy(NamedTuple):
    """What the plugins take as settings and for each call; ``Router.route`` says what they mean.

    Attributes:
        alpha: weight of expected score against expected cost.
        performance_weight: with ``cost_sensitivity``, another way to give alpha.
        cost_sensitivity: see ``performance_weight``.
        target_cost: another: the best score at no more than this mean cost, USD a call.
        target_score: another: the lowest cost at no less than this mean score, in [0, 1].
        target_saving: another: the best score at this share, in [0, 1), less than what always
            choosing the best single model costs.
        exclude: models not allowed.
        max_cost: highest expected cost, USD a call.
        min_score: lowest expected score, in [0, 1].
        on_empty: what to do when these limits leave nobody.
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
    on_empty: OnEmpty = "raise"
    models: Collection[str] | None = None

    @classmethod
    def of(cls, settings: object) -> Policy:
        """The policy of a plugin's object, which has all but ``models`` as attributes."""
        return cls(*_settings(settings))

    @property
    def limits(self) -> dict[str, Any]:
        """The constraints, as arguments of :meth:`Router.route`."""
        return dict(zip(_LIMITS, self[len(_BALANCE) :], strict=True))

    @property
    def balance(self) -> dict[str, float]:
        """What is given of alpha and the other ways to give it."""
        given = {name: getattr(self, name) for name in _BALANCE}
        return {name: value for name, value in given.items() if value is not None}

    def overlaid(self, given: Mapping[str, Any]) -> Policy:
        """With a call's own settings in place of these.

        Any way to give alpha takes the place of every other.
        """
        if any(name in given for name in _BALANCE):
            return self._replace(**{**dict.fromkeys(_BALANCE), **given})
        return self._replace(**given)

    def check(self, router: Router) -> None:
        """Raise ValueError for settings that no call could have."""
        self._check_balance()
        alpha = 0.0 if self.target is not None else self._own_alpha()
        router.check(alpha=alpha, **self.limits)

    def arguments(self, router: Router, unavailable: Unavailable) -> dict[str, Any]:
        """The arguments of :meth:`Router.route`.

        Args:
            router: which is asked for the alpha that meets a target.
            unavailable: gives model -> reason, for the models that can answer no call at all; asked
                only where there is a target.

        Raises:
            ValueError: alpha is given in more than one way, or a target is out of range.
            AvengersError: no alpha meets the target.
        """
        return {"alpha": self.alpha_for(router, unavailable), **self.limits}

    def alpha_for(self, router: Router, unavailable: Unavailable) -> float | None:
        """The alpha, whichever way it is given; arguments as of :meth:`arguments`."""
        if self[1 : len(_BALANCE)] == _NO_OTHER:
            return self.alpha
        self._check_balance()
        if self.target is None:
            return self._own_alpha()
        name, value = self.target
        # Where nobody is within the limits, that is for the call itself to say.
        arguments: dict[str, Any] = {**self.limits, "on_empty": "relax", name: value}
        return router.alpha_for(unavailable=unavailable(), **arguments)

    @property
    def target(self) -> tuple[str, float] | None:
        """``cost``, ``score`` or ``saving`` and its value, if one is given in place of alpha."""
        for name in _TARGETS:
            value: float | None = getattr(self, name)
            if value is not None:
                return name.removeprefix("target_"), value
        return None

    def _own_alpha(self) -> float | None:
        if self.performance_weight is None and self.cost_sensitivity is None:
            return self.alpha
        return alpha_from_weights(self.performance_weight, self.cost_sensitivity)

    def _check_balance(self) -> None:
        given = self.balance
        if len({"weights" if name in _WEIGHTS else name for name in given}) > 1:
            raise ValueError(
                f"give one of alpha, target_cost, target_score, target_saving, or the weights "
                f"performance_weight and cost_sensitivity; got {', '.join(given)} (None takes one "
                f"back)"
            )
        if self.target_cost is not None and not self.target_cost >= 0:
            raise ValueError(f"target_cost must be USD a call, got {self.target_cost}")
        if self.target_score is not None and not 0 <= self.target_score <= 1:
            raise ValueError(f"target_score must lie in [0, 1], got {self.target_score}")
        if self.target_saving is not None and not 0 <= self.target_saving < 1:
            raise ValueError(f"target_saving must lie in [0, 1), got {self.target_saving}")


# Together they are the fields, in order.
_WEIGHTS = ("performance_weight", "cost_sensitivity")
_TARGETS = ("target_cost", "target_score", "target_saving")
_BALANCE = ("alpha", *_WEIGHTS, *_TARGETS)
_LIMITS = ("exclude", "max_cost", "min_score", "on_empty", "models")
_NO_OTHER = (None,) * (len(_BALANCE) - 1)
FIELDS = Policy._fields
_settings = attrgetter(*FIELDS[:-1])
OF_A_CALL = (*FIELDS, "model", "votes", "vote_over", "max_attempts", "routing_query")
"""What is said of a call to a plugin, and not meant for the backend."""
