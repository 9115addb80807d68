"""A decision in words and tables; and amounts and tables as all that is printed shows them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from avengers_core.embedders.tokens import MAX_CHARS
from avengers_core.records.names import one_line

if TYPE_CHECKING:
    from avengers_core.routing.decision import RoutingDecision

_BASES = {"overall": "no text, overall means", "unfamiliar": "unlike the records"}
_TOLD = {
    "overall": "no text to go by: decided on the artifact's overall means",
    "unfamiliar": "too little like the records to go by",
}
_COLUMNS = ("model", "utility", "score", "cost", "support")


def in_short(decision: RoutingDecision) -> str:
    """On one line: the models, what is expected of the best, and where the query lies."""
    best = decision.candidates[0]
    topics = ", ".join(decision.clusters[0].topics) if decision.clusters else ""
    where = f"near {topics}" if decision.basis == "query" else _BASES[decision.basis]
    relaxed = ", constraints relaxed" if decision.relaxed else ""
    explored = ", explored" if decision.explored else ""
    cut = f", cut by {decision.cut:,} characters" if decision.cut else ""
    return one_line(
        f"{' > '.join(decision.models)}  (score {best.expected_score:.3f}, "
        f"cost {usd(best.expected_cost)}, alpha {decision.alpha:g}, "
        f"{where}{relaxed}{explored}{cut})"
    )


def in_full(decision: RoutingDecision) -> str:
    """The ranking as a table, the clusters that voted, and who is not eligible."""
    table = text_table(_COLUMNS, _rows(decision))
    return "\n".join([_heading(decision), "", table, "", *_footer(decision)])


def as_html(decision: RoutingDecision) -> str:
    """:func:`in_full`, for notebooks."""

    def table_row(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    head = table_row("th", _COLUMNS)
    body = "".join(table_row("td", row) for row in _rows(decision))
    notes = "<br>".join(html.escape(line) for line in _footer(decision))
    return f"<b>{html.escape(_heading(decision))}</b><table>{head}{body}</table><p>{notes}</p>"


def _rows(decision: RoutingDecision) -> list[tuple[str, ...]]:
    return [
        (
            c.model,
            f"{c.utility:.4f}",
            f"{c.expected_score:.3f}",
            usd(c.expected_cost),
            f"{c.support:.0%}",
        )
        for c in decision.candidates
    ]


def _heading(decision: RoutingDecision) -> str:
    tokens = decision.prompt_tokens
    prompt = f", prompt of {tokens:,} tokens" if tokens else ""
    relaxed = ", constraints relaxed: the nearest model was taken" if decision.relaxed else ""
    return one_line(
        f"{decision.model} at alpha {decision.alpha:g} (scorer {decision.scorer}{prompt}{relaxed})"
    )


def _footer(decision: RoutingDecision) -> list[str]:
    if decision.basis != "query":
        lines = [_TOLD[decision.basis]]
    else:
        votes = (
            f"{c.weight:.0%} cluster {c.cluster} ({', '.join(c.topics)}; {c.size:,} records)"
            for c in decision.clusters
        )
        lines = ["votes: " + ", ".join(votes)]
    if decision.familiarity is not None:
        lines.append(
            f"familiarity: {decision.familiarity:.0%} of the records are no more like the rest"
        )
    if decision.cut:
        lines.append(
            f"cut: decided on the first {MAX_CHARS:,} characters of a text, {decision.cut:,} more "
            f"were left out"
        )
    lines += [f"not eligible: {model}: {why}" for model, why in decision.ineligible.items()]
    return [one_line(line) for line in lines]


def usd(cost: float | None) -> str:
    """An amount of money with three digits, or "unknown"."""
    if cost is None:
        return "unknown"
    if cost == 0:
        return "$0"
    return f"${cost:.2f}" if cost >= 1 else f"${cost:.3g}" if cost >= 1e-4 else f"${cost:.2e}"


def text_table(
    heading: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    """A table for the terminal; the columns ``left`` to the left, the others to the right."""
    lines = [list(heading), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heading))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
