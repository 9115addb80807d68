"""What is done to a part keeps little in memory."""

from __future__ import annotations

import pytest

from avengers_core.jobs.queries import query_rows
from avengers_core.records.sources.parts import plan


def test_long_rows_make_small_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("avengers_core.scanning.batches.BATCH_BYTES", 1000)
    (tmp_path / "q.txt").write_text("\n".join(["x" * 400] * 10))
    (part,) = plan(tmp_path / "q.txt")
    assert [len(queries) for queries, _ in query_rows(part)] == [3, 3, 3, 1]


@pytest.mark.parametrize("layout", ["%s", "%s\n", "[%s]"])
def test_half_a_surrogate_pair_costs_no_row(tmp_path, layout):
    (tmp_path / "q.json").write_text(layout % '{"query": "cut \\ud83d here"}')
    (part,) = plan(tmp_path / "q.json")
    ((queries, bad),) = query_rows(part)
    assert queries == {1: "cut \N{REPLACEMENT CHARACTER} here"}
    assert bad == {}
