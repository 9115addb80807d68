"""One call, planned: on what it is decided, who is kept, and who is asked first."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from avengers_core.errors import NoEligibleModelError
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.policy import NUMBERS
from avengers_core.routing.router import Router
from avengers_core.serving.question import RoutingText
from avengers_core.serving.watching.exploring import drawn
from avengers_core.serving.watching.watch import Watch, Watching

if TYPE_CHECKING:
    from avengers_core.serving.settings import AnsweringSettings

# Whoever names a model wants that one, near the records or not.
FORCED: dict[str, Any] = {
    "exclude": (),
    **dict.fromkeys(NUMBERS),
    "fallback": None,
    "on_empty": "relax",
}


class Plan(NamedTuple):
    """How one call is to be decided and answered.

    Attributes:
        router: decides.
        question: on what.
        call: how to choose, of which models, for a prompt of which length.
        how: it is to be answered, by how many, and by others than the best.
        earlier: what the same human said before, oldest first.
        keeps: the model whose turn it is first, whoever is best.
        kept_for: why: ``"tool_loop"``, it began one, and goes on whatever the limits say by now;
            or ``"stay"``, it answered before and is within the limits.
        watching: who wants to know of it, if anybody.
        draw: gives numbers in [0, 1) at random.
    """

    router: Router
    question: RoutingText
    call: RoutingCall
    how: AnsweringSettings
    earlier: Sequence[str] = ()
    keeps: str | None = None
    kept_for: str = "tool_loop"
    watching: Watching | None = None
    draw: Callable[[], float] = random.random

    def watch(self, decision: RoutingDecision) -> Watch | None:
        """What follows a call that was decided, where anybody wants to know of it."""
        if self.watching is None:
            return None
        return Watch(self.watching, self.router, self.question.text, decision)

    def decide(self) -> RoutingDecision:
        """Who is to answer; raises what :meth:`avengers_core.Router.route` raises."""
        try:
            best = self.router.decide(self.question.text, self.call, self.earlier)
        except NoEligibleModelError:
            if not self._in_a_loop:
                raise
            best = None
        if (settled := self._settled(best)) is not None:
            return settled
        kept = self.router.decide(self.question.text, self._kept_call, self.earlier)
        return _led_by(kept.model, kept, best)

    async def adecide(self) -> RoutingDecision:
        """:meth:`decide`, embedding asynchronously."""
        try:
            best = await self.router.adecide(self.question.text, self.call, self.earlier)
        except NoEligibleModelError:
            if not self._in_a_loop:
                raise
            best = None
        if (settled := self._settled(best)) is not None:
            return settled
        kept = await self.router.adecide(self.question.text, self._kept_call, self.earlier)
        return _led_by(kept.model, kept, best)

    @property
    def _in_a_loop(self) -> bool:
        return self.keeps is not None and self.kept_for == "tool_loop"

    def _settled(self, best: RoutingDecision | None) -> RoutingDecision | None:
        """The decision, unless the model that is kept has to be decided on by itself."""
        if self.keeps is None:
            how = self.how
            if best is None or not how.explore or how.is_vote:
                return best
            if (found := drawn(best, how.explore, self.draw)) is None:
                return best
            first, exploration = found
            if first != best.model:
                best = _led_by(first, best, best)
            best.exploration = exploration
            return best
        if best is not None and self.keeps in best.ranking:
            return _led_by(self.keeps, best, best)
        return None if self._in_a_loop else best

    @property
    def _kept_call(self) -> RoutingCall:
        # The limits held where the loop began.
        assert self.keeps is not None
        policy = self.call.policy._replace(**FORCED, models=(self.keeps,))
        return self.call._replace(policy=policy)


def _led_by(model: str, own: RoutingDecision, others: RoutingDecision | None) -> RoutingDecision:
    """A decision with one model first.

    Args:
        model: which.
        own: a decision in which it is a candidate.
        others: the decision that gives the other candidates, if there are any.
    """
    ranked = (others or own).candidates
    reasons = dict((others or own).ineligible)
    reasons.pop(model, None)
    first = own.candidate(model)
    return own.among((first, *(c for c in ranked if c.model != model)), reasons)
