"""Public name of :mod:`avengers_core.evaluation.studies`."""

from avengers_core.evaluation.results import METRICS
from avengers_core.evaluation.studies import (
    STUDIES,
    Setting,
    Study,
    run,
    settings_for,
    summarise,
)

__all__ = [
    "METRICS",
    "STUDIES",
    "Setting",
    "Study",
    "run",
    "settings_for",
    "summarise",
]
