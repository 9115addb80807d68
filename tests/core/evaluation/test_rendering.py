"""Reports as text: the published layout, escaping, and one page without anything from elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from avengers_core import OptionalDependencyError, Router, evaluate, fit
from avengers_core.embedders import CallableEmbedder
from avengers_core.evaluation import rendering
from avengers_core.evaluation.html_page import to_html
from avengers_core.evaluation.plots import plots
from avengers_core.evaluation.plots.saving import to_svg

# What is written in pictures is the same wherever it lies.
pytestmark = pytest.mark.usefixtures("unlaid")

VILE = ("<b>bold</b>", "pipe|d & $x^2$")


@pytest.fixture(scope="module")
def vile(make_records, embedder):
    """A report with names that Markdown, HTML and matplotlib would take for markup."""
    rows = [{**r, "dataset": f"<i>{r['dataset']}|$a_1$"} for r in make_records(models=VILE)]
    return evaluate(Router(fit(rows, embedder, n_clusters=2), embedder), rows)


@pytest.fixture(scope="module")
def page(vile, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "r.html"
    vile.save(path)
    return path.read_text(encoding="utf-8")


def tables(markdown):
    """The cells of each Markdown table, row by row."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in block.splitlines()]
        found.append([[cell.strip() for cell in line] for line in lines])
    return found


def test_markdown_has_the_published_layout(toy_report, tmp_path):
    toy_report.save(tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert text == toy_report.to_markdown() == toy_report._repr_markdown_()
    metrics, comparison, selection, intervals, setup = tables(text)
    assert ["scorer options", "top k 3, beta 9"] in setup
    assert ["limits", "-"] in setup
    assert [row[0] for row in intervals[2:]] == [
        r.name for r in toy_report.rows if r.alpha is not None
    ]
    assert metrics[0] == ["metric", "value", "meaning"]
    assert comparison[0] == [
        *("", "mean over datasets, %", "mean over queries, %", "USD a call", "USD in all"),
        *("x", "y"),
    ]
    by_name = {line[0]: line[1:] for line in comparison[2:]}
    assert by_name["a"] == ["66.7", "71.4", "$1.00 (100%)", "$7.00", "100.0", "33.3"]
    assert by_name["router (alpha 1)"][-2:] == ["100.0", "100.0"]
    assert by_name["oracle"][3] == "$25.00"
    assert "## Accuracy in percent, and cost" in text
    assert selection[0] == ["model", "alpha 0", "alpha 1"]
    assert selection[2:] == [["a", "100.0%", "57.1%"], ["b", "0.0%", "42.9%"]]


def test_a_total_that_leaves_calls_out_says_so(toy_router, toy_rows, tmp_path):
    half = [{**r, "usages": {"a": r["usages"]["a"]}} for r in toy_rows]
    report = evaluate(toy_router, half, [0.0, 1.0])
    report.save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    for text in (report.to_markdown(), page):
        assert "$5.00 for 5 of 7" in text
        assert "$3.50 for 3 of 7" in text
        assert "No cost is known of b." in text
        assert "Costs are those of the calls with a known cost" in text
        assert "$7.00 for" not in text


def test_there_are_no_notes_where_all_is_known(toy_report):
    assert rendering.notes(toy_report) == []


def test_every_row_of_a_table_has_the_same_cells_whatever_the_names(vile):
    text = vile.to_markdown()
    for table in tables(text):
        assert len({len(row) for row in table}) == 1
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_summary_says_what_was_evaluated(toy_report):
    text = rendering.summary(toy_report)
    for part in ("7 held-out queries of 2 datasets", "2 models", "scorer reference", "model is a"):
        assert part in text


def test_who_knows_more_of_the_setup_adds_it(toy_report, tmp_path):
    more = {**toy_report.setup, "input": ["a.jsonl", "<b>.jsonl"], "train_ratio": 0.7}
    report = replace(toy_report, setup=more)
    assert "| input | a.jsonl, &lt;b&gt;.jsonl |" in report.to_markdown()
    for ending in ("json", "html"):
        report.save(tmp_path / f"r.{ending}")
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert content["setup"]["input"] == ["a.jsonl", "<b>.jsonl"]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "a.jsonl, &lt;b&gt;.jsonl" in page
    assert "<td>train ratio</td><td class=words>0.7</td>" in page


def test_it_prints_as_one_line(toy_report):
    text = repr(toy_report)
    assert text.startswith("<Report: 7 queries, scorer reference, PerfGain ")
    assert "\n" not in text
    assert "AIQ" in text


def test_unknown_values_are_said_to_be_unknown(toy_router, toy_rows):
    text = evaluate(toy_router, [{**r, "usages": {}} for r in toy_rows]).to_markdown()
    assert "nan" not in text
    for metric in ("CostSave", "CostSave at 95 %", "AIQ", "ParetoDist"):
        assert f"| {metric} | unknown |" in text
    assert "| unknown | unknown |" in text


def shown_metrics(report):
    return {name: value for name, value, _ in rendering.metric_rows(report)}


def test_a_saving_says_why_it_is_not_there(toy_router, toy_rows):
    free = [{**r, "usages": {m: {"cost": 0.0} for m in "ab"}} for r in toy_rows]
    assert shown_metrics(evaluate(toy_router, free))["CostSave"] == "nothing to save"
    only_worse = evaluate(toy_router, toy_rows, models=["b"])
    assert shown_metrics(only_worse)["CostSave"] == "not reached"
    costlier = [{**r, "usages": {"b": {"cost": 1.0}}} for r in toy_rows]
    assert shown_metrics(evaluate(toy_router, costlier))["CostSave"] == "unknown"


def test_what_is_estimated_says_so(toy_router, toy_rows):
    rows = [{**r, "records": {"a": r["records"]["a"]}} for r in toy_rows[:4]] + toy_rows[4:]
    report = evaluate(toy_router, rows, [0.0])
    heading, lines = rendering.comparison(report)
    known = {line[0]: line[heading.index("known results")] for line in lines}
    assert (known["a"], known["b"]) == ("7", "3")
    (note,) = [n for n in rendering.notes(report) if "doubly robust" in n]
    assert note in report.to_markdown()
    complete = evaluate(toy_router, toy_rows, [0.0])
    assert "known results" not in rendering.comparison(complete)[0]


def test_json_has_no_nan(toy_router, toy_rows, tmp_path):
    report = evaluate(toy_router, [{**r, "usages": {}} for r in toy_rows])
    report.save(tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=pytest.fail)
    assert content == report.to_dict()


@pytest.mark.parametrize("name", ["r.docx", "r", "r.htm", "r.HTML.zip"])
def test_other_endings_are_refused(toy_report, tmp_path, name):
    with pytest.raises(ValueError, match=rf"\.json.*\.md.*\.html.*{re.escape(name)}"):
        toy_report.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_page_needs_nothing_from_elsewhere(page):
    links = re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"' >]+)", page)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "<script" not in page
    assert "@import" not in page
    # Names of XML vocabularies are no addresses that a browser opens.
    addresses = set(re.findall(r"https?://[^\"'<> ]+", page))
    assert all(address.startswith("http://www.w3.org/") for address in addresses)
    assert all(f"#{name}" in page for name in re.findall(r"url\(#([^)]+)\)", page))


