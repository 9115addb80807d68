"""Public names of studies: what they vary, and their experiments."""

from avengers_core.evaluation.metrics import METRICS
from avengers_core.evaluation.studies.experiments import run, summarise
from avengers_core.evaluation.studies.studies import STUDIES, Setting, Study, settings_for

__all__ = [
    "METRICS",
    "STUDIES",
    "Setting",
    "Study",
    "run",
    "settings_for",
    "summarise",
]
