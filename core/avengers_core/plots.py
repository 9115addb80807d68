"""Public name of :mod:`avengers_core.evaluation.plots.plots`."""

from avengers_core.evaluation.plots.plots import (
    cluster_map,
    over_alpha,
    require_matplotlib,
    save_all,
    selection_shares,
    study_results,
    tradeoff,
)
from avengers_core.evaluation.plots.saving import save, to_svg

__all__ = [
    "cluster_map",
    "over_alpha",
    "require_matplotlib",
    "save",
    "save_all",
    "selection_shares",
    "study_results",
    "to_svg",
    "tradeoff",
]
