"""What a token of a model costs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np

from avengers_core.common.arrays import Floats
from avengers_core.common.ranges import is_number
from avengers_core.errors import needing

Prices = Mapping[str, Any] | Literal["genai-prices"]
"""What ``prices=`` takes: a mapping from models to prices, or the name of the library that knows
them. A price is a :class:`Price`, a pair (input, output), or a mapping with these names."""

# Few enough to be in the cheapest tier of a model that has several, many enough for all digits.
_SAMPLE_TOKENS = 1_000


class Price(NamedTuple):
    """USD per token; providers list them per million.

    Attributes:
        input: of the prompt.
        output: of the answer.
        cached_input: of the part of a prompt that the provider has read before, or None where it
            is not known.
    """

    input: float
    output: float
    cached_input: float | None = None

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """USD of a call with as many tokens, none of them cached."""
        return self.input * prompt_tokens + self.output * completion_tokens


def find_prices(
    models: Collection[str], prices: Prices | None, on: datetime | None = None
) -> dict[str, Price]:
    """The prices of models, as far as they are known.

    Args:
        models: their ids.
        prices: see :data:`Prices`; None: none is known.
        on: the day that prices of ``"genai-prices"`` are of; default today.

    Raises:
        ValueError: a price that is not two or three finite numbers of at least 0.
        OptionalDependencyError: ``"genai-prices"`` is not installed.
    """
    if prices is None:
        return {}
    if prices == "genai-prices":
        found = {model: _from_library(model, on) for model in models}
        return {model: price for model, price in found.items() if price is not None}
    if not isinstance(prices, Mapping):
        raise ValueError(
            f'prices must map models to (input, output) in USD a token, or be "genai-prices", got '
            f"{prices!r:.60}"
        )
    return {model: as_price(prices[model], model) for model in models if model in prices}


def per_token(models: Sequence[str], prices: Mapping[str, Price]) -> tuple[Floats, Floats]:
    """(M,) USD per token sent, and per token received, of M models; NaN without a price."""
    known = (prices.get(model, Price(math.nan, math.nan)) for model in models)
    paid, answered = np.array([(price.input, price.output) for price in known]).reshape(-1, 2).T
    return paid, answered


def as_price(given: Any, model: str) -> Price:
    """A price, from any form of one; raises ValueError for what is none."""
    try:
        if isinstance(given, Mapping):
            price = Price(**given)
        elif isinstance(given, Sequence) and not isinstance(given, str):
            price = Price(*given)
        else:
            raise TypeError
        needed: Sequence[Any] = price[: 2 if price.cached_input is None else 3]
        if all(is_number(n) and 0 <= n < math.inf for n in needed):
            return Price(*map(float, needed))
    except TypeError:
        pass
    raise ValueError(
        f"the price of {model!r} must be (input, output) or (input, output, cached_input), "
        f"USD a token, got {given!r:.60}"
    )


def _from_library(model: str, on: datetime | None) -> Price | None:
    """The price that genai-prices knows: as OpenRouter lists it, else as its maker does."""
    with needing("genai-prices", "prices"):
        from genai_prices import Usage, calc_price

    def of(name: str, provider: str | None, **tokens: int) -> float:
        usage = Usage(**tokens)
        price = calc_price(usage, name, provider_id=provider, genai_request_timestamp=on)
        return float(price.total_price) / _SAMPLE_TOKENS

    maker, _, name = model.rpartition("/")
    for reference, provider in ((model, "openrouter"), (name, maker or None), (name, None)):
        n = _SAMPLE_TOKENS
        try:
            paid = of(reference, provider, input_tokens=n)
            output = of(reference, provider, output_tokens=n)
            cached = of(reference, provider, input_tokens=n, cache_read_tokens=n)
        except (LookupError, ValueError):
            continue
        return Price(paid, output, cached)
    return None
