"""Public name of :mod:`avengers_core.evaluation.studies`."""

from avengers_core.evaluation.studies import (
    METRICS,
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
