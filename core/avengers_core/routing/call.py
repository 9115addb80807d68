"""What is asked of a router for one or many queries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from avengers_core.common.ranges import check_number, check_whole
from avengers_core.records.record import MOST_AMOUNT
from avengers_core.routing.policy import Policy, PolicyArguments, kept

MOST_TOKENS = int(MOST_AMOUNT)
"""Of a prompt or an answer: far beyond any model, and well inside single precision."""


class CallArguments(PolicyArguments, total=False):
    """The fields of :class:`RoutingCall`, and of its policy, as keyword arguments."""

    n: int
    prompt_tokens: int | None
    unavailable: Mapping[str, str] | None
    cached_tokens: Mapping[str, int] | None


class RoutingCall(NamedTuple):
    """What is asked of a router for one or many queries.

    Attributes:
        policy: how to choose.
        n: how many models are wanted, at least 1.
        prompt_tokens: tokens of each query's whole prompt, or None for the query alone.
        unavailable: model -> reason, models that cannot serve the call.
        cached_tokens: model -> tokens at the beginning of the prompt that its provider has read
            before, and takes less for.
    """

    policy: Policy = Policy()
    n: int = 1
    prompt_tokens: int | None = None
    unavailable: Mapping[str, str] | None = None
    cached_tokens: Mapping[str, int] | None = None

    @staticmethod
    def of(**arguments: Any) -> RoutingCall:
        """A call from the keywords of ``Router.route``, checked but for the models' names."""
        given = kept(arguments)
        try:
            return _remembered(**given)
        except TypeError:  # a list of models cannot be looked up
            pass
        return _made(**given)

    @classmethod
    def of_any_alpha(cls, **constraints: Any) -> RoutingCall:
        """A call of which nothing is given that decisions at every alpha do not depend on."""
        call = cls.of(**constraints)
        if given := [*call.policy.balance, *(["n"] if call.n > 1 else [])]:
            raise TypeError(f"what holds at every alpha does not depend on {', '.join(given)}=")
        return call

    @property
    def uncached(self) -> RoutingCall:
        """The same, with nothing read before."""
        return self._replace(cached_tokens=None)

    @property
    def relaxed(self) -> RoutingCall:
        """The same, with the nearest model where the limits leave nobody."""
        return self._replace(policy=self.policy._replace(on_empty="relax"))


def _made(
    *,
    n: int = 1,
    prompt_tokens: int | None = None,
    unavailable: Mapping[str, str] | None = None,
    cached_tokens: Mapping[str, int] | None = None,
    **policy: Any,
) -> RoutingCall:
    check_whole("n", n, 1)
    if prompt_tokens is not None:
        check_number("prompt_tokens", prompt_tokens, 0, MOST_TOKENS)
    if cached_tokens is not None:
        if not isinstance(cached_tokens, Mapping):
            raise ValueError(f"cached_tokens must map models to numbers, got {cached_tokens!r:.40}")
        for model, tokens in cached_tokens.items():
            check_number(f"cached_tokens[{model!r}]", tokens, 0, MOST_TOKENS)
    try:
        made = Policy(**policy)
    except TypeError:
        if unknown := sorted(policy.keys() - set(Policy._fields)):
            raise TypeError(
                f"a call has no {', '.join(unknown)}=; expected some of {', '.join(Policy._fields)}"
            ) from None
        raise
    return RoutingCall(made, n, prompt_tokens, unavailable, cached_tokens)


# Programs ask for the same again and again. True is 1 to whoever remembers without types.
_remembered = lru_cache(maxsize=64, typed=True)(_made)
