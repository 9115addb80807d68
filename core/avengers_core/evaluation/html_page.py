"""An evaluation, or another report, as one self-contained page of HTML; needs ``plot``."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from avengers_core.evaluation.plots import plots
from avengers_core.evaluation.plots.saving import to_svg
from avengers_core.evaluation.rendering import Section, sections, summary
from avengers_core.evaluation.results import Results

# Columns of text, which are set to the left and may wrap.
_WORDS = ("meaning", "setting")
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1a1a1a; --page: #fff; --line: #ddd; --hover: #f4f4f4 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e4e4e4; --page: #17181a; --line: #3a3b3e; --hover: #232427 }}
}}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 90rem;
  color: var(--ink); background: var(--page) }}
table {{ border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left; position: sticky; left: 0;
  background: var(--page) }}
th.words, td.words {{ text-align: left; white-space: normal }}
tr:hover td {{ background: var(--hover) }}
th {{ white-space: normal; vertical-align: bottom }}
p, figure {{ max-width: 60rem }}
/* A table may take the window's width; what is more scrolls, and prints smaller. */
.wide {{ overflow-x: auto }}
@media print {{ .wide {{ overflow: visible }} table {{ font-size: 7pt }} }}
figure {{ margin: 1rem 0 }} svg {{ max-width: 100%; height: auto; border-radius: 4px }}
</style>
<h1>{title}</h1><p>{summary}</p>{pictures}{tables}
</html>
"""


def to_html(report: Results) -> str:
    """One self-contained page: the tables, and the pictures as inline SVG."""
    figures = (
        ("Accuracy against cost", plots.tradeoff(report)),
        ("Accuracy and cost against alpha", plots.over_alpha(report)),
        ("Who is chosen, by alpha", plots.selection_shares(report)),
    )
    pictures = [(title, to_svg(figure)) for title, figure in figures]
    return html_page("Held-out evaluation", summary(report), pictures, sections(report))


def html_page(
    title: str, lead: str, pictures: Iterable[tuple[str, str]], tables: Iterable[Section]
) -> str:
    """One self-contained page.

    Args:
        title: of the page.
        lead: what stands under it.
        pictures: titles, and SVG elements.
        tables: those without rows are left out; columns called "meaning" or "setting" are text.
    """
    drawn = "".join(f"<h2>{name}</h2><figure>{svg}</figure>" for name, svg in pictures)
    body = "".join(
        f"<h2>{name}</h2><p>{html.escape(note)}</p>{_html_table(head, rows)}"
        for name, note, head, rows in tables
        if rows
    )
    return _PAGE.format(title=title, summary=html.escape(lead), pictures=drawn, tables=body)


def _html_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    words = [name in _WORDS for name in heading]

    def line(tag: str, cells: Sequence[str]) -> str:
        row = "".join(
            f"<{tag}{' class=words' * left}>{html.escape(cell)}</{tag}>"
            for cell, left in zip(cells, words, strict=True)
        )
        return f"<tr>{row}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<div class=wide><table>{line('th', heading)}{body}</table></div>"
