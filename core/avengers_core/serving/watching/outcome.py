"""What became of a call: who answered, the tokens of the answer, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from avengers_core.artifact.artifact import RouterArtifact

if TYPE_CHECKING:
    from avengers_core.serving.resilience.failover import FailedAttempt

_MOST = 2**53  # beyond this it is no count


class Tokens(NamedTuple):
    """What an answer took, as far as its backend says.

    Attributes:
        prompt: tokens sent, the cached ones among them, or None.
        completion: tokens received, or None.
        cached: tokens of the prompt that the provider had read before, or None.
        charged: USD, or None.
    """

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    charged: float | None = None

    @classmethod
    def of(
        cls, prompt: Any, completion: Any, cached: Any = None, charged: float | None = None
    ) -> Tokens:
        """Counts as a backend gives them; what is no count is unknown."""
        return cls(_count(prompt), _count(completion), _count(cached), charged)

    def __add__(self, other: Any) -> Tokens:
        """Of two answers together; what is unknown of one is unknown."""
        pairs: Any = zip(self, other, strict=True)
        return Tokens(*(None if a is None or b is None else a + b for a, b in pairs))

    def joined(self, later: Tokens) -> Tokens:
        """Of one stream, whose chunks each say something of it: the largest that was said."""
        pairs: Any = zip(self, later, strict=True)
        return Tokens(*(b if a is None else a if b is None else max(a, b) for a, b in pairs))

    def cost(self, model: str, artifact: RouterArtifact) -> float | None:
        """USD as charged, else at the artifact's prices; None where a price or count is unknown."""
        if self.charged is not None:
            return self.charged
        price = artifact.info.prices.get(model)
        if price is None or self.prompt is None or self.completion is None:
            return None
        cost = price.cost(self.prompt, self.completion)
        if self.cached and price.cached_input is not None:
            cost -= (price.input - price.cached_input) * min(self.cached, self.prompt)
        return cost


class Outcome(NamedTuple):
    """How a call ended.

    Attributes:
        model: who answered, or None if nobody did.
        tokens: what the answer took.
        cost: USD as the backend says, else at the artifact's prices, or None where unknown.
        propensity: the chance with which the model was to answer.
        tried: what failed before.
        error: what the caller got instead of an answer, or of its end.
    """

    model: str | None
    tokens: Tokens = Tokens()
    cost: float | None = None
    propensity: float = 1.0
    tried: Sequence[FailedAttempt] = ()
    error: BaseException | None = None


def charged(cost: Any, own_key: Any, upstream: Any) -> float | None:
    """USD that an endpoint says an answer cost; None where it is not all, or nothing.

    Args:
        cost: what it charged; nothing is unknown, for others may have charged something.
        own_key: whether the model's provider charged the caller, whose key it was, and the endpoint
            only its fee (https://openrouter.ai/docs/use-cases/usage-accounting).
        upstream: what the provider charged.
    """
    paid = [cost, upstream] if own_key is True else [cost]
    return float(sum(paid)) or None if all(map(_is_count, paid)) else None


def _count(given: Any) -> int | None:
    return int(given) if _is_count(given) else None


def _is_count(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < _MOST
