"""Evaluate over files: sums over held-out records at many alphas."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.evaluation.evaluate import DEFAULT_ALPHAS, asked, nothing_to_compare, setup_of
from avengers_core.evaluation.report import Report
from avengers_core.evaluation.results import Average
from avengers_core.evaluation.tally import Tally
from avengers_core.jobs.files import PART_BYTES, Inputs
from avengers_core.jobs.jobs import Problems, RecordFilter, TallyJob, added
from avengers_core.jobs.surveying import count, survey
from avengers_core.jobs.workers import Engine, Workers
from avengers_core.records.record import Missing
from avengers_core.routing.alpha_path import GRID, AlphaCurve
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router

Floats = npt.NDArray[np.floating]

# Where the curve is known.
_ALPHAS = GRID[::4]


def evaluate(
    router: Router | RouterArtifact,
    inputs: Inputs,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    n: int = 1,
    engine: Engine = "processes",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    excluded_datasets: Collection[str] = (),
    missing: Missing = "skip",
    **constraints: Any,
) -> tuple[Report, Problems]:
    """Evaluate a router on the records of files, in constant memory.

    The rows of the report are exact. The curve over alpha, and the metrics made from it, are taken
    at 51 alphas, where :func:`avengers_core.evaluate` knows every alpha; there is nothing to
    resample for confidence intervals.

    Args:
        router: the router, or an artifact for a router with its defaults.
        inputs: files of records that it was not fitted on; see
            :func:`avengers_core.jobs.files.plan`.
        alphas: those to make rows for.
        average: what accuracy means in the metrics, see :func:`avengers_core.evaluate`.
        n: how many models answer each query, see :func:`avengers_core.evaluate`.
        engine: as for :func:`avengers_core.jobs.fit`.
        workers: as for :func:`avengers_core.jobs.fit`.
        part_bytes: as for :func:`avengers_core.jobs.fit`.
        excluded_datasets: datasets to leave out.
        missing: what a model without a result is.
        constraints: as for :meth:`avengers_core.Router.route`: ``models``, ``exclude``,
            ``max_cost``, ``min_score``, ``on_empty``.

    Returns:
        The report, and the rows that were rejected.

    Raises:
        RecordError: no input file, no records, or none that scores the router's models.
        NoEligibleModelError: the constraints leave nobody.
        ValueError: an argument out of range, or a dataset is to be left out that no record has.
    """
    router = resolve_router(router)
    call, wanted = asked(router, alphas, n=n, **constraints)
    _ = router.embedder  # made here: its endpoint is that of this process's environment
    chosen = RecordFilter(missing, frozenset(excluded_datasets))
    team = Workers(engine, workers)
    files = count(inputs, part_bytes, team)
    found = survey(files, chosen, team)
    if missing == "skip" and found.kept.scored.isdisjoint(router.models):
        raise nothing_to_compare(router)
    job = TallyJob(router, found.datasets, call, (*wanted, *_ALPHAS.tolist()), chosen)
    tally, records, problems = added(team.run(job, files.parts, "evaluate"))
    report = Report(
        rows=tally.only(wanted).rows(average),
        curve=_curve(tally, average),
        average=average,
        scorer=router.scorer.name,
        n_queries=records,
        relaxed=tally.relaxed,
        setup={**setup_of(router, call), "missing": missing},
    )
    return report, problems


@dataclass(frozen=True, eq=False)
class _GridPath:
    """Alphas that were tried, with the shares of the models there.

    Attributes:
        alphas: (B,) ascending from 0 to 1.
        chosen: (B, M) share of the queries that each model got.
    """

    alphas: Floats
    chosen: Floats
    exact: bool = False

    @property
    def edges(self) -> Floats:
        """(B + 1,) halfway between the alphas."""
        return np.concatenate([[0.0], (self.alphas[1:] + self.alphas[:-1]) / 2, [1.0]])

    def shares(self, m: int) -> Floats:
        """(B, M) share of the queries that each of M models gets, on each interval."""
        return self.chosen[:, :m]


def _curve(tally: Tally, average: Average) -> AlphaCurve:
    routed = [tally.routed[alpha] for alpha in _ALPHAS.tolist()]
    chosen = np.stack([s.chosen.sum(axis=0) for s in routed]) / tally.queries.sum()
    return AlphaCurve(
        _GridPath(_ALPHAS, chosen),
        tally.models,
        np.array([s.accuracy(average) for s in routed]),
        np.array([s.mean_cost for s in routed]),
        np.array([s.accuracy(average) for s in tally.singles]),
        np.array([s.mean_cost for s in tally.singles]),
    )
