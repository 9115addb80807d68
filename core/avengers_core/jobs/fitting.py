"""Fit over files: survey, clusters from a sample, sums of all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.estimation.pricing import notice_prices
from avengers_core.embedders import EmbedderSpec
from avengers_core.embedders.surface import surface
from avengers_core.errors import RecordError
from avengers_core.fitting.fit import MAX_SAMPLE, Plan
from avengers_core.fitting.sampling import RANKS, likely_limit
from avengers_core.jobs.files import PART_BYTES, Inputs
from avengers_core.jobs.jobs import Problems, RecordFilter, SumJob, added
from avengers_core.jobs.sparing import embed_most
from avengers_core.jobs.surveying import Counted, Draw, Survey, count, survey
from avengers_core.jobs.workers import Engine, Workers
from avengers_core.records.outcomes import to_outcomes
from avengers_core.records.prices import Prices
from avengers_core.records.record import Missing, Records

logger = logging.getLogger(__name__)


class Fitted(NamedTuple):
    """What :func:`fit` gives.

    Attributes:
        artifact: the artifact.
        records: how many records it sums up.
        problems: the rows that were rejected.
    """

    artifact: RouterArtifact
    records: int
    problems: Problems


def fit(
    inputs: Inputs,
    embedder: EmbedderSpec = "wordllama",
    n_clusters: int = 60,
    seed: int = 42,
    *,
    engine: Engine = "processes",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    n_init: int = 10,
    models: Sequence[str] | None = None,
    excluded_models: Collection[str] = (),
    excluded_datasets: Collection[str] = (),
    missing: Missing = "skip",
    centroids: RouterArtifact | npt.NDArray[np.floating] | None = None,
    refine: bool = True,
    input_prices: Mapping[str, float] | None = None,
    prices: Prices | None = None,
    scorer: str = "calibrated",
    scorer_options: Mapping[str, Any] | None = None,
    source: str = "",
    note: str = "",
) -> Fitted:
    """Fit over files in constant memory: what :func:`avengers_core.fit` gives on all their records.

    The files are read twice: first for models, datasets and a sample of 20,000 records that the
    clusters are made from, then for the sums. All engines give the same arrays, and so does
    :func:`avengers_core.fit` on the same records, up to the order of floating-point additions.
    (An embedder fitted on the queries, TF-IDF, is fitted on the sample.)

    Args:
        inputs: files, folders, patterns; see :func:`avengers_core.jobs.files.plan`.
        embedder: as for :func:`avengers_core.fit`.
        n_clusters: as for :func:`avengers_core.fit`.
        seed: as for :func:`avengers_core.fit`.
        engine: ``"serial"``, ``"processes"`` on this machine, or ``"ray"``.
        workers: processes or actors at a time; default, one for each processor.
        part_bytes: about how much of a file of lines is done at a time, bytes.
        n_init: as for :func:`avengers_core.fit`.
        models: the models to keep, in this order; default all, in order of first appearance.
        excluded_models: models to leave out, with the records that know no other.
        excluded_datasets: datasets to leave out.
        missing: what a model without a result is, see :class:`avengers_core.records.Records`.
        centroids: as for :func:`avengers_core.fit`.
        refine: as for :func:`avengers_core.fit`.
        input_prices: as for :func:`avengers_core.fit`.
        prices: as for :func:`avengers_core.fit`.
        scorer: as for :func:`avengers_core.fit`.
        scorer_options: as for :func:`avengers_core.fit`.
        source: as for :func:`avengers_core.fit`.
        note: as for :func:`avengers_core.fit`.

    Raises:
        RecordError: no input file, no records, or a model without any score.
        ValueError: an argument out of range, or something is to be left out that no record has.
        AvengersError: workers keep dying.
        EmbedderError: the embedder fails on everything; rows that it fails on by themselves are
            problems.
    """
    how = Plan(
        embedder=embedder,
        n_clusters=n_clusters,
        seed=seed,
        n_init=n_init,
        missing=missing,
        refine=refine,
        centroids=centroids,
        input_prices=dict(input_prices or {}),
        prices=prices,
        scorer=scorer,
        scorer_options=dict(scorer_options or {}),
        source=source,
        note=note,
    )
    chosen = RecordFilter(missing, frozenset(excluded_datasets), frozenset(excluded_models))
    team = Workers(engine, workers)
    files = count(inputs, part_bytes, team)
    found = _surveyed(files, chosen, seed, team)
    sample = to_outcomes(
        Records([record for _, _, record in found.sample], missing=missing),
        _models(found, models, missing, centroids),
        found.datasets,
    )
    encoder, embedder_arrays = how.encoder(sample.queries)
    distinct = list(dict.fromkeys(sample.queries))
    vectors, failed = embed_most(encoder.embed, distinct)
    place = {q: i for i, q in enumerate(q for q in distinct if q not in failed)}
    sample = sample.take([i for i, q in enumerate(sample.queries) if q in place])
    row = [place[q] for q in sample.queries]
    features = surface(sample.queries) if refine else None
    clusters = how.artifact(sample, vectors[row], features, encoder.id, embedder_arrays)
    job = SumJob(clusters, encoder, chosen)
    total, n, problems = added(team.run(job, files.parts, "fit"))
    fitted = total.put_into(clusters)
    notice_prices(fitted.statistics, fitted.models, fitted.info.prices)
    return Fitted(fitted, n, problems)


def _surveyed(files: Counted, chosen: RecordFilter, seed: int, team: Workers) -> Survey:
    for limit in dict.fromkeys((likely_limit(MAX_SAMPLE, files.rows), RANKS)):
        found = survey(files, chosen, team, Draw(MAX_SAMPLE, seed, limit))
        # Too few below the limit, for many rows are alike, left out or rejected: look at all.
        if len(found.sample) == MAX_SAMPLE:
            break
    return found


def _models(
    found: Survey, models: Sequence[str] | None, missing: Missing, centroids: Any
) -> tuple[str, ...]:
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
