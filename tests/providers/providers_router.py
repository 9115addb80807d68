"""A router over models of any names, between which nothing decides: tests name one by force."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

from keyword_router import keyword_embedder

from avengers_core import Router, fit

# Whether any two kinds of backend meet in every mode, and not in one that they have in common.
ALL_PAIRS = os.environ.get("MATRIX") == "full"


def router_of(models: Sequence[str]) -> Router:
    """A router over these models, all as good and as expensive as each other."""
    return _router_of(tuple(models))


@cache
def _router_of(models: tuple[str, ...]) -> Router:
    records = [
        {
            "query": f"hello {i}",
            "records": dict.fromkeys(models, 1.0),
            "usages": {model: {"cost": 0.01} for model in models},
            "dataset": "any",
            "index": i,
        }
        for i in range(20)
    ]
    artifact = fit(records, keyword_embedder(), n_clusters=1)
    return Router(artifact, embedder=keyword_embedder())
