"""Decisions and vectors of whole files; jobs that go on where they were."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from children import child, needs_sigkill, route_and_tell

from avengers_core import AvengersError, Router, bulk

SMALL = 4_000  # bytes a part: many parts of little


def test_decisions_are_those_of_route_batch(decisions, folder, rows, in_memory, tmp_path):
    router = Router(in_memory)
    written = bulk.route(
        router, folder, tmp_path / "out", engine="serial", part_bytes=SMALL, alpha=0.7, n=2
    )
    lines = decisions(written)
    good = [line for line in lines if "error" not in line]
    # The row with a score of 7 has a query all the same.
    assert (written.rows, written.rejected, written.skipped) == (241, 1, 0)
    expected = {
        r["query"]: d
        for r, d in zip(
            rows, router.route_batch([r["query"] for r in rows], alpha=0.7, n=2), strict=True
        )
    }
    for line in good:
        decision = expected[line["query"]]
        assert line["model"] == decision.model
        assert line["models"] == list(decision.models)
        assert line["expected_cost"] == pytest.approx(decision.expected_cost, rel=1e-5)
    (bad,) = [line for line in lines if "error" in line]
    assert (Path(bad["file"]).name, bad["row"]) == ("1.jsonl", 61)
    numbers = [line["row"] for line in lines if line["file"].endswith("1.jsonl")]
    assert numbers == [*range(1, 62), *range(63, 103)]


def test_plain_text_is_a_query_a_line(decisions, in_memory, tmp_path):
    (tmp_path / "q.txt").write_text("alpha beta\nzeta\n")
    written = bulk.route(in_memory, tmp_path / "q.txt", tmp_path / "out", engine="serial")
    assert [line["query"] for line in decisions(written)] == ["alpha beta", "zeta"]


def test_a_job_goes_on_where_it_was(folder, in_memory, tmp_path):
    def route(**options):
        return bulk.route(
            in_memory, folder, tmp_path / "out", engine="serial", part_bytes=SMALL, **options
        )

    first = route()
    before = [file.read_bytes() for file in first.files]
    first.files[2].unlink()
    stamp = first.files[0].stat().st_mtime_ns
    again = route()
    assert (again.rows, again.rejected) == (first.rows, first.rejected)
    assert again.skipped == len(first.files) - 1
    assert [file.read_bytes() for file in again.files] == before
    assert first.files[0].stat().st_mtime_ns == stamp
    with pytest.raises(AvengersError, match="arguments"):
        route(alpha=0.9)
    assert route(alpha=0.5).skipped == len(first.files)  # the default, which was meant before
    changed = folder / "3.parquet"
    stamp = changed.stat()
    os.utime(changed, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    with pytest.raises(AvengersError, match=r"3\.parquet"):
        route()
    os.utime(changed, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(AvengersError, match="mine"):
        bulk.route(in_memory, folder, tmp_path / "mine", engine="serial")


@needs_sigkill
def test_a_killed_job_leaves_whole_files_only(in_memory, tmp_path):
    in_memory.save(tmp_path / "artifact")
    questions, out = tmp_path / "q.jsonl", tmp_path / "out"
    questions.write_text('{"query": "alpha beta"}\n' * 12_000)
    job = (tmp_path / "artifact", questions, out)
    with child(route_and_tell, *job) as (process, pipe):
        while not list(out.glob(".tmp-*")):
            assert not pipe.poll(0.002), "it ended before it could be killed"
    assert process.exitcode == -signal.SIGKILL
    finished = [f.read_text().count("\n") for f in out.glob("part-*")]
    assert all(n == 12_000 for n in finished)
    bulk.route(*job, engine="serial")
    (file,) = out.glob("part-*")
    assert file.read_text().count("\n") == 12_000


def test_embedding(folder, in_memory, tmp_path):
    written = bulk.embed(folder, tmp_path / "out", engine="serial")
    assert (written.rows, written.rejected) == (241, 1)
    table = pq.read_table(written.files[0])
    (bad,) = table.filter(pc.is_valid(table["error"])).to_pylist()
    assert bad["vector"] is None
    assert bad["row"] > 0
    table = table.filter(pc.is_null(table["error"]))
    router = Router(in_memory)
    expected = router.embedder.embed(table["query"].to_pylist())
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)
    again = bulk.embed(folder, tmp_path / "out", engine="serial")
    assert again == written._replace(skipped=len(written.files))
