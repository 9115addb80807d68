"""Held-out evaluation: what a router would have scored and cost, against every baseline."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.arrays import Floats, Ints
from avengers_core.common.functions import same_arguments
from avengers_core.common.ranges import check_one_of
from avengers_core.errors import RecordError
from avengers_core.evaluation.estimating import Doubt
from avengers_core.evaluation.report import Report
from avengers_core.evaluation.rows import Average
from avengers_core.evaluation.setup import setup_of
from avengers_core.evaluation.tallying.choosing import HeldOut, TallyJob
from avengers_core.evaluation.tallying.grid import GRID_ALPHAS, grid_curve
from avengers_core.evaluation.tallying.tally import Tally
from avengers_core.records.loading import Source, are_files
from avengers_core.records.names import shown
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.record import Missing, Records
from avengers_core.records.sources.files import listed, public
from avengers_core.records.sources.parts import PART_BYTES
from avengers_core.routing.alpha.curve import AlphaCurve, curve
from avengers_core.routing.alpha.path import find_path
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.queries import Queries
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router
from avengers_core.scanning.batches import Problems, added
from avengers_core.scanning.scan import Scan, open_records
from avengers_core.scanning.surveying import Survey, survey
from avengers_core.scanning.workers import Engine

_MOST_ALPHAS = 10_000

logger = logging.getLogger(__name__)

DEFAULT_ALPHAS = (0.0, 0.25, 0.4, 0.53, 0.8, 1.0)


class Evaluated(NamedTuple):
    """What :func:`evaluate_records` gives.

    Attributes:
        report: the report.
        problems: the rows that were rejected.
    """

    report: Report
    problems: Problems


def evaluate_records(
    router: Router | RouterArtifact | str | os.PathLike[str],
    records: Records | Source,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    n: int = 1,
    engine: Engine = "memory",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    excluded_datasets: Collection[str] = (),
    missing: Missing | None = None,
    strict: bool = False,
    **constraints: Any,
) -> Evaluated:
    """:func:`evaluate`, with the rows that were rejected beside the report."""
    router = resolve_router(router)
    work = _Work.of(router, alphas, average, n=n, **constraints)  # checked before it is begun
    _ = router.embedder  # made here: its endpoint is that of this process's environment
    with open_records(
        records,
        engine,
        workers,
        part_bytes,
        missing=missing,
        excluded_datasets=excluded_datasets,
        strict=strict,
    ) as scan:
        found = survey(scan)
        found.notice()
        if found.kept.known(scan.chosen.missing).isdisjoint(router.models):
            raise RecordError(
                f"there are no records that score any of the router's models "
                f"{list(router.models)}; they score {shown(found.models)}"
            )
        report, problems = work.in_memory(scan) if scan.in_memory else work.in_parts(scan, found)
    setup = {**report.setup, "missing": scan.chosen.missing}
    if found.cut:
        setup["queries_cut"] = found.cut
    if are_files(records):
        setup["input"] = [public(os.fspath(file)) for file in listed(records)]
    return Evaluated(replace(report, setup=setup), scan.problems + problems)


@same_arguments(evaluate_records)
def evaluate(*arguments: Any, **options: Any) -> Report:
    """Route held-out records and add up what the chosen models scored and cost.

    The rows of the report are exact whoever does the work. In memory the curve over alpha is, too,
    and there are confidence intervals; where records are read in parts, the curve, and the metrics
    made from it, are taken at 51 alphas, and there is nothing to resample.

    Where results are missing, as in a log, which holds one model a query, every row is estimated
    for all queries, see :mod:`avengers_core.evaluation.estimating`, and says how many of its
    results are known; the curve is then taken at 51 alphas, too. Costs are estimated in the same
    way where those of some calls of a model are known. Of a model without any held-out score
    nothing is: no metric counts an alpha at which it is chosen, so leave it out with ``models`` or
    ``exclude``.

    Args:
        router: the router; or an artifact or its path, for a router with its defaults.
        records: records it was not fitted on; what :func:`avengers_core.load_records` returns or
            takes.
        alphas: those to make rows for; the curve and the metrics cover all of [0, 1] anyway.
        average: what accuracy means in the metrics: ``"dataset"``, each dataset counts the same
            (the published tables), or ``"query"``.
        n: how many models answer each query (the published ``max_router``). Above 1, each alpha
            has a further row, ``"best of n"``: the best score among the n best models, at the cost
            of all of them.
        engine: who does the work, as for :func:`avengers_core.fit`.
        workers: as for :func:`avengers_core.fit`.
        part_bytes: as for :func:`avengers_core.fit`.
        excluded_datasets: datasets to leave out.
        missing: what a model without a result is, as for :func:`avengers_core.fit`.
        strict: as for :func:`avengers_core.fit`.
        constraints: as for :meth:`avengers_core.Router.route`: ``models``, ``exclude``,
            ``max_cost``, ``min_score``, ``on_empty``.

    Raises:
        RecordError: no input file, no records, or none that scores the router's models.
        NoEligibleModelError: the constraints leave nobody.
        ValueError: an argument out of range, or a dataset is to be left out that no record has.
        EmbedderError: the embedder fails on everything.
    """
    report, problems = evaluate_records(*arguments, **options)
    if problems.count:
        logger.warning("%s", problems)
    return report


def evaluate_queries(
    router: Router,
    queries: Queries,
    outcomes: Outcomes,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    n: int = 1,
    **constraints: Any,
) -> Report:
    """:func:`evaluate` where the queries are embedded already.

    Args:
        router: the router.
        queries: n queries, from :meth:`Router.embed`.
        outcomes: the n held-out records, with the router's models as columns.
        alphas: as for :func:`evaluate`.
        average: as for :func:`evaluate`.
        n: as for :func:`evaluate`.
        constraints: as for :func:`evaluate`.
    """
    return _Work.of(router, alphas, average, n=n, **constraints).report(queries, outcomes)


@dataclass(frozen=True)
class _Work:
    """What is asked of a router on held-out records.

    Attributes:
        router: the router.
        call: what is asked; its own alpha does not matter.
        alphas: to make rows for, each once.
        average: what accuracy means.
    """

    router: Router
    call: RoutingCall
    alphas: tuple[float, ...]
    average: Average

    @classmethod
    def of(
        cls, router: Router, alphas: Iterable[float], average: Average, **arguments: Any
    ) -> _Work:
        """What is asked, checked; raises ValueError or TypeError."""
        check_one_of("average", average, Average)
        if "alpha" in arguments:
            raise TypeError("evaluate() takes alphas=[...], several at once, not alpha=")
        call = RoutingCall.of(**arguments)
        if isinstance(alphas, str) or not isinstance(alphas, Iterable):
            raise ValueError(
                f"alphas must be several numbers in [0, 1], such as [0.4], got {alphas!r:.40}"
            )
        alphas = list(islice(alphas, _MOST_ALPHAS + 1))
        if len(alphas) > _MOST_ALPHAS:
            raise ValueError(
                f"expected at most {_MOST_ALPHAS:,} alphas, got more: each is a row of the report; "
                f"its curve has every alpha at which a decision changes"
            )
        at = dict.fromkeys(call.policy._replace(alpha=alpha).own_alpha for alpha in alphas)
        router.check(**arguments)
        return cls(router, call, tuple(at), average)

    def in_memory(self, scan: Scan) -> Evaluated:
        problems, router = Problems(), self.router
        for records, queries in scan.chosen.batches(scan.parts[0], problems, router.embed):
            outcomes = to_outcomes(records, router.models).priced(router.artifact.info.prices)
            return Evaluated(self.report(queries, outcomes), problems)
        raise RecordError(f"there is no record that can be used; {scan.problems + problems}")

    def in_parts(self, scan: Scan, found: Survey) -> Evaluated:
        at = (*self.alphas, *GRID_ALPHAS)
        job = TallyJob(self.router, found.datasets, self.call, at, scan.chosen)
        tally, n, problems = added(scan.run(job, "evaluate"))
        curve = grid_curve(tally, self.average)
        return Evaluated(self._of_tally(tally.only(self.alphas), curve, n), problems)

    def report(self, queries: Queries, outcomes: Outcomes) -> Report:
        router, average = self.router, self.average
        held_out = HeldOut(router, self.call, queries, outcomes)
        choices = held_out.choices(self.alphas)
        tally = held_out.tally(choices)
        if tally.complete:
            path = find_path(router.engine, held_out.features, self.call)
            group = outcomes.dataset if average == "dataset" else None
            found = curve(path, router.models, outcomes.scores, outcomes.costs, group=group)
        else:
            found = grid_curve(held_out.tally(held_out.choices(GRID_ALPHAS)), average)
        return replace(
            self._of_tally(tally, found, len(outcomes)),
            outcomes=outcomes,
            choices=choices,
            guesses=held_out.guesses,
            doubts=self._doubts(held_out, choices) if np.isnan(outcomes.scores).any() else {},
        )

    def _of_tally(self, tally: Tally, found: AlphaCurve, n: int) -> Report:
        return Report(
            rows=tally.rows(self.average),
            curve=found,
            average=self.average,
            scorer=self.router.scorer.name,
            n_queries=n,
            relaxed=tally.relaxed,
            setup=setup_of(self.router, self.call),
        )

    def _doubts(
        self, held_out: HeldOut, choices: Mapping[float, Ints]
    ) -> dict[float | str, Floats]:
        """For each alpha and each model (S, D) what :class:`Doubt` says of choosing so."""
        router, outcomes = self.router, held_out.outcomes
        votes = held_out.features[:, : router.engine.n_clusters]
        doubt = Doubt(outcomes, votes, router.scorer.plausible_scores, router.artifact.info.error)
        every: dict[float | str, Ints] = dict(choices.items())
        every |= {model: np.full(len(outcomes), j) for j, model in enumerate(outcomes.models)}
        return {name: doubt.of(choice) for name, choice in every.items()}
