"""Fitting, routing, evaluation and embedding over files of any number and size.

In constant memory, by one process, several, or a Ray cluster, with the same result. Files are JSON
lines, plain or gzip, or Parquet, see :mod:`avengers_core.bulk.files`; patterns such as
``logs/*.parquet`` stand for many.
"""

from __future__ import annotations

from avengers_core.bulk.evaluating import evaluate
from avengers_core.bulk.fitting import Fitted, fit
from avengers_core.bulk.jobs import FileProblem, Problems
from avengers_core.bulk.output import Written
from avengers_core.bulk.routing import embed, route
from avengers_core.bulk.workers import ENGINES, Engine

__all__ = [
    "ENGINES",
    "Engine",
    "FileProblem",
    "Fitted",
    "Problems",
    "Written",
    "embed",
    "evaluate",
    "fit",
    "route",
]
