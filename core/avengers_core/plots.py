"""Public name of :mod:`avengers_core.evaluation.plots.plots`."""

from avengers_core.evaluation.plots.plots import (
    cluster_map,
    over_alpha,
    require_matplotlib,
    save_all,
    selection_shares,
    study_results,
    to_svg,
    tradeoff,
)

__all__ = [
    "cluster_map",
    "over_alpha",
    "require_matplotlib",
    "save_all",
    "selection_shares",
    "study_results",
    "to_svg",
    "tradeoff",
]
