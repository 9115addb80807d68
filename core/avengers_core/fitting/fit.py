"""Fitting: records and an embedder in, an artifact out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core import __version__
from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.clusters import assign
from avengers_core.artifact.estimation.pricing import notice_prices
from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.artifact.sums import Sums
from avengers_core.embedders.surface import surface
from avengers_core.embedders.tokens import MAX_CHARS
from avengers_core.errors import ArtifactError, EmbedderMismatchError, RecordError
from avengers_core.fitting.refine import fit_refinement
from avengers_core.fitting.sampling import sample_rows
from avengers_core.parallel import one_thread
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.prices import Price, Prices, find_prices
from avengers_core.records.record import Missing, Records, Source, as_records
from avengers_core.routing.scoring import check_options

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec

logger = logging.getLogger(__name__)

# Beyond this many records clusters are made from a sample of as many, followed by one assignment
# pass over all: a quarter of the time for 0.4 % more inertia at 100,000 queries.
MAX_SAMPLE = 20_000


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
    prices: Prices | None = None,
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
            20,000 records).
        n_init: k-means restarts, the best of which is kept.
        models: the models to keep, in this order; default all, in order of first appearance.
        centroids: use these instead of clustering: an artifact, or (K, d) vectors.
        refine: also fit what the calibrated scorer knows beyond the clusters, see
            :class:`avengers_core.artifact.refinement.Refinement`; the artifact is smaller without.
        input_prices: USD per prompt token by model, where the records' token counts do not tell.
        prices: model -> (input, output) or (input, output, cached input), USD per token, or
            ``"genai-prices"`` for the list prices of today: costs are then tokens times price
            where records have tokens, as by :meth:`RouterArtifact.reprice`.
        scorer: the scorer that routers use for this artifact unless told otherwise.
        scorer_options: and its options.
        source: what the records are, in words; kept in the artifact.
        note: what users must know about the numbers; kept in the artifact.

    Raises:
        RecordError: there are no records, or none scores any of the models.
        ValueError: an argument out of range.
        EmbedderError: the embedder failed.
    """
    records = as_records(records)
    base = centroids if isinstance(centroids, RouterArtifact) else None
    outcomes = columns_of(records, models, base)
    names = [outcomes.datasets[d] for d in outcomes.dataset]
    rows = sample_rows(outcomes.queries, names, MAX_SAMPLE, seed)
    plan = Plan(
        embedder=embedder,
        n_clusters=n_clusters,
        seed=seed,
        n_init=n_init,
        missing=records.missing,
        refine=refine,
        centroids=centroids,
        input_prices=dict(input_prices or {}),
        prices=prices,
        scorer=scorer,
        scorer_options=dict(scorer_options or {}),
        source=source,
        note=note,
    )
    encoder, embedder_arrays = plan.encoder([outcomes.queries[i] for i in rows])
    vectors, row = embed_distinct(encoder, outcomes.queries)
    features = surface(outcomes.queries) if refine else None
    artifact = plan.artifact(
        outcomes.take(rows),
        vectors[row[rows]],
        None if features is None else features[rows],
        encoder.id,
        embedder_arrays,
    )
    fitted = Sums.collect(artifact, vectors[row], features, outcomes).put_into(artifact)
    notice_prices(fitted.statistics, fitted.models, fitted.info.prices)
    return fitted


