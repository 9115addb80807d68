"""Fitting: records and an embedder in, an artifact out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core import __version__
from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.clusters import assign
from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.estimation.pricing import notice_prices
from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.artifact.sums import Sums
from avengers_core.embedders.surface import surface
from avengers_core.embedders.tokens import MAX_CHARS
from avengers_core.errors import ArtifactError, EmbedderMismatchError, RecordError
from avengers_core.fitting.refine import fit_refinement
from avengers_core.parallel import one_thread
from avengers_core.records.loading import Source
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.prices import Price, Prices, find_prices
from avengers_core.records.record import Missing, Record, Records
from avengers_core.records.sources.parts import PART_BYTES, Items, Part, read
from avengers_core.routing.scoring import check_options
from avengers_core.scanning.batches import Problems, RecordFilter, Summed, added
from avengers_core.scanning.embedding import MemoryEmbedder, embed_most
from avengers_core.scanning.sampling import RANKS, likely_limit
from avengers_core.scanning.scan import Scan, open_records
from avengers_core.scanning.signatures import same_arguments
from avengers_core.scanning.surveying import Draw, Survey, survey
from avengers_core.scanning.workers import Engine

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec

logger = logging.getLogger(__name__)

# Beyond this many records clusters are made from a sample of as many, followed by one assignment
# pass over all: a quarter of the time for 0.4 % more inertia at 100,000 queries.
MAX_SAMPLE = 20_000


class Fitted(NamedTuple):
    """What :func:`fit_records` gives.

    Attributes:
        artifact: the artifact.
        records: how many records it sums up.
        problems: the rows that were rejected.
    """

    artifact: RouterArtifact
    records: int
    problems: Problems


def fit_records(
    records: Records | Source,
    embedder: EmbedderSpec = "wordllama",
    n_clusters: int = 60,
    seed: int = 42,
    *,
    engine: Engine = "memory",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    n_init: int = 10,
    models: Sequence[str] | None = None,
    excluded_models: Collection[str] = (),
    excluded_datasets: Collection[str] = (),
    missing: Missing | None = None,
    strict: bool = False,
    centroids: RouterArtifact | npt.NDArray[np.floating] | None = None,
    refine: bool = True,
    input_prices: Mapping[str, float] | None = None,
    prices: Prices | None = None,
    scorer: str = "calibrated",
    scorer_options: Mapping[str, Any] | None = None,
    source: str = "",
    note: str = "",
) -> Fitted:
    """:func:`fit`, with the number of records and the rows that were rejected."""
    plan = Plan(
        embedder=embedder,
        n_clusters=n_clusters,
        seed=seed,
        n_init=n_init,
        refine=refine,
        centroids=centroids,
        input_prices=dict(input_prices or {}),
        prices=prices,
        scorer=scorer,
        scorer_options=dict(scorer_options or {}),
        source=source,
        note=note,
    )
    scan = open_records(
        records,
        engine,
        workers,
        part_bytes,
        missing=missing,
        excluded_datasets=excluded_datasets,
        excluded_models=excluded_models,
        strict=strict,
    )
    found = _surveyed(scan, seed)
    chosen = scan.chosen
    sample = to_outcomes(
        Records([record for _, _, record in found.sample], missing=chosen.missing),
        _models(found, models, chosen.missing, centroids),
        found.datasets,
    )
    encoder, embedder_arrays = plan.encoder(sample.queries)
    if scan.in_memory:  # the sample's queries are embedded together with the others, and once
        encoder = MemoryEmbedder(encoder)
        embed_most(encoder.embed, _queries(scan))
    distinct = list(dict.fromkeys(sample.queries))
    vectors, failed = embed_most(encoder.embed, distinct)
    place = {q: i for i, q in enumerate(q for q in distinct if q not in failed)}
    sample = sample.take([i for i, q in enumerate(sample.queries) if q in place])
    row = [place[q] for q in sample.queries]
    features = surface(sample.queries) if refine else None
    clusters = plan.artifact(
        sample, vectors[row], features, encoder.id, embedder_arrays, missing=chosen.missing
    )
    total, n, problems = added(scan.run(SumJob(clusters, encoder, chosen), "fit"))
    artifact = total.put_into(clusters)
    notice_prices(artifact.statistics, artifact.models, artifact.info.prices)
    scan.problems.__iadd__(problems)
    return Fitted(artifact, n, scan.problems)


@same_arguments(fit_records)
def fit(*arguments: Any, **options: Any) -> RouterArtifact:
    """Cluster the queries and sum up how each model did in each cluster.

    Queries are embedded, k-means groups them, and scores, costs and tokens are summed per (cluster,
    model). The same records, embedder and seed give the same arrays, byte for byte, on the same
    machine; another ``engine`` gives the same, up to the order of floating-point additions.

    The records are read twice: first for models, datasets and a sample of 20,000 that the clusters
    are made from, then for the sums. Rows that are no records are counted in the log;
    :func:`avengers_core.bulk.fit` lists them.

    Args:
        records: whatever holds records: what :func:`avengers_core.load_records` returns or takes.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes, or
            ``"tfidf"`` to fit a :class:`avengers_core.embedders.TfidfEmbedder` on the queries (of
            the sample) and store it in the artifact.
        n_clusters: number of clusters, at least 1; fewer are made, and the log says so, where
            there are fewer distinct queries.
        seed: of the clustering, and of the sample.
        engine: who does the work: ``"memory"``, this process with all records at once; or, in
            constant memory where the records are files, ``"serial"`` (this process),
            ``"processes"`` (of this machine) or ``"ray"``.
        workers: processes or actors at a time; default, one for each processor.
        part_bytes: about how much of a file of lines is done at a time, bytes.
        n_init: k-means restarts, the best of which is kept.
        models: the models to keep, in this order; default all, in order of first appearance.
        excluded_models: models to leave out, with the records that know no other.
        excluded_datasets: datasets to leave out.
        missing: what a model without a result is, see :class:`avengers_core.Records`; default,
            what the records say, or ``"skip"``.
        strict: raise on the first row that is no record, instead of listing it.
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
        RecordError: no input file, no records, or a model without any score.
        ValueError: an argument out of range, or something is to be left out that no record has.
        AvengersError: workers keep dying.
        EmbedderError: the embedder fails on everything; rows that it fails on by themselves are
            problems.
    """
    fitted = fit_records(*arguments, **options)
    if fitted.problems.count:
        logger.warning("%s", fitted.problems)
    return fitted.artifact


@dataclass(frozen=True)
class SumJob:
    """Sums up a part's records under an artifact's clusters.

    Attributes:
        artifact: whose clusters, models and datasets; without records.
        embedder: that it was fitted with.
        chosen: which records count.
    """

    artifact: RouterArtifact
    embedder: Embedder
    chosen: RecordFilter
    embeds: ClassVar[bool] = True

    def __call__(self, _number: int, part: Part | Items) -> Summed:
        a = self.artifact
        total, n, problems = None, 0, Problems()
        for records, vectors in self.chosen.batches(part, problems, self._embed):
            outcomes = to_outcomes(records, a.models, a.datasets)
            features = surface(outcomes.queries) if a.refinement is not None else None
            sums = Sums.collect(a, vectors, features, outcomes)
            total = sums if total is None else total + sums
            n += len(records)
        return Summed(total, n, problems)

    def _embed(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of queries, each distinct text embedded once."""
        position: dict[str, int] = {}
        row = [position.setdefault(q[:MAX_CHARS], len(position)) for q in queries]
        return self.embedder.embed(list(position))[row]


