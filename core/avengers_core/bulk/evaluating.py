"""Evaluate over files: sums over held-out records at many alphas."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.alpha_path import GRID, AlphaCurve, AlphaPath
from avengers_core.artifact import RouterArtifact
from avengers_core.bulk.files import PART_BYTES, Inputs
from avengers_core.bulk.fitting import added, counted
from avengers_core.bulk.jobs import Chosen, Problems, SurveyJob, TallyJob
from avengers_core.bulk.workers import Engine, Workers
from avengers_core.evaluation import DEFAULT_ALPHAS
from avengers_core.records import Missing
from avengers_core.report import Report
from avengers_core.results import Average
from avengers_core.router import Router
from avengers_core.tally import Tally

Floats = npt.NDArray[np.floating]

_STEP = 4


def evaluate(
    router: Router | RouterArtifact,
    inputs: Inputs,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
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
            :func:`avengers_core.bulk.files.plan`.
        alphas: those to make rows for.
        average: what accuracy means in the metrics, see :func:`avengers_core.evaluate`.
        engine: as for :func:`avengers_core.bulk.fit`.
        workers: as for :func:`avengers_core.bulk.fit`.
        part_bytes: as for :func:`avengers_core.bulk.fit`.
        excluded_datasets: datasets to leave out.
        missing: what a model without a result is.
        constraints: as for :meth:`Router.route`: ``models``, ``exclude``, ``max_cost``,
            ``min_score``.

    Returns:
        The report, and the rows that were rejected.

    Raises:
        RecordError: no input file, or no records.
        NoEligibleModelError: the constraints leave nobody.
    """
    if isinstance(router, RouterArtifact):
        router = Router(router)
    _ = router.embedder  # made here: its endpoint is that of this process's environment
    chosen = Chosen(missing, frozenset(excluded_datasets))
    team = Workers(engine, workers)
    parts, _ = counted(inputs, part_bytes, team)
    datasets: dict[str, None] = {}
    for found in team.run(SurveyJob(0, 0, -1, chosen), parts, "survey"):
        datasets |= found.datasets
    wanted = tuple(dict.fromkeys(map(float, alphas)))
    grid = tuple(GRID[::_STEP].tolist())
    job = TallyJob(router, tuple(datasets), (*wanted, *grid), constraints, chosen)
    tally, n, problems = added(team.run(job, parts, "evaluate"))
    report = Report(
        rows=tally.only(wanted).rows(average),
        curve=_curve(tally, grid, average),
        average=average,
        scorer=router.scorer.name,
        n_queries=n,
    )
    return report, problems


@dataclass(frozen=True, eq=False)
class _GridPath(AlphaPath):
    """A path of which only the shares of the models are known."""

    chosen: Floats

    def shares(self, m: int) -> Floats:
        """(B, M) share of the queries that each of M models gets, on each interval."""
        return self.chosen[:, :m]


def _curve(tally: Tally, grid: tuple[float, ...], average: Average) -> AlphaCurve:
    routed = [tally.routed[alpha] for alpha in grid]
    none = np.empty(0, dtype=np.int64)
    chosen = np.stack([s.chosen.sum(axis=0) for s in routed]) / tally.queries.sum()
    inner = (np.array(grid[1:]) + np.array(grid[:-1])) / 2
    edges = np.concatenate([[0.0], inner, [1.0]])
    return AlphaCurve(
        _GridPath(edges, none, none, none, none, exact=False, chosen=chosen),
        tally.models,
        np.array([s.accuracy(average) for s in routed]),
        np.array([s.mean_cost for s in routed]),
        np.array([s.accuracy(average) for s in tally.singles]),
        np.array([s.mean_cost for s in tally.singles]),
    )
