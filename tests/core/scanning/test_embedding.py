"""Texts that cannot be embedded do not end a job."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core import EmbedderError, Router, bulk, fit

SMALL = 4_000  # bytes a part: many parts of little


def is_bad(text):
    return text.endswith("7")


def picky(texts):
    """Fails on a batch with a bad text, as endpoints do."""
    if any(map(is_bad, texts)):
        raise RuntimeError("refused for AIzaSy-abcdefgh12345")
    return [[1.0, len(text) % 7, len(text) % 3] for text in texts]


def test_texts_that_can_not_be_embedded_are_problems(decisions, folder, rows, tmp_path):
    bad = sum(is_bad(r["query"]) for r in rows)
    assert 0 < bad < len(rows)
    found = bulk.fit(folder, picky, n_clusters=3, engine="serial", part_bytes=SMALL)
    assert (found.records, found.problems.count) == (240 - bad, 2 + bad)
    (problem, *_) = [p for p in found.problems.first if "could not be embedded" in p.reason]
    assert "refused for AIza***" in problem.reason
    assert next(r["query"] for r in rows if is_bad(r["query"])) in problem.excerpt
    rest = [r for r in rows if not is_bad(r["query"])]
    expected = fit(rest, picky, n_clusters=3)
    np.testing.assert_array_equal(found.artifact.centroids, expected.centroids)
    np.testing.assert_allclose(found.artifact.statistics.score, expected.statistics.score)
    router = Router(found.artifact, picky)
    written = bulk.route(router, folder, tmp_path / "routed", engine="serial")
    errors = [line for line in decisions(written) if "error" in line]
    # One row more than there are records: its query is good, its score is not.
    assert (written.rows, written.rejected) == (241 - len(errors) + 1, len(errors))
    assert sum("refused" in line["error"] for line in errors) == len(errors) - 1 >= bad
    again = bulk.route(router, folder, tmp_path / "routed", engine="serial")
    assert (again.rows, again.rejected) == (written.rows, written.rejected)
    embedded = bulk.embed(folder, tmp_path / "embedded", picky, engine="serial")
    assert (embedded.rows, embedded.rejected) == (written.rows, written.rejected)
    report, problems = bulk.evaluate(router, folder, [0.5], engine="serial")
    assert (report.n_queries, problems.count) == (240 - bad, 2 + bad)


def test_an_embedder_that_fails_on_everything_ends_the_job(folder):
    def broken(texts):
        calls.append(len(texts))
        raise RuntimeError("down")

    calls = []
    with pytest.raises(EmbedderError, match="down"):
        bulk.fit(folder, broken, n_clusters=3, engine="serial")
    assert len(calls) == 2  # the sample, and a text that nobody refuses