@dataclass(frozen=True)
class Plan:
    """How to fit, apart from the records; the fields are arguments of :func:`fit`."""

    embedder: EmbedderSpec
    n_clusters: int
    seed: int
    n_init: int
    missing: Missing
    refine: bool
    centroids: RouterArtifact | npt.NDArray[np.floating] | None
    input_prices: Mapping[str, float]
    prices: Prices | None
    scorer: str
    scorer_options: Mapping[str, Any]
    source: str
    note: str

    def __post_init__(self) -> None:
        if self.missing not in ("skip", "zero"):
            raise ValueError(f'missing must be "skip" or "zero", got {self.missing!r}')
        for name in ("n_clusters", "n_init"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}")
        check_options(self.scorer, self.scorer_options)

    def encoder(self, queries: Sequence[str]) -> tuple[Embedder, dict[str, npt.NDArray[Any]]]:
        """The embedder, and its arrays if it has to be fitted, on a sample of the queries."""
        from avengers_core.embedders import CachedEmbedder, TfidfEmbedder, resolve_embedder

        spec = self.embedder
        if spec == "tfidf":
            spec = TfidfEmbedder.fit(list(dict.fromkeys(queries)), seed=self.seed)
        encoder = resolve_embedder(spec)
        inner = encoder.embedder if isinstance(encoder, CachedEmbedder) else encoder
        return encoder, inner.to_arrays() if isinstance(inner, TfidfEmbedder) else {}

    def artifact(
        self,
        sample: Outcomes,
        vectors: npt.NDArray[np.float32],
        features: npt.NDArray[np.float32] | None,
        embedder_id: str,
        embedder_arrays: Mapping[str, npt.NDArray[Any]],
    ) -> RouterArtifact:
        """Clusters, made from a sample of the records, for the sums of all of them.

        Args:
            sample: n records, with all models and datasets as columns.
            vectors: (n, d) unit vectors of the queries.
            features: (n, 11) their surface features; None if not to refine.
            embedder_id: of the embedder that made the vectors.
            embedder_arrays: and its arrays.

        Returns:
            An artifact without records.
        """
        base = self.centroids if isinstance(self.centroids, RouterArtifact) else None
        refinement: Refinement | None = None
        if base is not None:
            centers = _of_same_embedder(base, embedder_id)
            base.check_dimension(vectors)
            shape = len(sample.models), len(sample.datasets)
            if features is not None and base.refinement is not None:
                refinement = base.refinement.emptied(*shape)
        else:
            with one_thread():
                centers, refinement = self._clusters(sample, vectors, features)
        info = ArtifactInfo(
            embedder=embedder_id,
            fit={"given_centroids": True}
            if self.centroids is not None
            else {"n_clusters": self.n_clusters, "seed": self.seed, "n_init": self.n_init},
            missing=self.missing,
            scorer=self.scorer,
            scorer_options=dict(self.scorer_options),
            cells="joint",
            input_prices={m: p for m, p in self.input_prices.items() if m in sample.models},
            prices=self._prices(sample.models, base),
            source=self.source,
            note=self.note,
            version=__version__,
        )
        return RouterArtifact(
            models=sample.models,
            datasets=sample.datasets,
            centroids=centers,
            statistics=Statistics.zeros(len(centers), len(sample.models), len(sample.datasets)),
            info=info,
            embedder_arrays=embedder_arrays,
            refinement=refinement,
        )

    def _prices(self, models: Sequence[str], base: RouterArtifact | None) -> dict[str, Price]:
        """Those given, else those of the artifact that these records may be added to."""
        if self.prices is not None:
            return find_prices(models, self.prices)
        return {m: p for m, p in (base.info.prices if base else {}).items() if m in models}

    def _clusters(
        self,
        sample: Outcomes,
        vectors: npt.NDArray[np.float32],
        features: npt.NDArray[np.float32] | None,
    ) -> tuple[npt.NDArray[np.float32], Refinement | None]:
        if self.centroids is not None and not isinstance(self.centroids, RouterArtifact):
            centers = _checked(self.centroids, vectors.shape[1])
        else:
            first = dict(zip(reversed(sample.queries), range(len(sample))[::-1], strict=True))
            distinct = vectors[sorted(first.values())]
            centers = cluster(distinct, self.n_clusters, self.seed, self.n_init)
            if (n := len(centers)) < self.n_clusters:
                logger.warning(
                    "only %d distinct queries, so %d clusters, not %d", n, n, self.n_clusters
                )
        if features is None:
            return centers, None
        # One start will do: this clustering is averaged over, not reported.
        again = partial(cluster, n_clusters=self.n_clusters, seed=self.seed, n_init=1)
        return centers, fit_refinement(vectors, features, sample, again, self.seed)


