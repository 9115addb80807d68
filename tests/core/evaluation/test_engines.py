"""An evaluation by parts adds up to that in memory."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from avengers_core import RecordError, bulk, evaluate
from avengers_core.routing.scoring.calibrated import CalibratedScorer

SMALL = 4_000  # bytes a part: many parts of little


def test_evaluation_adds_up_to_that_in_memory(folder, rows, in_memory):
    asked = {"n": 2, "max_cost": 0.001, "on_empty": "relax"}
    found, problems = bulk.evaluate(
        in_memory, folder, [0.2, 0.8], engine="serial", part_bytes=SMALL, **asked
    )
    expected = evaluate(in_memory, rows, [0.2, 0.8], **asked)
    assert found.n_queries == 240
    assert found.setup == {**expected.setup, "input": [str(folder)]}
    assert problems.count == 2
    assert [r.name for r in found.rows] == [r.name for r in expected.rows]
    for one, other in zip(found.rows, expected.rows, strict=True):
        assert one.accuracy == pytest.approx(other.accuracy)
        assert one.total_cost == pytest.approx(other.total_cost)
        assert one.shares == pytest.approx(other.shares)
    assert [r.kind for r in found.rows[-2:]] == ["team", "team"]
    assert 0 < found.relaxed == expected.relaxed < 240
    assert found.aiq == pytest.approx(expected.aiq, abs=0.02)
    assert "best single" in found.to_markdown()


@pytest.mark.usefixtures("undrawn")
def test_the_curve_is_known_at_some_alphas(folder, in_memory, tmp_path):
    found, _ = bulk.evaluate(in_memory, folder, [0.5], engine="serial")
    path = found.curve.path
    assert not path.exact
    assert not hasattr(path, "totals"), "of which only sums are known"
    np.testing.assert_allclose(path.shares(3).sum(axis=1), 1)
    half = int(np.flatnonzero(path.alphas == 0.5)[0])
    assert path.edges[half] < 0.5 < path.edges[half + 1]
    assert path.shares(3)[half].tolist() == list(found.at(0.5).shares.values())
    found.save(tmp_path / "report.html")


def test_what_a_query_looks_like_is_found_once_for_all_alphas(folder, in_memory, monkeypatch):
    made = []
    features = CalibratedScorer.features
    monkeypatch.setattr(
        CalibratedScorer, "features", lambda *a: made.append(len(a[1].vectors)) or features(*a)
    )
    bulk.evaluate(in_memory, folder, engine="serial")
    assert sum(made) == 240


def test_mistakes_are_found_before_the_work(in_memory):
    with pytest.raises(ValueError, match=r"alpha.*\b2\b"):
        bulk.evaluate(in_memory, "nowhere", [2], engine="serial")
    with pytest.raises(ValueError, match=r"\['nobody'\]"):
        bulk.evaluate(in_memory, "nowhere", engine="serial", exclude=["nobody"])


def test_records_that_do_not_fit_are_found_before_the_work(folder, in_memory, tmp_path):
    with pytest.raises(ValueError, match=r"\['typo'\].*\['greek', 'other'\]"):
        bulk.evaluate(in_memory, folder, engine="serial", excluded_datasets=["typo"])
    (tmp_path / "r.jsonl").write_text('{"query": "q", "records": {"other": 1, "odd": null}}')
    for evaluated in (evaluate, partial(bulk.evaluate, engine="serial")):
        with pytest.raises(RecordError, match=r"\['good', 'cheap', 'odd'\]"):
            evaluated(in_memory, tmp_path / "r.jsonl")
