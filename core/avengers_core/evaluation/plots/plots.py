"""Pictures of an evaluation, readable in black and white; needs the extra ``plot``."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact, check_artifact
from avengers_core.common.arrays import Floats
from avengers_core.errors import needing
from avengers_core.evaluation.metrics import pareto_front
from avengers_core.evaluation.plots.cost_axis import label_costs
from avengers_core.evaluation.plots.labels import label_points, plain, shortened
from avengers_core.evaluation.plots.saving import laid_out, save, to_svg
from avengers_core.evaluation.results import Results
from avengers_core.records.names import few

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_AVERAGES = {"dataset": "datasets", "query": "queries"}
_MOST_MODELS = 8
# Models named as left out, and characters of such a line.
_MOST_NAMED, _LINE = 6, 100
# Steps drawn along alpha: more cannot be told apart on a page.
_MOST_STEPS = 150
INK, GREY, ACCENT = "#1a1a1a", "#777777", "#b5121b"


def require_matplotlib() -> None:
    """Say before long work, not after it, that there can be no pictures.

    Raises:
        OptionalDependencyError: matplotlib is not installed.
    """
    with needing("matplotlib", "plot"):
        import matplotlib.figure  # noqa: F401


def new_figure(width: float, height: float, **subplots: Any) -> tuple[Figure, Any]:
    """A figure outside pyplot's global state, which is neither thread-safe nor collected.

    Notebooks show figures of pyplot only; this one shows itself.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    vars(figure)["_repr_svg_"] = partial(to_svg, figure)
    axes = figure.subplots(**subplots)
    for ax in np.atleast_1d(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#e6e6e6", linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def _say(ax: Any, text: str) -> None:
    """Write in an empty frame why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=INK)


def tradeoff(report: Results) -> Figure:
    """Accuracy against mean cost: the router's curve, the single models, their Pareto front."""
    figure, ax = new_figure(8, 5)
    curve = report.curve
    there = ~(np.isnan(report.curve.cost) | np.isnan(curve.score))
    order = np.flatnonzero(there)[np.argsort(report.curve.cost[there], kind="stable")]
    routed_cost, routed = report.curve.cost[order], curve.score[order]
    ax.plot(routed_cost, routed, color=ACCENT, linewidth=0.8, alpha=0.4)
    front = pareto_front(routed, routed_cost)
    ax.step(
        routed_cost[front],
        routed[front],
        where="post",
        color=ACCENT,
        linewidth=2.2,
        # Its best point, which is all there is where every alpha makes the same choices.
        marker="D",
        markevery=[-1] if front.any() else [],
        markersize=9,
        fillstyle="none",
        label="router, best at each cost (diamond: its best)",
    )
    known = ~(np.isnan(curve.single_cost) | np.isnan(curve.single_score))
    cost, score = curve.single_cost[known], curve.single_score[known]
    names = [m for m, k in zip(shortened(curve.models), known, strict=True) if k]
    best = pareto_front(score, cost)
    ax.scatter(cost[~best], score[~best], marker="o", facecolor="white", edgecolor=GREY, s=36)
    ax.scatter(cost[best], score[best], marker="s", color=INK, s=36, zorder=3)
    steps = np.argsort(cost[best])
    ax.step(
        cost[best][steps],
        score[best][steps],
        where="post",
        color=INK,
        linestyle="--",
        linewidth=1,
        label="single models (squares: Pareto front)",
    )
    everything = np.concatenate([cost, routed_cost])
    if len(everything) and everything.min() > 0:
        # Before the scale, which would widen the ends of one amount by itself, and warn.
        if everything.max() <= everything.min() * (1 + 1e-9):
            ax.set_xlim(everything.min() / 2, everything.max() * 2)
        ax.set_xscale("log")
    # Room for a point at the edge, and for the name of one.
    ax.margins(x=0.06, y=0.08)
    if len(everything):
        label_costs(ax.xaxis, everything)
    else:
        _say(ax, "No cost is known, so there is none to compare accuracy with.")
        ax.set(xticks=[], yticks=[])
    ax.set_xlabel(f"mean cost of a call, USD ({ax.get_xscale()} scale){_left_out(report)}")
    ax.set_ylabel(f"accuracy, mean over {_AVERAGES[report.average]}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    corners = np.stack([cost[best][steps].repeat(2)[1:], score[best][steps].repeat(2)[:-1]], axis=1)
    lines = (np.stack([routed_cost, routed], axis=1), corners)
    diamond = np.stack([routed_cost[front], routed[front]], axis=1)[-1:]
    label_points(ax, cost, score, names, around=lines, nameless=diamond)
    return figure


def _left_out(report: Results) -> str:
    """A line that names the models without a known cost, which have no place in the picture."""
    short = dict(zip(report.curve.models, shortened(report.curve.models), strict=True))
    names = [plain(short[m]) for m in report.unpriced]
    if not names or len(names) == len(short):
        return ""
    return "\n" + fill(f"not drawn, for no cost is known: {few(names, _MOST_NAMED)}", _LINE)


def over_alpha(report: Results) -> Figure:
    """Accuracy and mean cost as functions of alpha, with the best single model's."""
    figure, (top, bottom) = new_figure(8, 5.5, nrows=2, sharex=True)
    curve, best = report.curve, report.best_single
    name = shortened(curve.models)[curve.models.index(best.name)]
    accuracy = best.dataset_mean if report.average == "dataset" else best.query_mean
    for ax, values, reference, label in (
        (top, curve.score, accuracy, "accuracy"),
        (bottom, report.curve.cost, best.mean_cost, "mean cost of a call, USD"),
    ):
        ax.stairs(values, curve.path.edges, color=ACCENT, linewidth=1.8, baseline=None)
        ax.set_ylabel(label)
        ax.margins(y=0.15)
        if np.isnan(reference):
            continue
        ax.axhline(reference, color=INK, linestyle="--", linewidth=1)
        ax.annotate(
            f"best single model ({plain(name)})",
            (0.01, reference),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            va="bottom",
            fontsize=8,
        )
    if np.isnan(report.curve.cost).all():
        _say(bottom, "No cost is known.")
        bottom.set_yticks([])
    else:
        label_costs(bottom.yaxis, report.curve.cost)
    bottom.set_xlabel("alpha: 0 = cheapest, 1 = best")
    bottom.set_xlim(0, 1)
    figure.align_ylabels()
    return figure


def selection_shares(report: Results) -> Figure:
    """Share of the queries that each model gets, as a function of alpha."""
    figure, ax = new_figure(8, 4.5)
    curve = report.curve
    shares = curve.path.shares(len(curve.models))
    edges = curve.path.edges
    order = np.argsort(-(shares * np.diff(edges)[:, None]).sum(axis=0), kind="stable")
    order = order[shares[:, order].max(axis=0) > 0]
    shown, rest = order[:_MOST_MODELS], order[_MOST_MODELS:]
    if len(shares) > _MOST_STEPS:
        at: Floats = np.linspace(0, 1, _MOST_STEPS)
        drawn = shares[np.searchsorted(edges[1:-1], at, "right")]
    else:
        at, drawn = np.repeat(edges, 2)[1:-1], np.repeat(shares, 2, axis=0)
    layers = [drawn[:, j] for j in shown]
    short = shortened(curve.models)
    names = [plain(short[j]) for j in shown]
    if len(rest):
        layers.append(drawn[:, rest].sum(axis=1))
        names.append(f"{len(rest)} others")
    # Shades and hatches instead of hues: told apart in print, too. Dots would make large files.
    hatches = ["", "//", "||", "\\\\", "xx", "--", "++", "////", "||||"]
    floor = np.zeros(len(at))
    for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
        ceiling = floor + layer
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
        ax.plot(at, ceiling, color=INK, linewidth=0.6)
        floor = ceiling
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="alpha: 0 = cheapest, 1 = best",
        ylabel="share of the queries",
    )
    ax.legend(
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=8,
        reverse=True,  # as they lie one above the other
        handlelength=3.2,
        handleheight=2.0,
    )
    return figure


def cluster_map(artifact: RouterArtifact) -> Figure:
    """The clusters in a plane (t-SNE of the centroids); area is records, text is topic.

    Neighbours in the picture are neighbours in the embedding; larger distances mean nothing.
    """
    check_artifact(artifact)
    figure, ax = new_figure(9, 7)
    ax.spines[:].set_visible(False)
    size = artifact.statistics.size
    k = artifact.n_clusters
    if k > 3:
        from sklearn.manifold import TSNE

        # Larger steps throw single points far away now and then, and the rest into a heap.
        layout = TSNE(
            perplexity=min(12.0, (k - 1) / 3),
            learning_rate=20.0,
            init="pca",
            random_state=0,
            method="exact",
        )
        plane = layout.fit_transform(artifact.centroids)
    else:
        plane = np.stack([np.arange(k), np.zeros(k)], axis=1)
    area = 20 + 600 * size / max(size.max(), 1)
    ax.scatter(*plane.T, s=area, facecolor="#dddddd", edgecolor=INK, linewidth=0.6)
    ax.set(xticks=[], yticks=[], xlabel="a circle is a cluster, its area the number of records")
    ax.margins(x=0.08, y=0.06)
    topics = [", ".join(artifact.topics(c, most=1)) for c in range(k)]
    # Neighbours mostly share their topic, so one name among them is enough.
    label_points(ax, plane[:, 0], plane[:, 1], topics, radius=np.sqrt(area / np.pi), sparse=True)
    return figure


def save_all(
    report: Results,
    folder: str | os.PathLike[str],
    formats: tuple[str, ...] = ("png", "svg"),
    artifact: RouterArtifact | None = None,
) -> list[Path]:
    """Write the pictures of a report; returns the paths.

    Args:
        report: what :func:`avengers_core.evaluate` returns.
        folder: made if it is not there.
        formats: endings that matplotlib knows.
        artifact: whose cluster map is to be drawn, too.
    """
    figures = {draw.__name__: draw(report) for draw in (tradeoff, over_alpha, selection_shares)}
    if artifact is not None:
        figures["cluster_map"] = cluster_map(artifact)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        with laid_out(figure):
            for ending in formats:
                path = target / f"{name}.{ending}"
                save(figure, path)
                written.append(path)
    return written
