"""Fitting where the queries are embedded already."""

from __future__ import annotations

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.sums import Sums
from avengers_core.fitting.plan import N_CLUSTERS, SEED, Plan
from avengers_core.records.outcomes import Outcomes
from avengers_core.routing.queries import Queries


def fit_queries(
    queries: Queries,
    outcomes: Outcomes,
    embedder: str,
    n_clusters: int = N_CLUSTERS,
    seed: int = SEED,
) -> RouterArtifact:
    """:func:`avengers_core.fit` on numbers alone: the texts have been embedded, and may be gone.

    Args:
        queries: n queries; without surface features there is no refinement.
        outcomes: what the models scored on them; of its texts only the lengths count.
        embedder: id of the embedder that made the vectors.
        n_clusters: as for :func:`avengers_core.fit`.
        seed: as for :func:`avengers_core.fit`.

    Raises:
        ValueError: an argument out of range.
    """
    plan = Plan(embedder, n_clusters, seed, refine=queries.surface is not None)
    clusters = plan.artifact(
        outcomes, queries.vectors, queries.surface, embedder, {}, missing="skip"
    )
    return Sums.collect(clusters, queries.vectors, queries.surface, outcomes).put_into(clusters)
