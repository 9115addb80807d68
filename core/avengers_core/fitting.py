"""Fitting: records and an embedder in, an artifact out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core import __version__
from avengers_core.artifact import ArtifactInfo, RouterArtifact
from avengers_core.clusters import assign
from avengers_core.errors import ArtifactError, EmbedderMismatchError, RecordError
from avengers_core.records import Outcomes, Records, Source, as_records, to_outcomes
from avengers_core.refinement import fit_refinement
from avengers_core.statistics import Statistics
from avengers_core.surface import surface

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec

logger = logging.getLogger(__name__)

# Beyond this many distinct queries k-means runs on a random sample of as many, followed by one
# assignment pass over all: a quarter of the time for 0.4 % more inertia at 100,000 queries.
MAX_CLUSTERING_SAMPLE = 20_000


def fit(
    records: Records | Source,
    embedder: EmbedderSpec = "wordllama",
    n_clusters: int = 60,
    seed: int = 42,
    *,
    n_init: int = 10,
    models: Sequence[str] | None = None,
    centroids: RouterArtifact | npt.NDArray[np.floating] | None = None,
    refine: bool = True,
    input_prices: Mapping[str, float] | None = None,
    scorer: str = "calibrated",
    scorer_options: Mapping[str, Any] | None = None,
    source: str = "",
    note: str = "",
) -> RouterArtifact:
    """Cluster the queries and sum up how each model did in each cluster.

    Queries are embedded (each distinct text once), k-means groups them, and scores, costs and
    tokens are summed per (cluster, model). The same records, embedder and seed give the same
    arrays, byte for byte, on the same machine.

    Args:
        records: what :func:`avengers_core.load_records` returns or takes.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes, or
            ``"tfidf"`` to fit a :class:`avengers_core.embedders.TfidfEmbedder` on the queries and
            store it in the artifact.
        n_clusters: number of clusters, at least 1; fewer are made, and the log says so, where
            there are fewer distinct queries.
        seed: of the clustering (and of the sample that it is made on where there are more than
            20,000 distinct queries).
        n_init: k-means restarts, the best of which is kept.
        models: the models to keep, in this order; default all, in order of first appearance.
        centroids: use these instead of clustering: an artifact, or (K, d) vectors.
        refine: also fit what the calibrated scorer knows beyond the clusters, see
            :class:`avengers_core.refinement.Refinement`; without it the artifact is smaller.
        input_prices: USD per prompt token by model, where the records' token counts do not tell.
        scorer: the scorer that routers use for this artifact unless told otherwise.
        scorer_options: and its options.
        source: what the records are, in words; kept in the artifact.
        note: what users must know about the numbers; kept in the artifact.

    Raises:
        RecordError: there are no records, or none scores any of the models.
        ValueError: an argument out of range.
        EmbedderError: the embedder failed.
    """
    if n_clusters < 1 or n_init < 1:
        raise ValueError(f"n_clusters and n_init must be at least 1, got {n_clusters}, {n_init}")
    records = as_records(records)
    outcomes = _outcomes(records, models)
    unpriced = _absent(outcomes.costs, outcomes.models)
    if unpriced and len(unpriced) < len(outcomes.models):
        logger.warning("no record has a cost of %s: they are eligible only at alpha 1", unpriced)
    encoder, embedder_arrays = _prepare(embedder, outcomes.queries, seed)
    vectors, row = _embed(encoder, outcomes.queries)
    info = ArtifactInfo(
        embedder=encoder.id,
        fit={
            "n_clusters": n_clusters,
            "seed": seed,
            "n_init": n_init,
            "missing": records.missing,
            "given_centroids": centroids is not None,
        },
        scorer=scorer,
        scorer_options=dict(scorer_options or {}),
        input_prices={m: p for m, p in (input_prices or {}).items() if m in outcomes.models},
        source=source,
        note=note,
        version=__version__,
    )
    base = centroids if isinstance(centroids, RouterArtifact) else None
    if base is not None:
        centers = _of_same_embedder(base, encoder)
    elif centroids is not None and not isinstance(centroids, RouterArtifact):
        centers = _checked(centroids, vectors.shape[1])
    else:
        centers = _cluster(vectors, n_clusters, seed, n_init)
    refinement = None
    if refine:
        features = surface(outcomes.queries)
        if base is not None:
            old = base.refinement
            refinement = old and old.collect(vectors[row], features, outcomes)
        else:
            # One start will do: this clustering is averaged over, not reported.
            cluster = partial(_cluster, n_clusters=n_clusters, seed=seed, n_init=1)
            refinement = fit_refinement(vectors[row], features, outcomes, cluster, seed)
    labels = assign(vectors, centers)[row]
    return RouterArtifact(
        models=outcomes.models,
        datasets=outcomes.datasets,
        centroids=centers,
        statistics=Statistics.collect(outcomes, labels, len(centers)),
        info=info,
        embedder_arrays=embedder_arrays,
        refinement=refinement,
    )


def collect(
    artifact: RouterArtifact, records: Records | Source, embedder: Embedder | None = None
) -> RouterArtifact:
    """The statistics of further records under an artifact's centroids, as an artifact.

    Raises:
        RecordError: there are no records.
        EmbedderMismatchError: the embedder is not the artifact's.
    """
    from avengers_core.router import named_embedder

    encoder = embedder or named_embedder(artifact)
    if encoder.id != artifact.info.embedder:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {artifact.info.embedder!r}, "
            f"got {encoder.id!r}"
        )
    outcomes = _outcomes(as_records(records), None)
    vectors, row = _embed(encoder, outcomes.queries)
    labels = artifact.assign(vectors)[row]
    r = artifact.refinement
    return RouterArtifact(
        models=outcomes.models,
        datasets=outcomes.datasets,
        centroids=artifact.centroids,
        statistics=Statistics.collect(outcomes, labels, artifact.n_clusters),
        info=artifact.info,
        embedder_arrays=artifact.embedder_arrays,
        refinement=r and r.collect(vectors[row], surface(outcomes.queries), outcomes),
    )


def _outcomes(records: Records, models: Sequence[str] | None) -> Outcomes:
    if not records:
        rejected = f"; {len(records.problems)} lines were rejected" if records.problems else ""
        raise RecordError(f"there are no records to fit on{rejected}")
    outcomes = to_outcomes(records, models)
    if unseen := _absent(outcomes.scores, outcomes.models):
        raise RecordError(
            f"no record has a score of {unseen}; leave them out, or pass models= with those "
            f"to fit on"
        )
    return outcomes


def _absent(values: npt.NDArray[np.float64], models: Sequence[str]) -> list[str]:
    """The models whose column holds nothing but NaN."""
    return [models[j] for j in np.flatnonzero(np.isnan(values).all(axis=0)).tolist()]


def _prepare(
    spec: EmbedderSpec, queries: Sequence[str], seed: int
) -> tuple[Embedder, dict[str, npt.NDArray[Any]]]:
    from avengers_core.embedders import CachedEmbedder, TfidfEmbedder, resolve_embedder

    if spec == "tfidf":
        spec = TfidfEmbedder.fit(list(dict.fromkeys(queries)), seed=seed)
    encoder = resolve_embedder(spec)
    inner = encoder.embedder if isinstance(encoder, CachedEmbedder) else encoder
    return encoder, inner.to_arrays() if isinstance(inner, TfidfEmbedder) else {}


def _embed(
    encoder: Embedder, queries: Sequence[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Vectors of the distinct queries, and the row of each query among them."""
    position: dict[str, int] = {}
    row = [position.setdefault(q, len(position)) for q in queries]
    return encoder.embed(list(position)), np.array(row, dtype=np.int64)