def _queries(scan: Scan) -> list[str]:
    """The distinct queries of records in memory that count, cut as they are embedded."""
    chosen = scan.chosen
    return list(
        dict.fromkeys(
            record.query[:MAX_CHARS]
            for part in scan.parts
            for _, record in read(part)
            if isinstance(record, Record) and chosen.of(record.dataset, record.scores)
        )
    )


def _surveyed(scan: Scan, seed: int) -> Survey:
    for limit in dict.fromkeys((likely_limit(MAX_SAMPLE, scan.rows), RANKS)):
        found = survey(scan, Draw(MAX_SAMPLE, seed, limit))
        # Too few below the limit, for many rows are alike, left out or rejected: look at all.
        if len(found.sample) == MAX_SAMPLE:
            break
    return found


def _models(
    found: Survey, models: Sequence[str] | None, missing: Missing, centroids: Any
) -> tuple[str, ...]:
    # With missing="zero" a model that no record knows would score 0 everywhere.
    known = found.kept.models if missing == "zero" else found.kept.scored
    if models is None and isinstance(centroids, RouterArtifact):
        return tuple(m for m in found.models if m in known) or centroids.models
    names = found.models if models is None else tuple(models)
    if unseen := [m for m in names if m not in known]:
        raise RecordError(
            f"no record has a score of {unseen}; leave them out, or pass models= with those "
            f"to fit on"
        )
    return names


@dataclass(frozen=True)
class Plan:
    """How to fit, apart from the records; the fields are arguments of :func:`fit`."""

    embedder: EmbedderSpec
    n_clusters: int
    seed: int
    n_init: int
    refine: bool
    centroids: RouterArtifact | npt.NDArray[np.floating] | None
    input_prices: Mapping[str, float]
    prices: Prices | None
    scorer: str
    scorer_options: Mapping[str, Any]
    source: str
    note: str

    def __post_init__(self) -> None:
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
        if base is not None:
            centers = _of_same_embedder(base, embedder_id)
            base.check_dimension(vectors)
            shape = len(sample.models), len(sample.datasets)
            if features is not None and base.refinement is not None:
                refinement = base.refinement.emptied(*shape)
        else:
            with one_thread():
                centers, refinement = self._clusters(sample, vectors, features)
            familiarity = self._familiarity(sample, vectors, centers)
        info = ArtifactInfo(
            embedder=embedder_id,
            fit={"given_centroids": True}
            if self.centroids is not None
            else {"n_clusters": self.n_clusters, "seed": self.seed, "n_init": self.n_init},
            missing=missing,
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
            distinct = vectors[_distinct(sample.queries)]
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


def _distinct(queries: Sequence[str]) -> list[int]:
    """The rows at which each query is first met."""
    first = dict(zip(reversed(queries), range(len(queries))[::-1], strict=True))
    return sorted(first.values())


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
