"""Fitting: records and an embedder in, an artifact out."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.estimation.pricing import notice_prices, notice_unpriced
from avengers_core.artifact.sums import Sums
from avengers_core.common.functions import same_arguments
from avengers_core.embedders.surface import surface
from avengers_core.embedders.tokens import MAX_CHARS
from avengers_core.errors import RecordError
from avengers_core.fitting.plan import N_CLUSTERS, N_INIT, SEED, Plan
from avengers_core.fitting.questions import with_questions
from avengers_core.records.loading import Source
from avengers_core.records.names import check_list
from avengers_core.records.outcomes import to_outcomes
from avengers_core.records.prices import Prices
from avengers_core.records.record import Missing, Record, Records
from avengers_core.records.sources.parts import PART_BYTES, Items, Part, read
from avengers_core.scanning.batches import Problems, RecordFilter, Summed, added
from avengers_core.scanning.embedding import MemoryEmbedder, embed_most
from avengers_core.scanning.sampling import RANKS, likely_limit
from avengers_core.scanning.scan import Scan, open_records
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
    n_clusters: int = N_CLUSTERS,
    seed: int = SEED,
    *,
    engine: Engine = "memory",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    n_init: int = N_INIT,
    models: Sequence[str] | None = None,
    excluded_models: Collection[str] = (),
    excluded_datasets: Collection[str] = (),
    missing: Missing | None = None,
    strict: bool = False,
    centroids: RouterArtifact | npt.NDArray[np.floating] | None = None,
    refine: bool = True,
    input_prices: Mapping[str, float] | None = None,
    prices: Prices | None = None,
    questions: Iterable[str | Mapping[str, Any]] | None = None,
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
    plan.notice_idle()
    with open_records(
        records,
        engine,
        workers,
        part_bytes,
        missing=missing,
        excluded_datasets=excluded_datasets,
        excluded_models=excluded_models,
        strict=strict,
    ) as scan:
        if questions is None and scan.chosen.missing == "skip" and isinstance(records, Records):
            questions = [question.row for question in records.unanswered]
        whole = scan
        # Not by their truth, which a column of a table has not.
        if questions is not None and not (isinstance(questions, Sized) and len(questions) == 0):
            whole = with_questions(scan, questions, seed, MAX_SAMPLE)
        return _fitted(plan, whole, models)


def _fitted(plan: Plan, scan: Scan, models: Sequence[str] | None) -> Fitted:
    found = _surveyed(scan, plan.seed)
    found.notice()
    chosen = scan.chosen
    sample = to_outcomes(
        Records([record for _, _, record in found.sample], missing=chosen.missing),
        _models(found, models, chosen.missing, plan.centroids),
        found.datasets,
    )
    plan.notice_unknown(sample.models)
    plan.notice_size(len(set(sample.queries)))
    encoder, embedder_arrays = plan.encoder(sample.queries)
    if scan.in_memory:  # the sample's queries are embedded together with the others, and once
        encoder = MemoryEmbedder(encoder)
        embed_most(encoder.embed, _queries(scan))
    distinct = list(dict.fromkeys(sample.queries))
    vectors, failed = embed_most(encoder.embed, distinct)
    if len(failed) == len(distinct):
        raise RecordError(
            f"there is no record that can be used: none of {len(distinct):,} queries could be "
            f"embedded; the first {failed[distinct[0]]}"
        )
    place = {q: i for i, q in enumerate(q for q in distinct if q not in failed)}
    sample = sample.take([i for i, q in enumerate(sample.queries) if q in place])
    row = [place[q] for q in sample.queries]
    features = surface(sample.queries) if plan.refine else None
    clusters = plan.artifact(
        sample, vectors[row], features, encoder.id, embedder_arrays, missing=chosen.missing
    )
    total, n, problems = added(scan.run(SumJob(clusters, encoder, chosen), "fit"))
    artifact = total.put_into(clusters)
    notice_unpriced(artifact.statistics, artifact.models, artifact.info.prices)
    notice_prices(artifact.statistics, artifact.models, artifact.info.prices)
    return Fitted(artifact, n, scan.problems + problems)


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
        n_clusters: number of clusters, at least 1; fewer are made, and the log says so before
            anything is embedded, where there are fewer distinct queries.
        seed: of the clustering, and of the sample; from 0 to 2^32 - 1.
        engine: who does the work: ``"memory"``, this process with all records at once; or, in
            constant memory where the records are files, ``"serial"`` (this process),
            ``"processes"`` (of this machine) or ``"ray"``.
        workers: processes, or tasks of Ray, at a time; default, one for each processor.
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
        questions: that no model has a score on, as texts or rows with ``query`` and perhaps
            ``dataset``. They are clustered and counted with the records' own: what is asked is
            known before anybody has answered. Records and questions together are at most 20,000;
            of more questions some are drawn, and the log says so. Default: ``records.unanswered``,
            which :func:`avengers_core.collecting.collect` leaves.
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

    def __call__(self, _number: int, part: Part | Items) -> Summed:
        return self.chosen.sum_up(part, self._embed, self._collect)

    def _collect(self, records: Records, vectors: npt.NDArray[np.float32]) -> Sums:
        a = self.artifact
        outcomes = to_outcomes(records, a.models, a.datasets)
        features = surface(outcomes.queries) if a.refinement is not None else None
        return Sums.collect(a, vectors, features, outcomes)

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
    known = found.kept.known(missing)
    if models is None and isinstance(centroids, RouterArtifact):
        return tuple(m for m in found.models if m in known) or centroids.models
    check_list("models", models)
    names = found.models if models is None else tuple(models)
    if models is not None and not names:
        raise ValueError("models= names none; leave it out, or name those to fit on")
    if unseen := [m for m in names if m not in known]:
        raise RecordError(
            f"no record has a score of {unseen}; leave them out, or pass models= with those "
            f"to fit on"
        )
    return names
