"""A router over models of any names, between which nothing decides: tests name one by force."""

from __future__ import annotations

from keyword_router import keyword_embedder

from avengers_core import Router, fit


def router_of(models: list[str]) -> Router:
    """A router over these models, all as good and as expensive as each other."""
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
