"""Where models may be compared: the groups of records of a topic in a cluster, and their sums."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.common.arrays import Floats

# Share of a cluster below which a topic is no group of its own.
_SMALL = 0.03


def comparable(asked: Asked) -> tuple[Floats, Floats, Floats, Floats]:
    """The G groups of records in which models may be compared.

    Each is of a topic in a cluster; those that are too small to matter are one in each cluster.

    Returns:
        (K, G) share of each group in the cluster's records, above 0 in its own cluster only;
        (G, T) shares of the topics in each group; (G, M) sums of scores, less what models owe
        to easier queries than usual in the group's topics and cluster, and counts.
    """
    return _compared(_at_home(asked))


def _at_home(asked: Asked) -> Asked:
    """The same sums, with no model on a topic of its cluster that the others do not know.

    What a few models were asked apart from the others is of no topic that was known when the
    artifact was fitted: a handful of graded queries seldom say where they come from. It counts
    for all topics of the cluster, as they are asked there, whether the queries themselves were
    counted or not.
    """
    home = asked.size > 0
    models = (asked.n > 0).sum(axis=-1)
    everybody = (asked.n > 0).any(axis=1).sum(axis=-1)
    home[:, -1] &= 2 * models[:, -1] > everybody
    astray = ~home & home.any(axis=1, keepdims=True)
    if not asked.n[astray].any():
        return asked
    there = np.where(home, asked.size, 0.0)
    share = ratio(there, there.sum(axis=1, keepdims=True))

    def moved(sums: Floats) -> Floats:
        over_models = (..., *[None] * (sums.ndim - 2))
        away = np.where(astray[over_models], sums, 0.0)
        home: Floats = sums - away + share[over_models] * away.sum(axis=1, keepdims=True)
        return home

    sums: dict[str, Any] = {name: moved(of_all) for name, of_all in asked.arrays().items()}
    return replace(asked, **sums)


def _compared(asked: Asked) -> tuple[Floats, Floats, Floats, Floats]:
    """:func:`comparable`, of sums that are of the topics of their clusters."""
    k, t = asked.size.shape
    weight = asked.size + 1e-9  # where there are no records all topics are alike
    share = weight / weight.sum(axis=1, keepdims=True)
    there = asked.there()
    large = there & (share >= _SMALL)
    small = there & ~large
    small[~there.any(axis=1)] = True  # each cluster has a group
    # Column t is of those that are too small.
    cluster, column = np.append(large, small.any(axis=1, keepdims=True), axis=1).nonzero()
    members = np.where((column == t)[:, None], small[cluster], np.eye(t)[column % t])
    parts = members * share[cluster]
    topics = parts / parts.sum(axis=1, keepdims=True)
    shares = (cluster == np.arange(k)[:, None]) * parts.sum(axis=1)
    head_start = asked.easier - asked.n * ratio(asked.easy, asked.size)[..., None]
    total = np.einsum("gt,gtm->gm", members, (asked.score - head_start)[cluster])
    shares /= shares.sum(axis=1, keepdims=True)
    return shares, topics, total, np.einsum("gt,gtm->gm", members, asked.n[cluster])