def _cluster(
    vectors: npt.NDArray[np.float32], n_clusters: int, seed: int, n_init: int
) -> npt.NDArray[np.float32]:
    from sklearn.cluster import KMeans

    if len(vectors) > MAX_CLUSTERING_SAMPLE:
        order = np.random.default_rng(seed).permutation(len(vectors))
        vectors = vectors[np.sort(order[:MAX_CLUSTERING_SAMPLE])]
    k = n_clusters
    if len(vectors) <= 4 * n_clusters:
        # Different texts can have the same vector; scikit-learn needs as many distinct ones as k.
        k = min(k, len(np.unique(vectors, axis=0)))
    if k < n_clusters:
        logger.warning("only %d distinct queries, so %d clusters, not %d", k, k, n_clusters)
    centers = KMeans(k, n_init=n_init, random_state=seed).fit(vectors).cluster_centers_
    return np.ascontiguousarray(centers, dtype=np.float32)


def _of_same_embedder(artifact: RouterArtifact, encoder: Embedder) -> npt.NDArray[np.float32]:
    if artifact.info.embedder != encoder.id:
        raise EmbedderMismatchError(
            f"the centroids are of the embedder {artifact.info.embedder!r}, got {encoder.id!r}"
        )
    return artifact.centroids


def _checked(centroids: npt.NDArray[np.floating], dim: int) -> npt.NDArray[np.float32]:
    given = np.asarray(centroids, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != dim:
        raise ArtifactError(f"centroids must have shape (clusters, {dim}), got {given.shape}")
    return given