def columns_of(
    records: Records, models: Sequence[str] | None, base: RouterArtifact | None = None
) -> Outcomes:
    """Records as columns; ``base``: whose sums they are to be added to."""
    if not records:
        n, rejected = len(records.problems), ""
        if n:
            rejected = f"; {n:,} lines were rejected, the first: {records.problems[0]}"
        raise RecordError(f"there are no records to fit on{rejected}")
    if base is not None and models is None:
        return to_outcomes(records, _with_results(records) or base.models)
    outcomes = to_outcomes(records, models)
    # With missing="zero" a model that no record knows would score 0 everywhere.
    known = set(records.models)
    unseen = _absent(outcomes.scores, outcomes.models) or [
        m for m in outcomes.models if m not in known
    ]
    if unseen:
        raise RecordError(
            f"no record has a score of {unseen}; leave them out, or pass models= with those "
            f"to fit on"
        )
    return outcomes


def _with_results(records: Records) -> tuple[str, ...]:
    """The models that have a result: on some days, one that is known otherwise has none."""
    if records.missing == "zero":
        return records.models
    scored = {model for record in records for model, s in record.scores.items() if s is not None}
    return tuple(model for model in records.models if model in scored)


def _absent(values: npt.NDArray[np.float64], models: Sequence[str]) -> list[str]:
    """The models whose column holds nothing but NaN."""
    return [models[j] for j in np.flatnonzero(np.isnan(values).all(axis=0)).tolist()]


def embed_distinct(
    encoder: Embedder, queries: Sequence[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Vectors of the distinct queries, and the row of each query among them: (q, d), (n,)."""
    position: dict[str, int] = {}
    row = [position.setdefault(q[:MAX_CHARS], len(position)) for q in queries]
    return encoder.embed(list(position)), np.array(row, dtype=np.int64)


def cluster(
    vectors: npt.NDArray[np.float32], n_clusters: int, seed: int, n_init: int
) -> npt.NDArray[np.float32]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    k = min(n_clusters, len(vectors))
    with warnings.catch_warnings():
        # It warns of clusters with one center, which are one cluster here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        centers = KMeans(k, n_init=n_init, random_state=seed).fit(vectors).cluster_centers_
    _, first = np.unique(centers, axis=0, return_index=True)
    centers = np.ascontiguousarray(centers[np.sort(first)], dtype=np.float32)
    return _centered(vectors, centers)


def _centered(
    vectors: npt.NDArray[np.float32], centers: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """One more step of k-means, in double precision and always in the same order.

    scikit-learn's threads add up in the order in which they finish, so that its last bits differ
    from run to run.
    """
    labels = assign(vectors, centers)
    count = np.bincount(labels, minlength=len(centers))
    order = np.argsort(labels, kind="stable")
    sums = np.add.reduceat(
        vectors[order].astype(np.float64), np.searchsorted(labels[order], np.flatnonzero(count))
    )
    moved = centers.copy()
    moved[count > 0] = sums / count[count > 0, None]
    return moved


def _of_same_embedder(artifact: RouterArtifact, embedder_id: str) -> npt.NDArray[np.float32]:
    if artifact.info.embedder != embedder_id:
        raise EmbedderMismatchError(
            f"the centroids are of the embedder {artifact.info.embedder!r}, got {embedder_id!r}"
        )
    return artifact.centroids


def _checked(centroids: npt.NDArray[np.floating], dim: int) -> npt.NDArray[np.float32]:
    given = np.asarray(centroids, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != dim:
        raise ArtifactError(f"centroids must have shape (clusters, {dim}), got {given.shape}")
    return given
