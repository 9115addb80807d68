"""Public names of the pictures, which lie in :mod:`avengers_core.evaluation.plots`."""

from avengers_core.evaluation.plots.plots import (
    cluster_map,
    over_alpha,
    require_matplotlib,
    save_all,
    selection_shares,
    tradeoff,
)
from avengers_core.evaluation.plots.saving import save, to_svg
from avengers_core.evaluation.plots.studies import study_results

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
