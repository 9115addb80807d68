"""How the model of a call is chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from avengers_core.common.functions import cached_property
from avengers_core.common.ranges import check_number
from avengers_core.routing.policy import FIELDS, OnEmpty, Policy, Unavailable
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router
from avengers_core.serving.question import RoutingText
from avengers_core.serving.settings.base import CONFIG, Number

OF_ROUTING = (*FIELDS, "no_question_alpha")
"""What is said of a call about how its model is chosen."""

_ONE_ALPHA = "instead of alpha: "


class RoutingSettings(BaseModel):
    """How the model of a call is chosen."""

    model_config = CONFIG

    alpha: Number | None = Field(
        default=None,
        description="weight of expected score against expected cost, 0 = cheapest, 1 = best; "
        "default 0.5",
    )
    target_cost: Number | None = Field(
        default=None,
        description=f"{_ONE_ALPHA}the best score at no more than this mean cost, USD a call",
    )
    target_score: Number | None = Field(
        default=None,
        description=f"{_ONE_ALPHA}the lowest cost at no less than this mean score, in [0, 1]",
    )
    target_saving: Number | None = Field(
        default=None,
        description=f"{_ONE_ALPHA}the best score at this share, in [0, 1), less than what always "
        "asking the best model costs",
    )
    performance_weight: Number | None = Field(
        default=None, description="with cost_sensitivity, another way to give alpha"
    )
    cost_sensitivity: Number | None = Field(default=None, description="see performance_weight")
    no_question_alpha: Number | None = Field(
        default=None,
        description="the alpha of calls without a question, such as metadata extraction over "
        "documents, which are decided on the artifact's overall means; default, as for all calls",
    )
    router: Any = Field(
        default=None,
        repr=False,
        description="a Router, an artifact or its path; default, the default artifact",
    )
    exclude: tuple[str, ...] = Field(default=(), description="models not to use")
    max_cost: Number | None = Field(
        default=None, description="highest expected cost, USD a call, not negative"
    )
    min_score: Number | None = Field(default=None, description="lowest expected score, in [0, 1]")
    min_support: Number | None = Field(
        default=None,
        description="lowest share, in [0, 1], of what is expected of a model that rests on records "
        "of the model itself near the query",
    )
    min_familiarity: Number | None = Field(
        default=None,
        description="queries that are less like the records than all but this share of them, in "
        "[0, 1], go to fallback; without one they are decided on the artifact's overall means",
    )
    fallback: str | None = Field(
        default=None,
        description="the model for queries unlike the records; without min_familiarity, for the "
        "least familiar 5 %",
    )
    on_empty: OnEmpty = Field(
        default="raise",
        description='what to do when the limits leave no model: "raise", or "relax" to take the '
        "one nearest to them",
    )

    @field_validator("router", mode="before")
    @classmethod
    def _path_as_text(cls, router: Any) -> Any:
        router = os.fspath(router) if isinstance(router, os.PathLike) else router
        if isinstance(router, str) and router.startswith("<"):
            raise ValueError(
                f"router={router!r} is the description of a router, not its path: pass the Router "
                f"itself"
            )
        return router

    @field_serializer("router")
    def _router_name(self, router: Any) -> str | None:
        return router if router is None or isinstance(router, str) else repr(router)

    @model_validator(mode="after")
    def _check_routing(self) -> Self:
        router = self._resolved_router()
        router.check(**self.policy._asdict())
        router.check(alpha=self.no_question_alpha)
        return self

    # What follows from the settings is found once: setting one makes all of them anew.

    @cached_property
    def policy(self) -> Policy:
        """How score weighs against cost, and the limits."""
        return Policy.of(self)._replace(models=self._allowed)

    @property
    def _allowed(self) -> tuple[str, ...] | None:
        """The only models that are chosen from; None: all that there are."""
        return None

    def policy_for(
        self, question: RoutingText, own: Mapping[str, Any], unavailable: Unavailable
    ) -> Policy:
        """The policy of one call, with an alpha in place of a target.

        Args:
            question: what it is decided on.
            own: the call's own settings in place of these; others than :data:`OF_ROUTING` are
                ignored.
            unavailable: gives model -> reason, for the models that can answer no call at all.

        Raises:
            ValueError: alpha is given in more than one way, or a target is out of range.
            AvengersError: no alpha meets the target.
        """
        policy = self.policy
        if own and (given := {k: v for k, v in own.items() if k in FIELDS}):
            policy = policy.overlaid(given)
        if own or policy.target is not None:
            policy = policy.settled(self._resolved_router(), unavailable)
        no_question_alpha = own.get("no_question_alpha", self.no_question_alpha)
        if own and no_question_alpha is not None:
            check_number("no_question_alpha", no_question_alpha, 0, 1)
        if no_question_alpha is not None and not question.text.strip():
            return policy.overlaid({"alpha": no_question_alpha})
        return policy

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other settings, which are not checked."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("policy", None)
        return copy

    def copy(  # type: ignore[override]
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """:meth:`model_copy` by its older name: pydantic's own would keep what the former settings
        decide."""
        return self.model_copy(update=update, deep=deep)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        vars(self).pop("policy", None)

    def _resolved_router(self) -> Router:
        return resolve_router(self.router)
