"""Fitting, routing, evaluation and embedding over files of any number and size.

In constant memory, by one process, several, or a Ray cluster, with the same result. Files are JSON
lines, plain or gzip, or Parquet, see :mod:`avengers_core.jobs.files`; patterns such as
``logs/*.parquet`` stand for many.
"""

from __future__ import annotations

from avengers_core.jobs.evaluating import evaluate
from avengers_core.jobs.fitting import Fitted, fit
from avengers_core.jobs.jobs import FileProblem, Problems
from avengers_core.jobs.output import Written
from avengers_core.jobs.routing import embed, route
from avengers_core.jobs.workers import ENGINES, Engine

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
