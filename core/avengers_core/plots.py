"""Pictures of an evaluation, readable in black and white; needs the extra ``plot``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.artifact import RouterArtifact
from avengers_core.errors import OptionalDependencyError
from avengers_core.metrics import pareto_front
from avengers_core.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AVERAGES = {"dataset": "datasets", "query": "queries"}
_MOST_MODELS = 8
_MOST_FLAT_LABELS = 8
# Steps drawn along alpha: more can not be told apart on a page.
_MOST_STEPS = 400
_INK, _GREY, _ACCENT = "#1a1a1a", "#777777", "#b5121b"


def _figure(width: float, height: float, **subplots: Any) -> tuple[Figure, Any]:
    """A figure outside pyplot's global state, which is neither thread-safe nor collected."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise OptionalDependencyError("matplotlib", "plot") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(**subplots)
    for ax in np.atleast_1d(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def tradeoff(report: Report) -> Figure:
    """Accuracy against mean cost: the router's curve, the single models, their Pareto front."""
    figure, ax = _figure(8, 5)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    curve = report.curve
    order = np.argsort(curve.cost, kind="stable")
    front = pareto_front(curve.score, curve.cost)
    ax.plot(curve.cost[order], curve.score[order], color=_ACCENT, linewidth=0.8, alpha=0.4)
    reach = order[front[order]]
    ax.step(
        curve.cost[reach],
        curve.score[reach],
        where="post",
        color=_ACCENT,
        linewidth=2.2,
        label="router, every alpha (best reachable)",
    )
    known = ~np.isnan(curve.single_cost) & ~np.isnan(curve.single_score)
    cost, score = curve.single_cost[known], curve.single_score[known]
    names = [m for m, k in zip(curve.models, known, strict=True) if k]
    best = pareto_front(score, cost)
    ax.scatter(cost[~best], score[~best], marker="o", facecolor="white", edgecolor=_GREY, s=36)
    ax.scatter(cost[best], score[best], marker="s", color=_INK, s=36, zorder=3)
    steps = np.argsort(cost[best])
    ax.step(
        cost[best][steps],
        score[best][steps],
        where="post",
        color=_INK,
        linestyle="--",
        linewidth=1,
        label="single models (squares: Pareto front)",
    )
    _label_points(ax, cost, score, names)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:.3g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("mean cost of a call, USD (log scale)")
    ax.set_ylabel(f"accuracy, mean over {_AVERAGES[report.average]}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def over_alpha(report: Report) -> Figure:
    """Accuracy and mean cost as functions of alpha, with the best single model's."""
    figure, (top, bottom) = _figure(8, 5.5, nrows=2, sharex=True)
    curve, best = report.curve, report.best_single
    accuracy = best.dataset_mean if report.average == "dataset" else best.query_mean
    for ax, values, reference, label in (
        (top, curve.score, accuracy, "accuracy"),
        (bottom, curve.cost, best.mean_cost, "mean cost, USD a call"),
    ):
        ax.stairs(values, curve.path.edges, color=_ACCENT, linewidth=1.8, baseline=None)
        ax.axhline(reference, color=_INK, linestyle="--", linewidth=1)
        ax.annotate(
            f"best single model ({best.name})",
            (0.01, reference),
            xycoords=("axes fraction", "data"),
            va="bottom",
            fontsize=8,
        )
        ax.set_ylabel(label)
        ax.margins(y=0.15)
    bottom.set_xlabel("alpha: 0 = cheapest, 1 = best")
    bottom.set_xlim(0, 1)
    return figure


def selection_shares(report: Report) -> Figure:
    """Share of the queries that each model gets, as a function of alpha."""
    figure, ax = _figure(8, 4.5)
    curve = report.curve
    shares = curve.path.shares(len(curve.models))
    edges = curve.path.edges
    if len(shares) > _MOST_STEPS:
        kept = np.searchsorted(edges, np.linspace(0, 1, _MOST_STEPS, endpoint=False), "right") - 1
        kept = np.unique(kept)
        shares, edges = shares[kept], np.append(edges[kept], 1.0)
    order = np.argsort(-(shares * np.diff(edges)[:, None]).sum(axis=0), kind="stable")
    order = order[shares[:, order].max(axis=0) > 0]
    shown, rest = order[:_MOST_MODELS], order[_MOST_MODELS:]
    layers = [shares[:, j] for j in shown]
    names = [curve.models[j] for j in shown]
    if len(rest):
        layers.append(shares[:, rest].sum(axis=1))
        names.append(f"{len(rest)} others")
    # Shades and hatches instead of hues: told apart in print, too.
    hatches = ["", "//", "..", "\\\\", "xx", "--", "oo", "||", "++"]
    at = np.repeat(edges, 2)[1:-1]
    floor = np.zeros(len(at))
    for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
        ceiling = floor + np.repeat(layer, 2)
        shade = str(0.92 - 0.6 * i / max(len(layers) - 1, 1))
        ax.fill_between(
            at,
            floor,
            ceiling,
            facecolor=shade,
            hatch=hatches[i % 9],
            edgecolor="white",
            linewidth=0,
            label=name,
        )
        floor = ceiling
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="alpha: 0 = cheapest, 1 = best",
        ylabel="share of the queries",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return figure


def cluster_map(artifact: RouterArtifact) -> Figure:
    """The clusters in a plane (t-SNE of the centroids); area is records, text is topic.

    Neighbours in the picture are neighbours in the embedding; larger distances mean nothing.
    """
    figure, ax = _figure(9, 7)
    size = artifact.statistics.size
    k = artifact.n_clusters
    if k > 3:
        from sklearn.manifold import TSNE

        layout = TSNE(perplexity=min(12.0, (k - 1) / 3), init="pca", random_state=0)
        plane = layout.fit_transform(artifact.centroids)
    else:
        plane = np.stack([np.arange(k), np.zeros(k)], axis=1)
    area = 20 + 600 * size / max(size.max(), 1)
    ax.scatter(*plane.T, s=area, facecolor="#dddddd", edgecolor=_INK, linewidth=0.6)
    topics = [", ".join(artifact.topics(c, most=1)) for c in range(k)]
    _label_points(ax, plane[:, 0], plane[:, 1], topics, fontsize=7)
    ax.set(xticks=[], yticks=[])
    ax.margins(x=0.12)
    return figure


def study_results(summary: Sequence[Mapping[str, Any]], name: str) -> Figure:
    """PerfGain, CostSave at 95 % and AIQ against what a study varied, with standard deviations.

    Args:
        summary: what :func:`avengers_core.studies.summarise` returns.
        name: of what was varied.
    """
    panels = (("perf_gain", "PerfGain"), ("cost_save_95", "CostSave at 95 %"), ("aiq", "AIQ"))
    figure, axes = _figure(11, 3.6, ncols=len(panels))
    at = np.arange(len(summary))
    for ax, (metric, label) in zip(axes, panels, strict=True):
        mean = np.array([line[metric] for line in summary], dtype=np.float64)
        spread = np.nan_to_num([line[f"{metric}_std"] for line in summary])
        ax.errorbar(at, mean, yerr=spread, color=_INK, marker="o", capsize=3, linewidth=1)
        ax.set_xticks(at, [str(line["value"]) for line in summary])
        if len(summary) > _MOST_FLAT_LABELS:
            ax.tick_params(axis="x", rotation=90, labelsize=7)
        ax.set(title=label, xlabel=name)
    return figure


def save_all(report: Report, folder: Any, formats: tuple[str, ...] = ("png", "svg")) -> list[Any]:
    """Write the three pictures of a report; returns the paths.

    Args:
        report: what :func:`avengers_core.evaluate` returns.
        folder: made if it is not there.
        formats: endings that matplotlib knows.
    """
    from pathlib import Path

    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for draw in (tradeoff, over_alpha, selection_shares):
        figure = draw(report)
        for ending in formats:
            path = target / f"{draw.__name__}.{ending}"
            figure.savefig(path, dpi=150)
            written.append(path)
    return written


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page, text as text."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "avengers"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _label_points(
    ax: Any, x: Any, y: Any, names: list[str], *, fontsize: float = 8, most: int = 60
) -> None:
    """Names beside points, alternately above and below where points are close."""
    order = np.argsort(y)[::-1][:most]
    for rank, i in enumerate(order):
        offset = (5, 4) if rank % 2 else (5, -9)
        ax.annotate(
            names[i],
            (x[i], y[i]),
            xytext=offset,
            textcoords="offset points",
            fontsize=fontsize,
            color=_INK,
        )
