"""Fit over files: survey, clusters from a sample, sums of all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact import RouterArtifact
from avengers_core.bulk.files import PART_BYTES, Inputs, Part, numbered, plan, read
from avengers_core.bulk.jobs import (
    Chosen,
    FileProblem,
    Problems,
    SumJob,
    Summed,
    Survey,
    SurveyJob,
    checked,
    count_job,
)
from avengers_core.bulk.sparing import embed_most
from avengers_core.bulk.workers import Engine, Workers
from avengers_core.embedders import EmbedderSpec
from avengers_core.errors import RecordError
from avengers_core.fitting import MAX_SAMPLE, Plan
from avengers_core.outcomes import to_outcomes
from avengers_core.records import Missing, RecordProblem, Records
from avengers_core.sampling import RANKS, Lowest, likely_limit
from avengers_core.surface import surface

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
        inputs: files, folders, patterns; see :func:`avengers_core.bulk.files.plan`.
        embedder: as for :func:`avengers_core.fit`.
        n_clusters: as for :func:`avengers_core.fit`.
        seed: as for :func:`avengers_core.fit`.
        engine: ``"serial"``, ``"processes"`` on this machine, or ``"ray"``.
        workers: processes or actors at a time; default, one for each processor.
        part_bytes: about how much of a file of lines is done at a time, bytes.
        n_init: as for :func:`avengers_core.fit`.
        models: the models to keep, in this order; default all, in order of first appearance.
        excluded_models: models to leave out.
        excluded_datasets: datasets to leave out.
        missing: what a model without a result is, see :class:`avengers_core.records.Records`.
        centroids: as for :func:`avengers_core.fit`.
        refine: as for :func:`avengers_core.fit`.
        input_prices: as for :func:`avengers_core.fit`.
        scorer: as for :func:`avengers_core.fit`.
        scorer_options: as for :func:`avengers_core.fit`.
        source: as for :func:`avengers_core.fit`.
        note: as for :func:`avengers_core.fit`.

    Raises:
        RecordError: no input file, no records, or a model without any score.
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
        scorer=scorer,
        scorer_options=dict(scorer_options or {}),
        source=source,
        note=note,
    )
    chosen = Chosen(missing, frozenset(excluded_datasets))
    team = Workers(engine, workers)
    parts, rows = counted(inputs, part_bytes, team)
    survey = _survey(parts, rows, chosen, seed, team)
    names = _models(survey, models, excluded_models)
    sample = to_outcomes(
        Records([record for _, _, record in survey.sample], missing=missing),
        names,
        tuple(survey.datasets),
    )
    encoder, embedder_arrays = how.encoder(sample.queries)
    distinct = list(dict.fromkeys(sample.queries))
    vectors, failed = embed_most(encoder.embed, distinct)
    place = {q: i for i, q in enumerate(q for q in distinct if q not in failed)}
    sample = sample.take([i for i, q in enumerate(sample.queries) if q in place])
    row = [place[q] for q in sample.queries]
    features = surface(sample.queries) if refine else None
    clusters = how.artifact(sample, vectors[row], features, encoder.id, embedder_arrays)
    empty = clusters.emptied(clusters.models, clusters.datasets)
    job = SumJob(empty, encoder, chosen)
    total, n, problems = added(team.run(job, parts, "fit"))
    return Fitted(total.put_into(clusters), n, problems)


def counted(inputs: Inputs, part_bytes: int, team: Workers) -> tuple[list[Part], int]:
    """The parts of files, knowing which row each starts with, and how many rows there are."""
    parts = plan(inputs, part_bytes)
    rows = list(team.run(count_job, parts, "count"))
    return numbered(parts, rows), sum(rows)


def added(results: Any) -> Summed:
    """The total of what parts add up to.

    Raises:
        RecordError: no part has a record.
    """
    total, n, problems = None, 0, Problems()
    for part in results:
        if part.total is not None:
            total = part.total if total is None else total + part.total
        n += part.records
        problems += part.problems
    if total is None:
        first = f", the first: {problems.first[0]}" if problems.first else ""
        raise RecordError(f"the files hold no record; {problems.count:,} rows were rejected{first}")
    return Summed(total, n, problems)


def _survey(parts: Sequence[Part], rows: int, chosen: Chosen, seed: int, team: Workers) -> Survey:
    for limit in dict.fromkeys((likely_limit(MAX_SAMPLE, rows), RANKS)):
        job = SurveyJob(MAX_SAMPLE, seed, limit, chosen)
        lowest: Lowest[Any] = Lowest(MAX_SAMPLE)
        total = Survey([], {}, set(), {})
        for found in team.run(job, parts, "sample"):
            lowest.update(found.sample)
            total.models |= found.models
            total.scored |= found.scored
            total.datasets |= found.datasets
        # Too few below the limit, for many rows are alike or were rejected: look at all.
        if len(lowest) == MAX_SAMPLE or limit == RANKS:
            break
    total.sample = lowest.items()
    if not total.sample:
        raise RecordError(
            f"none of the {rows:,} rows is a record that can be used{_first_problem(parts)}"
        )
    return total


def _first_problem(parts: Sequence[Part]) -> str:
    for part in parts:
        for number, item in read(part):
            if isinstance(problem := checked(item, number), RecordProblem):
                return f"; the first: {FileProblem(part.file, *problem)}"
    return ""


def _models(
    survey: Survey, models: Sequence[str] | None, excluded: Collection[str]
) -> tuple[str, ...]:
    names = tuple(models) if models is not None else tuple(survey.models)
    if unknown := sorted({*names, *excluded} - set(survey.models)):
        raise RecordError(f"no record has the models {unknown}; there are {list(survey.models)}")
    names = tuple(m for m in names if m not in excluded)
    if unseen := [m for m in names if m not in survey.scored]:
        raise RecordError(
            f"no record has a score of {unseen}; leave them out, or pass models= with those "
            f"to fit on"
        )
    return names