def test_the_page_escapes_names(page):
    assert "<b>bold" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "pipe|d &amp; $x^2$" in page


def test_the_page_is_well_formed(page):
    class Checker(HTMLParser):
        void = ("meta", "br")

        def __init__(self):
            super().__init__()
            self.open = []
            self.seen = []

        def handle_starttag(self, tag, attrs):
            self.seen.append(tag)
            if tag not in self.void:
                self.open.append(tag)

        def handle_startendtag(self, tag, attrs):
            self.seen.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.seen.count("svg") == 3
    assert checker.seen.count("table") == 5
    assert page.startswith("<!doctype html>")
    assert 'charset="utf-8"' in page


def test_without_matplotlib_the_page_says_what_to_install(toy_report, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(OptionalDependencyError, match=r"pip install 'avengers-router\[plot\]'"):
        toy_report.save(tmp_path / "r.html")
    toy_report.save(tmp_path / "r.md")


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "50.0"), (1, "100.0"), (0.12345, "12.3"), (float("nan"), "n/a")]
)
def test_percent(value, text):
    assert rendering.percent(value) == text


def test_the_svg_of_a_picture_keeps_its_text(vile):
    svg = to_svg(plots.tradeoff(vile))
    assert svg.startswith("<svg")
    assert "mean cost of a call, USD" in svg
    assert ">&lt;b&gt;bold&lt;/b&gt;<" in svg
    assert ">pipe|d &amp; $x^2$<" in svg


NAMES = [
    "![x](http://e/p.png)",
    "[a](b)",
    "*a*",
    "_b_",
    "`c`",
    "~~d~~",
    "a|b",
    "<img src=x>",
    "=1+1",
]


def test_names_are_shown_as_they_are_in_every_form():
    rows = [
        {"query": f"q{i}", "records": dict.fromkeys(NAMES, i % 2), "dataset": NAMES[i % 9]}
        for i in range(36)
    ]
    embedder = CallableEmbedder(lambda t: np.ones((len(t), 2)), id="ones", dim=2)
    artifact = fit(rows, embedder, n_clusters=1, refine=False)
    report = evaluate(Router(artifact, embedder), rows, [0.5])
    markdown, page = report.to_markdown(), to_html(report)
    for live in ("![x](", "[a](b)", "http://", "| *a* ", "| _b_ ", "`c`", "<img"):
        assert live not in markdown
    assert r"\[a\](b)" in markdown
    assert "<img" not in page
    ElementTree.fromstring(re.search(r"<svg.*?</svg>", page, re.DOTALL)[0])
