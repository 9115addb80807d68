"""Fit, route, evaluate and embed files of any size, by several processes unless told otherwise.

:func:`fit` and :func:`evaluate` are those of the package with ``engine="processes"``, and give what
was left out beside the result.
"""

from __future__ import annotations

from typing import Any

from avengers_core.common.functions import same_arguments
from avengers_core.evaluation.evaluate import Evaluated, evaluate_records
from avengers_core.fitting.fit import Fitted, fit_records
from avengers_core.jobs.output import Written
from avengers_core.jobs.routing import embed, route
from avengers_core.records.record import RecordProblem as FileProblem
from avengers_core.scanning.batches import Problems
from avengers_core.scanning.workers import ENGINES, Engine

__all__ = [
    "ENGINES",
    "Engine",
    "Evaluated",
    "FileProblem",
    "Fitted",
    "Problems",
    "Written",
    "embed",
    "evaluate",
    "fit",
    "route",
]

_PROCESSES: dict[str, Any] = {"engine": "processes"}


@same_arguments(fit_records)
def fit(*arguments: Any, **options: Any) -> Fitted:
    """:func:`avengers_core.fit`, with the number of records and the rows that were rejected."""
    return fit_records(*arguments, **_PROCESSES | options)


@same_arguments(evaluate_records)
def evaluate(*arguments: Any, **options: Any) -> Evaluated:
    """:func:`avengers_core.evaluate`, with the rows that were rejected beside the report."""
    return evaluate_records(*arguments, **_PROCESSES | options)
