"""Public name of :mod:`avengers_core.evaluation.studies`."""

from avengers_core.evaluation.studies import (
    METRICS,
    STUDIES,
    LookupEmbedder,
    Setting,
    Study,
    run,
    settings_for,
    summarise,
)

__all__ = [
    "METRICS",
    "STUDIES",
    "LookupEmbedder",
    "Setting",
    "Study",
    "run",
    "settings_for",
    "summarise",
]
