"""An evaluation by parts adds up to that in memory."""

from __future__ import annotations

import pytest

from avengers_core import bulk, evaluate

SMALL = 4_000  # bytes a part: many parts of little


def test_evaluation_adds_up_to_that_in_memory(folder, rows, in_memory):
    found, problems = bulk.evaluate(
        in_memory, folder, [0.2, 0.8], engine="serial", part_bytes=SMALL
    )
    expected = evaluate(in_memory, rows, [0.2, 0.8])
    assert found.n_queries == 240
    assert problems.count == 2
    assert [r.name for r in found.rows] == [r.name for r in expected.rows]
    for one, other in zip(found.rows, expected.rows, strict=True):
        assert one.accuracy == pytest.approx(other.accuracy)
        assert one.total_cost == pytest.approx(other.total_cost)
        assert one.shares == pytest.approx(other.shares)
    assert found.aiq == pytest.approx(expected.aiq, abs=0.02)
    assert not found.curve.path.exact
    assert "best single" in found.to_markdown()
