"""Costs at given prices, and prices where none are given.

Sums hold the tokens of records as well as their costs. So what models cost at other prices than
when the records were made is read off the sums, and prices are a setting of an artifact.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.embedders.tokens import BYTES_PER_TOKEN
from avengers_core.records.prices import Price, per_token

logger = logging.getLogger(__name__)


# USD a token: more than any model has cost, and less than prices per million tokens mostly are.
_LARGEST_USUAL = 1e-3


def at_prices(s: Statistics, models: Sequence[str], prices: Mapping[str, Price]) -> Statistics:
    """The sums as they would be had the records been paid for at these prices.

    Where tokens are known, costs are tokens times price, also of records that have no cost. Costs
    of records without tokens change as those of the model's other records do; they stay as they
    are where it has no others. Models without a price keep their costs.

    Args:
        s: the sums.
        models: the M ids.
        prices: model -> price.
    """
    if not prices:
        return s
    paid, answered = per_token(models, prices)
    priced = ~np.isnan(paid) & s.n_tokens.any(axis=0)
    paid, answered = np.where(priced, paid, 0.0), np.where(priced, answered, 0.0)
    of_tokens = paid * s.prompt_tokens + answered * s.completion_tokens
    both = ratio(s.n_token_cost, s.n_tokens)
    was = s.token_cost.sum(axis=0)
    change = ratio((of_tokens * both).sum(axis=0), was, empty=1.0)
    # Of records with a cost that have no tokens; how long their queries are is not kept apart.
    n_without = s.n_cost - s.n_token_cost
    without = ratio(n_without, s.n_cost)
    of_lengths = paid * s.prompt_length + answered * s.completion_length
    new = {
        "n_cost": s.n_tokens + n_without,
        "cost": of_tokens + change * np.maximum(s.cost - s.token_cost, 0.0),
        "n_token_cost": s.n_tokens,
        "token_cost": of_tokens,
        "length": s.token_length + without * s.length,
        "length_squared": s.token_length_squared + without * s.length_squared,
        "length_cost": of_lengths + change * without * s.length_cost,
    }
    return replace(s, **{k: np.where(priced, v, getattr(s, k)) for k, v in new.items()})


def estimated_input_prices(s: Statistics) -> Floats:
    """(M,) estimated USD per prompt token of each model, NaN where the sums do not tell.

    Where token counts are known: least squares of cost on prompt and completion tokens over
    the clusters' means, weighted by their records, with neither price below zero; where cost
    is tokens times list price it recovers the list price. Elsewhere: least squares of cost on
    the query's length inside the clusters, at four bytes a token.
    """
    by_tokens = [_price_by_tokens(s, m) for m in range(s.n.shape[1])]
    return np.where(np.isnan(by_tokens), _price_by_length(s), by_tokens)


def highest_input_prices(costs: Floats, tokens: Floats) -> Floats:
    """(M,) what a prompt token costs at most, in USD: nowhere does a usual prompt cost more than
    the call that it is a part of.

    What a few records let estimate may be many times that, and a short query would then be
    expected to cost less than nothing.

    Args:
        costs: (K, M) expected costs of usual calls in each cluster.
        tokens: (K,) tokens of their prompts.
    """
    asked = tokens > 0
    highest: Floats = (costs[asked] / tokens[asked, None]).min(axis=0, initial=np.inf)
    return highest


def unpriced(s: Statistics, models: Sequence[str], prices: Mapping[str, Price]) -> list[str]:
    """Those of M models whose cost nobody knows, at these prices."""
    known = np.asarray(at_prices(s, models, prices).n_cost.any(axis=0))
    return [m for m, has in zip(models, known.tolist(), strict=True) if not has]


def notice_unpriced(s: Statistics, models: Sequence[str], prices: Mapping[str, Price]) -> None:
    """Log which models have no known cost, or that none has; of some records, or of all."""
    unknown = unpriced(s, models, prices)
    if len(unknown) == len(models):
        logger.warning(
            "no record has a cost: where no others have, scores alone decide at every alpha"
        )
    elif unknown:
        logger.warning(
            "no record has a cost of %s: where no others have, they are eligible only at alpha 1",
            unknown,
        )


def notice_prices(s: Statistics, models: Sequence[str], prices: Mapping[str, Price]) -> None:
    """Log what prices that are given leave open: models without one, or tokens, or an odd one."""
    if not prices:
        return
    if without := [m for m in models if m not in prices]:
        logger.warning("no price of %s is given: their costs are as recorded", without)
    tokens = dict(zip(models, np.asarray(s.n_tokens.any(axis=0)).tolist(), strict=True))
    if untold := [m for m in prices if not tokens.get(m, True)]:
        logger.warning(
            "no record has prompt and completion tokens of %s: their prices only tell what longer "
            "prompts cost",
            untold,
        )
    if odd := [m for m, price in prices.items() if max(price[:2]) > _LARGEST_USUAL]:
        logger.warning(
            "the prices of %s are above %s USD a token; lists give USD per million tokens, prices= "
            "takes USD per token",
            odd,
            _LARGEST_USUAL,
        )


def _price_by_length(s: Statistics) -> Floats:
    n = np.maximum(s.n_cost, 1.0)
    together = (s.length_cost - s.length * s.cost / n).sum(axis=0)
    spread = (s.length_squared - s.length**2 / n).sum(axis=0)
    # Lengths that hardly differ (a spread of a byte a record) tell nothing of a price.
    told = spread > s.n_cost.sum(axis=0)
    slope = np.divide(together, spread, out=np.full(len(spread), np.nan), where=told)
    prices: Floats = np.maximum(slope, 0.0) * BYTES_PER_TOKEN
    return prices


def _price_by_tokens(s: Statistics, model: int) -> float:
    n = s.n_token_cost[:, model]
    seen = n > 0
    if seen.sum() < 2:
        return float("nan")
    weight = 1 / np.sqrt(n[seen])
    with_cost = n[seen] / s.n_tokens[seen, model]
    prompt, completion, cost = (
        a[seen, model] * share * weight
        for a, share in (
            (s.prompt_tokens, with_cost),
            (s.completion_tokens, with_cost),
            (s.token_cost, 1.0),
        )
    )
    design = np.stack([prompt, completion], axis=1)
    if np.linalg.matrix_rank(design) < 2:
        return float("nan")
    price, output_price = np.linalg.lstsq(design, cost, rcond=None)[0]
    if output_price < 0:
        price = prompt @ cost / (prompt @ prompt)
    return float(max(price, 0.0))
