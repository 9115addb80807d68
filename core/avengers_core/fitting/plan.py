"""How to fit, apart from the records: the embedder, the clusters, what the artifact is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core import __version__
from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.clusters import assign
from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.info import NEWEST, ArtifactInfo
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.parallel import one_thread
from avengers_core.common.ranges import check_number, check_seed, check_whole
from avengers_core.errors import ArtifactError, EmbedderMismatchError
from avengers_core.fitting.clustering import cluster
from avengers_core.fitting.refine import fit_refinement
from avengers_core.fitting.trust import Trust, choose_trust
from avengers_core.records.names import shown
from avengers_core.records.outcomes import Outcomes
from avengers_core.records.prices import Price, Prices, find_prices
from avengers_core.records.record import Missing
from avengers_core.routing.scoring import check_options

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec

logger = logging.getLogger(__name__)

N_CLUSTERS, SEED, N_INIT = 60, 42, 10

_MOST_STARTS = 10_000
# Distances of a query to a center, over all starts, of one round: some seconds.
_MUCH = 10**8


@dataclass(frozen=True)
class Plan:
    """How to fit, apart from the records; the fields are arguments of :func:`avengers_core.fit`."""

    embedder: EmbedderSpec
    n_clusters: int = N_CLUSTERS
    seed: int = SEED
    n_init: int = N_INIT
    refine: bool = True
    centroids: RouterArtifact | npt.NDArray[np.floating] | None = None
    input_prices: Mapping[str, float] = field(default_factory=dict)
    prices: Prices | None = None
    scorer: str = "calibrated"
    scorer_options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        check_whole("n_clusters", self.n_clusters, 1)
        check_whole("n_init", self.n_init, 1, _MOST_STARTS, "more find no better clusters")
        check_seed(self.seed)
        check_options(self.scorer, self.scorer_options)
        if self.centroids is not None and not isinstance(self.centroids, RouterArtifact):
            _as_vectors(self.centroids)
        for model, price in self.input_prices.items():
            check_number(f"input_prices[{model!r}]", price)

    def notice_idle(self) -> None:
        """Say in the log which arguments do nothing beside centroids that are given."""
        if self.centroids is None:
            return
        given = {"n_clusters": N_CLUSTERS, "seed": SEED, "n_init": N_INIT}
        if self.refine and not isinstance(self.centroids, RouterArtifact):
            given = {"n_init": N_INIT}  # the refinement is averaged over clusters of its own
        if idle := [name for name, default in given.items() if getattr(self, name) != default]:
            logger.warning("%s: of no effect, for the centroids are given", ", ".join(idle))

    def notice_unknown(self, models: Sequence[str]) -> None:
        """Say in the log which input prices are of models that are not there."""
        if unknown := [name for name in self.input_prices if name not in models]:
            logger.warning("input_prices name models that no record has: %s", shown(unknown))

    def notice_size(self, n: int) -> None:
        """Say in the log, before the work, that it will be much, or that clusters will be few.

        Args:
            n: how many distinct queries the clusters are to be made from.
        """
        if self.centroids is not None:
            return
        k = min(self.n_clusters, n)
        if k < self.n_clusters:
            logger.warning(
                "only %d distinct queries, so %d clusters, not %d", n, k, self.n_clusters
            )
        if k < n and n * k * self.n_init > _MUCH:
            logger.warning(
                "%d starts of k-means of %d queries into %d clusters: this may take minutes",
                self.n_init,
                n,
                k,
            )

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
        *,
        missing: Missing,
    ) -> RouterArtifact:
        """Clusters, made from a sample of the records, for the sums of all of them.

        Args:
            sample: n records, with all models and datasets as columns.
            vectors: (n, d) unit vectors of the queries.
            features: (n, 11) their surface features; None if not to refine.
            embedder_id: of the embedder that made the vectors.
            embedder_arrays: and its arrays.
            missing: what a model without a result is in the records.

        Returns:
            An artifact without records.
        """
        base = self.centroids if isinstance(self.centroids, RouterArtifact) else None
        refinement: Refinement | None = None
        familiarity = base.familiarity and base.familiarity.emptied() if base else None
        trust = Trust(base.info.trust, base.info.error) if base else Trust()
        if base is not None:
            centers = _of_same_embedder(base, embedder_id)
            base.check_dimension(vectors)
            shape = len(sample.models), len(sample.datasets)
            if features is not None and base.refinement is not None:
                refinement = base.refinement.emptied(*shape)
        else:
            with one_thread():
                centers, refinement = self._clusters(sample, vectors, features)
                if refinement is not None and features is not None:
                    trust = choose_trust(vectors, features, sample, refinement, self.seed)
            familiarity = self._familiarity(sample, vectors, centers)
        info = ArtifactInfo(
            embedder=embedder_id,
            fit={"given_centroids": True}
            if self.centroids is not None
            else {"n_clusters": self.n_clusters, "seed": self.seed, "n_init": self.n_init},
            missing=missing,
            scorer=self.scorer,
            scorer_options=dict(self.scorer_options),
            cells=NEWEST.cells,
            alpha=NEWEST.alpha,
            trust=trust.share,
            error=trust.error,
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
            familiarity=familiarity,
        )

    def _familiarity(
        self, sample: Outcomes, vectors: npt.NDArray[np.float32], centers: npt.NDArray[np.float32]
    ) -> Familiarity:
        """For clusters that were made of these queries, or, where they were given, of others."""
        made_of = vectors[_distinct(sample.queries)] if self.centroids is None else vectors[:0]
        return Familiarity.of(assign(made_of, centers), len(centers))

    def _prices(self, models: Sequence[str], base: RouterArtifact | None) -> dict[str, Price]:
        """Those given, else those of the artifact that these records may be added to."""
        if self.prices is not None:
            found = find_prices(models, self.prices)
            if not found:
                logger.warning("prices name none of the models %s", shown(models))
            return found
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
            distinct = vectors[_distinct(sample.queries)]
            centers = cluster(distinct, self.n_clusters, self.seed, self.n_init)
            if (n := len(centers)) < min(self.n_clusters, len(distinct)):
                logger.warning(
                    "only %d distinct vectors, so %d clusters, not %d", n, n, self.n_clusters
                )
        if features is None:
            return centers, None
        # One start will do: this clustering is averaged over, not reported.
        again = partial(cluster, n_clusters=self.n_clusters, seed=self.seed, n_init=1)
        return centers, fit_refinement(vectors, features, sample, again, self.seed)


def _distinct(queries: Sequence[str]) -> list[int]:
    """The rows at which each query is first met."""
    first = dict(zip(reversed(queries), range(len(queries))[::-1], strict=True))
    return sorted(first.values())


def _of_same_embedder(artifact: RouterArtifact, embedder_id: str) -> npt.NDArray[np.float32]:
    if artifact.info.embedder != embedder_id:
        raise EmbedderMismatchError(
            f"the centroids are of the embedder {artifact.info.embedder!r}, got {embedder_id!r}"
        )
    return artifact.centroids


def _checked(centroids: npt.NDArray[np.floating], dim: int) -> npt.NDArray[np.float32]:
    given = _as_vectors(centroids)
    if given.ndim != 2 or given.shape[1] != dim:
        raise ArtifactError(f"centroids must have shape (clusters, {dim}), got {given.shape}")
    return given


def _as_vectors(centroids: Any) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(centroids, dtype=np.float32)
    except (TypeError, ValueError):
        raise ArtifactError(
            f"centroids must be an artifact (a folder: RouterArtifact.load(folder)), or vectors of "
            f"shape (clusters, dimensions), got {centroids!r:.60}"
        ) from None
