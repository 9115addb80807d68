"""From texts and their vectors to decisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avengers_core.embedders.surface import beyond_ascii, surface
from avengers_core.embedders.tokens import MAX_CHARS, n_cut
from avengers_core.routing.alpha.targets import Targets
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.engine import Engine
from avengers_core.routing.queries import Queries
from avengers_core.routing.ranked import decided
from avengers_core.routing.turns import Turns


class Deciding:
    """Decides what has been embedded.

    Args:
        engine: artifact and scorer.
        targets: the alphas that meet a call's target.
    """

    def __init__(self, engine: Engine, targets: Targets) -> None:
        self._engine = engine
        self._targets = targets

    def alpha(self, call: RoutingCall) -> float:
        """The alpha that a call gives, or the one that meets its target."""
        policy = call.policy
        alpha = policy.own_alpha  # which checks that it is the only one
        if policy.alpha is not None or (target := policy.target) is None:
            return alpha
        return self._targets.alpha({target[0]: target[1]}, call.uncached)

    def conversation(
        self, turns: Turns, vectors: npt.NDArray[np.float32], call: RoutingCall
    ) -> RoutingDecision:
        """The decision for one query.

        Args:
            turns: what it is about, of n texts.
            vectors: (n, d) of those.
            call: what is asked.
        """
        texts = turns.texts
        if not texts:
            decision = self.many(("",), vectors, call)[0]
        else:
            if len(texts) == 1:
                query = self._seen(texts, vectors, call)
            else:
                query = Queries(vectors, surface(texts), call.prompt_tokens)
                query = query.mixed(turns.weights)
            features = self._engine.scorer.features(query)
            decision = decided(self._engine, features, self.alpha(call), call)[0]
            decision.query = query
        if turns.share < 1:
            decision.question_share = turns.share
        for text in texts:
            if len(text) > MAX_CHARS:
                decision.cut += n_cut(text)
        return decision

    def many(
        self, texts: Sequence[str], vectors: npt.NDArray[np.float32], call: RoutingCall
    ) -> list[RoutingDecision]:
        """The decisions for n queries.

        Args:
            texts: n of them.
            vectors: of those that are not blank, in their order.
            call: what is asked.
        """
        scorer = self._engine.scorer
        known = [bool(text.strip()) for text in texts]
        features = np.repeat(scorer.overall(call.prompt_tokens), len(texts), axis=0)
        if any(known):
            some = [text for text, is_known in zip(texts, known, strict=True) if is_known]
            features[known] = scorer.features(self._seen(some, vectors, call))
        decisions = decided(self._engine, features, self.alpha(call), call)
        for decision, text, is_known in zip(decisions, texts, known, strict=True):
            if is_known:
                decision.cut = n_cut(text)
            else:
                decision.basis = "overall"
        return decisions

    def _seen(
        self, texts: Sequence[str], vectors: npt.NDArray[np.float32], call: RoutingCall
    ) -> Queries:
        """Texts as the scorer looks at them, which is told no more than it has to know."""
        scorer = self._engine.scorer
        if scorer.needs_surface:
            return Queries(vectors, surface(texts), call.prompt_tokens)
        foreign = beyond_ascii(texts) if scorer.knows_familiarity else None
        return Queries(vectors, None, call.prompt_tokens, foreign)

    def chances(self, decision: RoutingDecision) -> dict[str, float]:
        """As :meth:`avengers_core.Router.chances`."""
        names = decision.ranking
        utility = np.array([c.utility for c in decision.candidates])[:, None]
        plausible = decision.plausible_scores
        draws = np.array([plausible[name] for name in names])
        away = draws - draws.mean(axis=1, keepdims=True)
        gain = self._engine.scorer.scale.weight(decision.alpha) * self._engine.score_gain
        best = (utility + gain * away).argmax(axis=0)
        wins = np.bincount(best, minlength=len(names)) + 1 / len(names)
        return dict(zip(names, (wins / wins.sum()).tolist(), strict=True))
