"""How a call is answered: how often and by whom, and who answers the next turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, StrictBool, ValidationError

from avengers_core.serving.resilience.failover import OnRefusal
from avengers_core.serving.settings.base import CONFIG, Number, WholeNumber
from avengers_core.serving.voting import MOST_VOTES, VoteOver

OF_ANSWERING = ("votes", "vote_over", "max_attempts", "on_refusal", "stay", "explore")
"""What is said of a call about how it is answered."""


class AnsweringSettings(BaseModel):
    """How a call is answered, once the models are ranked for it."""

    model_config = CONFIG

    max_attempts: WholeNumber | None = Field(
        default=None, ge=1, description="how many candidates to try before giving up; default all"
    )
    votes: WholeNumber | None = Field(
        default=None,
        ge=1,
        le=MOST_VOTES,
        description="ask this many times at once and give the majority's answer, compared by what "
        "is said in the end; tokens and expected cost add up. None and 1: one answer, no vote",
    )
    vote_over: VoteOver = Field(
        default="samples",
        description='who is asked: "samples", the picked model each time (sensible with a '
        'temperature over 0), or "models", the best so many models',
    )
    on_refusal: OnRefusal = Field(
        default="raise",
        description='what to do if a backend refuses a call for its content: "raise" its error, or '
        'ask the "next" candidate',
    )
    stay: StrictBool | None = Field(
        default=None,
        description="who answers the next turn of a conversation: None, whoever is best for what "
        "it is about by now; True, whoever answered before, within the limits; False, whoever is "
        "best for the newest turn alone",
    )
    explore: Number = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how often another eligible model than the best is asked, each of them as "
        "likely, in [0, 1], so that a log says something about all of them; never in a tool loop, "
        "a conversation that stays or a vote",
    )
    explore_seed: WholeNumber | None = Field(
        default=None, description="the same draws for the same seed; default, different every time"
    )

    @property
    def is_vote(self) -> bool:
        """Whether several answers are asked for, and the majority's is given."""
        return self.votes is not None and self.votes > 1

    def overlaid(self, own: Mapping[str, Any]) -> AnsweringSettings:
        """These for one call, with the call's own in their place.

        Args:
            own: any; others than ``OF_ANSWERING`` are ignored.

        Raises:
            ValueError: one of them is out of range.
        """
        if own.keys().isdisjoint(OF_ANSWERING):
            return self
        try:
            return AnsweringSettings(**{n: own.get(n, getattr(self, n)) for n in OF_ANSWERING})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None
