"""The picture of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.evaluation.metrics import METRICS, OF_STUDIES
from avengers_core.evaluation.plots.plots import INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_FLAT_LABELS = 8


def study_results(summary: Sequence[Mapping[str, Any]], name: str) -> Figure:
    """PerfGain, CostSave at 95 % and AIQ against what a study varied, with standard deviations.

    Args:
        summary: what :func:`avengers_core.evaluation.studies.experiments.summarise` returns.
        name: of what was varied.
    """
    figure, axes = new_figure(11, 3.6, ncols=len(OF_STUDIES))
    at = np.arange(len(summary))
    # A line between names would say that something lies between them.
    line = "none" if any(isinstance(row["value"], str) for row in summary) else "-"
    for ax, metric in zip(axes, OF_STUDIES, strict=True):
        mean = np.array([row[metric] for row in summary], dtype=np.float64)
        spread = np.nan_to_num([row[f"{metric}_std"] for row in summary])
        ax.errorbar(at, mean, yerr=spread, color=INK, marker="o", linestyle=line, capsize=3)
        ax.set_xticks(at, [str(row["value"]) for row in summary])
        if len(summary) > _MOST_FLAT_LABELS:
            ax.tick_params(axis="x", rotation=90, labelsize=7)
        ax.set(title=METRICS[metric].name, xlabel=name)
    return figure
