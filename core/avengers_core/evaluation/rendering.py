"""An evaluation as text: Markdown, and tables for any form of it."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from avengers_core.evaluation.metrics import METRICS
from avengers_core.evaluation.results import Results
from avengers_core.evaluation.rows import Row, router_name
from avengers_core.records.names import counted, few
from avengers_core.routing.decision.explaining import usd

Section = tuple[str, str, Sequence[str], Sequence[Sequence[str]]]
"""A title, a note, the heading of a table and its rows."""


# What Markdown takes for marks; in "://" it finds addresses, and inside a word "_" is none.
_MARKED = re.compile(r"[\\`*\[\]~|]|:(?=//)|(?<!\w)_|_(?!\w)")
_CONFIDENCE = (
    "Bootstrap: queries drawn anew inside each dataset. The lead is over the best single model, in "
    "points; where both its ends have one sign, it is hardly chance."
)
_NAMED = 6  # datasets or models in a sentence


def to_markdown(report: Results) -> str:
    """Metrics, the table of all rows, and selection shares, as Markdown.

    Args:
        report: what :func:`avengers_core.evaluate` returns.
    """
    parts = ["# Held-out evaluation", _plain(summary(report))]
    for title, note, heading, rows in sections(report):
        if rows:
            parts += [f"## {title}", _plain(note), markdown_table(heading, rows)]
    return "\n\n".join(filter(None, parts)) + "\n"


def sections(report: Results) -> list[Section]:
    """What a report has to show, in whatever form; what has no rows is left out there."""
    return [
        ("Metrics", "", ("metric", "value", "meaning"), metric_rows(report)),
        ("Accuracy in percent, and cost", " ".join(notes(report)), *comparison(report)),
        ("Share of the queries", "", *selection(report)),
        ("95 % confidence", _CONFIDENCE, *confidence(report)),
        ("Setup", "", *setup(report)),
    ]


def one_line(report: Results) -> str:
    """What a terminal shows of a report: its size, and the metrics that say most."""
    values = ", ".join(f"{name} {value}" for name, value, _ in metric_rows(report)[:4])
    n = counted(report.n_queries, "query")
    return f"<Report: {n}, scorer {report.scorer}, {values}>"


def summary(report: Results) -> str:
    """One sentence: what was evaluated."""
    n, d = report.n_queries, len(report.best_single.accuracy)
    average = "datasets" if report.average == "dataset" else "queries"
    relaxed = (
        f" For {report.relaxed:,} of them no model meets the limits, so the nearest is taken."
        if report.relaxed
        else ""
    )
    return (
        f"{counted(n, 'held-out query')} of {counted(d, 'dataset')}, "
        f"{counted(len(report.curve.models), 'model')}, scorer {report.scorer}. Accuracy "
        f"in the metrics is the mean over {average}. The best single model is "
        f"{report.best_single.name}.{relaxed}"
    )


def metric_rows(report: Results) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each metric."""
    rows = []
    for key, value in report.metrics.items():
        name, meaning, percent, keep = METRICS[key]
        if math.isnan(value):
            text = _unknown(report, keep)
        else:
            # Rounding first and adding zero takes the sign off a zero.
            text = f"{round(value, 3) + 0.0:+.1%}" if percent else f"{round(value, 4) + 0.0:.4f}"
        rows.append((name, text, meaning))
    return rows


def _unknown(report: Results, keep: float | None) -> str:
    """Why a metric has no value."""
    if keep is None:
        return "unknown"
    if report.best_single.mean_cost == 0:
        return "nothing to save"
    return "not reached" if report.perf_gain + 1 < keep - 1e-12 else "unknown"


def comparison(report: Results, datasets: bool = True) -> tuple[list[str], list[list[str]]]:
    """The published tables: rows are ways to choose, columns averages, costs, datasets.

    Averages and costs come first, where a page that is too narrow for all datasets shows them.

    Args:
        report: the evaluation.
        datasets: with a column for each dataset.

    Returns:
        The heading, and the rows.
    """
    names = sorted(report.best_single.accuracy) if datasets else []
    means = ["mean over datasets, %", "mean over queries, %"]
    if not report.complete:
        means = ["known results", *means]
    heading = ["", *means, "USD a call", "USD in all", *names]
    best = report.best_single

    def line(row: Row) -> list[str]:
        accuracy = [percent(row.accuracy.get(name, math.nan)) for name in names]
        relative = row.mean_cost / best.mean_cost if best.mean_cost else math.nan
        note = "" if math.isnan(relative) else f" ({relative:.0%})"
        return [
            row.name,
            *([] if report.complete else [f"{row.known:,.0f}"]),
            percent(row.dataset_mean),
            percent(row.query_mean),
            usd(None if math.isnan(row.mean_cost) else row.mean_cost) + note,
            _total(row, report.n_queries),
            *accuracy,
        ]

    return heading, [line(row) for row in report.rows]


