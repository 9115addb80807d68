"""What a log says, as one self-contained page of HTML; needs the extra ``plot``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.evaluation.html_page import html_page
from avengers_core.evaluation.plots import plots
from avengers_core.evaluation.plots.labels import plain
from avengers_core.evaluation.plots.saving import to_svg
from avengers_core.learning.rendering import columns, notes, promise_rows, summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from avengers_core.learning.watch import Watch

_MOST_MODELS = 8
_MARGIN = 0.05  # of a score, around what is drawn


def to_html(watch: Watch) -> str:
    """The tables, and the pictures as inline SVG."""
    pictures = [
        ("Score, promised and realised", over_time(watch)),
        ("Promise against score, by model", calibration(watch)),
        ("Who answers", shares(watch)),
    ]
    if np.isfinite(watch.unlike):
        pictures.append(("Queries unlike the records", unlike(watch)))
    return html_page(
        "Calls of a router",
        summary(watch),
        [(title, to_svg(figure)) for title, figure in pictures],
        [
            ("What to know", "", ("meaning",), [(note,) for note in notes(watch)]),
            ("Promised against realised", "", columns(watch), promise_rows(watch)),
        ],
    )


def over_time(watch: Watch) -> Figure:
    """Mean score promised and realised in each stretch of the log, with the changes found."""
    figure, ax = plots.new_figure(8, 3.6)
    when = _when(watch)
    ax.plot(when, [p.promised for p in watch.periods], "--", color=plots.INK, label="promised")
    ax.plot(when, [p.score for p in watch.periods], "o-", color=plots.ACCENT, label="realised")
    for moment in sorted({alarm.since for alarm in watch.alarms}):
        at: Any = datetime.fromtimestamp(moment, timezone.utc)
        ax.axvline(at, color=plots.GREY, linestyle=":")
    label = "mean score of the graded calls"
    ax.set_ylabel(f"{label}\n(dotted: a change)" if watch.alarms else label)
    _finish(figure, ax)
    return figure


def calibration(watch: Watch) -> Figure:
    """Each model's realised score against the promised one, with 95 % intervals."""
    figure, ax = plots.new_figure(5, 4.5)
    ax.axline((0, 0), slope=1, color=plots.GREY, linewidth=1)
    models = [p for p in watch.promises[1:] if p.graded]
    x, y = (np.array([getattr(p, n) for p in models]) for n in ("promised_score", "score"))
    error = np.nan_to_num(np.array([p.error for p in models], dtype=np.float64))
    low, high = ends = np.minimum(error, [y, 1 - y])  # no score lies beyond
    ax.errorbar(x, y, yerr=ends, fmt="s", color=plots.INK, capsize=3)
    for p in models:
        at = (p.promised_score, p.score)
        ax.annotate(plain(p.model), at, (6, 4), textcoords="offset points", fontsize=8)
    # Both axes alike, so that above the line is above the promise.
    seen = np.array([*x, *(y - low), *(y + high)] if models else [0.0, 1.0])
    span = seen.min() - _MARGIN, seen.max() + _MARGIN
    ax.set(xlabel="promised score", ylabel="realised score", xlim=span, ylim=span)
    return figure


def shares(watch: Watch) -> Figure:
    """Share of the calls that each model answered."""
    figure, ax = plots.new_figure(8, 3.6)
    when = _when(watch)
    models = [p.model for p in watch.promises[1 : 1 + _MOST_MODELS]]
    for i, model in enumerate(models):
        share = [period.shares.get(model, 0.0) for period in watch.periods]
        style = ("-", "--", "-.", ":")[i % 4]
        shade = str(0.65 * i / max(len(models) - 1, 1))
        ax.plot(when, share, style, color=shade, label=plain(model))
    ax.set(ylabel="share of the calls", ylim=(0, 1))
    _finish(figure, ax)
    return figure


def unlike(watch: Watch) -> Figure:
    """Share of the calls that are unlike the records; 5 % is usual."""
    figure, ax = plots.new_figure(8, 3)
    ax.plot(_when(watch), [p.unlike for p in watch.periods], "o-", color=plots.ACCENT)
    ax.axhline(0.05, color=plots.INK, linestyle="--", linewidth=1)
    ax.set(ylabel="share unlike the records", ylim=(0, None))
    _finish(figure, ax)
    return figure


def _when(watch: Watch) -> list[Any]:
    return [datetime.fromtimestamp(p.start, timezone.utc) for p in watch.periods]


def _finish(figure: Figure, ax: Any) -> None:
    figure.autofmt_xdate()
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