def _total(row: Row, n: int) -> str:
    """What a row costs in all, and for how many of the n queries where not for all."""
    if math.isnan(row.total_cost):
        return usd(None)
    # What chance chooses is a mean, which is whole but for rounding.
    covered = "" if row.priced > n - 1e-6 else f" for {math.floor(row.priced + 1e-6):,} of {n:,}"
    return usd(row.total_cost) + covered


def notes(report: Results) -> list[str]:
    """Sentences without which the tables would be misread; empty where there is nothing to say."""
    found = []
    if not report.complete or report.costs_estimated:
        what, rows = ("cost", "Costs") if report.complete else ("result", "Rows")
        found.append(
            f"Not every model's {what} is known on every query. {rows} of models and of the router "
            f"are estimated for all {report.n_queries:,} queries (doubly robust, self-normalised: "
            f"what the router expects, put right by the known {what}s of the same dataset and "
            f"model; weighted by their chances where records hold any); the fewer {what}s are "
            f"known, the more of a row is what the router expects. The oracle and teams are those "
            f"of the known {what}s alone."
        )
    if report.unscored:
        found.append(
            f"No result is known of {few(report.unscored, _NAMED)}: a row that chooses such a "
            f"model is of the other queries, and no metric counts its alpha. Without these models "
            f"(models=, --models) all queries count."
        )
    if unpriced := [model for model in report.unpriced if model not in report.unscored]:
        found.append(f"No cost is known of {few(unpriced, _NAMED)}.")
    if any(0 < row.priced < report.n_queries - 1e-6 for row in report.rows):
        found.append(
            "Costs are those of the calls with a known cost: where these are not all, the total "
            "says how many."
        )
    partial = [row.name for row in report.rows if any(map(math.isnan, row.accuracy.values()))]
    if partial:
        found.append(
            f"{few(partial, _NAMED)}: without a known result on some datasets (n/a), so the mean "
            f"over datasets is that of the others."
        )
    return found + about_intervals(report)


def about_intervals(report: Results) -> list[str]:
    """What to know of the confidence intervals: where one query of a dataset has to do."""
    if not report.lone:
        return []
    lone = few(report.lone, _NAMED)
    why = f"One query each in {lone}, which does not tell how others would differ: "
    if report.n_queries < 2:
        return [why + "there are no confidence intervals (n/a)."]
    if len(report.lone) == 1:
        return [why + "confidence intervals leave that out."]
    return [why + "for confidence intervals these datasets are drawn anew together."]


def confidence(report: Results) -> tuple[list[str], list[list[str]]]:
    """95 % bootstrap intervals of the router at each alpha: heading and rows."""

    def line(alpha: float, ends: dict[str, tuple[float, float]]) -> list[str]:
        return [
            router_name(alpha),
            _between(ends["accuracy"], percent),
            _between(ends["lead"], lambda points: f"{100 * points:+.1f}"),
            _between(ends["mean_cost"], usd),
        ]

    heading = ["", "accuracy, %", "lead", "USD a call"]
    return heading, [line(alpha, ends) for alpha, ends in report.intervals().items()]


def _between(ends: tuple[float, float], written: Callable[[float], str]) -> str:
    return "n/a" if any(map(math.isnan, ends)) else " to ".join(map(written, ends))


def selection(report: Results) -> tuple[list[str], list[list[str]]]:
    """How often each model is chosen at each alpha: heading and rows."""
    routed = [row for row in report.rows if row.kind == "router"]
    heading = ["model", *(f"alpha {row.alpha:g}" for row in routed)]
    rows = [[m, *(f"{row.shares[m]:.1%}" for row in routed)] for m in report.curve.models]
    return heading, rows


def setup(report: Results) -> tuple[list[str], list[list[str]]]:
    """How the evaluation was made: heading and rows."""
    rows = [[key.replace("_", " "), _in_words(value)] for key, value in report.setup.items()]
    return ["", "setting"], rows


def _in_words(value: Any) -> str:
    """A plain value as it is said: lists and pairs after each other, nothing as a dash."""
    if isinstance(value, Mapping):
        value = [f"{key.replace('_', ' ')} {_in_words(one)}" for key, one in value.items()]
    if isinstance(value, list | tuple):
        value = ", ".join(map(_in_words, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value in (None, "") else str(value)


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_plain, cells)) + " |"

    rule = "| --- |" + " ---: |" * (len(heading) - 1)
    return "\n".join([line(heading), rule, *map(line, rows)])


def _plain(text: str) -> str:
    """A text that Markdown shows as it is, inside a table, too: no link, picture or emphasis."""
    return " ".join(_MARKED.sub(r"\\\g<0>", html.escape(text, quote=False)).split())


def percent(value: float) -> str:
    """A share in percent without its sign, or "n/a" where it is unknown."""
    return "n/a" if math.isnan(value) else f"{100 * value:.1f}"
