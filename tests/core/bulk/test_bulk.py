"""Files of any size: every engine gives what one process in memory gives."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import AvengersError, RecordError, Router, bulk, evaluate, fit, load_records
from avengers_core.bulk import files as module
from avengers_core.bulk.files import count_rows, numbered, plan, read

SMALL = 4_000  # bytes a part: many parts of little


@pytest.fixture(scope="module")
def rows(make_records):
    return make_records(240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, rows):
    """The rows as plain, compressed and Parquet files, with two bad rows among them."""
    path = tmp_path_factory.mktemp("logs")
    lines = [json.dumps(r) for r in rows]
    plain = [*lines[:60], '{"query": "cut', "", *lines[60:100]]
    (path / "1.jsonl").write_text("\ufeff" + "\r\n".join(plain))
    (path / "2.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[100:160]).encode()))
    table = [
        {**r, "records": json.dumps(r["records"]), "usages": json.dumps(r["usages"])}
        for r in rows[160:200]
    ]
    table.append({**table[0], "records": '{"good": 7}'})
    pq.write_table(pa.Table.from_pylist(table), path / "3.parquet", row_group_size=13)
    pq.write_table(pa.Table.from_pylist(rows[200:]), path / "4.parquet", row_group_size=50)
    return path


@pytest.fixture(scope="module")
def in_memory(rows):
    return fit(rows, n_clusters=6)


def assert_same(one, other):
    assert one.models == other.models
    assert one.datasets == other.datasets
    np.testing.assert_array_equal(one.centroids, other.centroids)
    pairs = [
        (one.statistics.arrays(), other.statistics.arrays()),
        (one.refinement.arrays(), other.refinement.arrays()),
    ]
    for mine, others in pairs:
        for name, values in mine.items():
            np.testing.assert_allclose(values, others[name], atol=1e-9, err_msg=name)


# -- parts ---------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)), st.integers(1, 60))
def test_parts_of_a_file_hold_each_line_once(tmp_path_factory, texts, part_bytes):
    lines = [json.dumps({"t": text}).encode() for text in texts]
    file = tmp_path_factory.mktemp("part") / "f.jsonl"
    file.write_bytes(b"\n".join(lines))
    parts = plan(file, part_bytes)
    parts = numbered(parts, [count_rows(part) for part in parts])
    found = [row for part in parts for row in read(part)]
    assert found == list(enumerate(lines, 1))


def test_a_file_of_one_line_or_none(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    assert plan(tmp_path / "empty.jsonl") == []
    (tmp_path / "one.jsonl").write_text("x" * 1000)
    parts = plan(tmp_path / "one.jsonl", 10)
    assert [(p.start, p.stop) for p in parts] == [(0, 1000)]


def test_files_folders_patterns_and_addresses(folder, tmp_path):
    assert [Path(f).name for f in module.expand(folder)] == [
        "1.jsonl",
        "2.jsonl.gz",
        "3.parquet",
        "4.parquet",
    ]
    assert len(module.expand([f"{folder}/*.parquet", folder / "1.jsonl", folder])) == 4
    address = f"file://{folder}/4.parquet"
    assert len(list(read(plan(address)[0]))) == 40
    address = f"file://{folder}/2.jsonl.gz"
    assert len(list(read(plan(address)[0]))) == 60
    with pytest.raises(RecordError, match="no input file at"):
        plan(f"{folder}/*.xls")
    with pytest.raises(RecordError, match="no input file at"):
        plan(tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(RecordError, match="not a readable Parquet file"):
        plan(tmp_path / "bad.parquet")


# -- fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_every_engine_gives_what_memory_gives(folder, in_memory, engine):
    found = bulk.fit(folder, n_clusters=6, engine=engine, workers=2, part_bytes=SMALL)
    assert found.records == 240
    assert_same(found.artifact, in_memory)
    assert found.problems.count == 2
    where = [(Path(p.file).name, p.row) for p in found.problems.first]
    assert where == [("1.jsonl", 61), ("3.parquet", 41)]
    assert "a number in [0, 1]" in str(found.problems.first[1])


def test_beyond_the_sample_the_engines_still_agree(folder, rows, monkeypatch):
    monkeypatch.setattr("avengers_core.fitting.MAX_SAMPLE", 50)
    monkeypatch.setattr("avengers_core.bulk.fitting.MAX_SAMPLE", 50)
    found = bulk.fit(folder, n_clusters=4, engine="serial", part_bytes=SMALL)
    assert_same(found.artifact, fit(rows, n_clusters=4))
    # Too low a limit is noticed: the sample is then drawn again without one.
    monkeypatch.setattr("avengers_core.bulk.fitting.likely_limit", lambda *_: 1 << 60)
    again = bulk.fit(folder, n_clusters=4, engine="serial", part_bytes=SMALL)
    assert again.artifact == found.artifact


def test_given_centroids_and_left_out_models_and_datasets(folder, rows, in_memory):
    found = bulk.fit(folder, engine="serial", centroids=in_memory)
    assert_same(found.artifact, in_memory)
    chosen = bulk.fit(
        folder,
        n_clusters=2,
        engine="serial",
        excluded_models=["odd"],
        excluded_datasets=["greek"],
    )
    expected = [r for r in rows if r["dataset"] == "other"]
    assert_same(chosen.artifact, fit(expected, n_clusters=2, models=["good", "cheap"]))


def test_missing_as_zero_knows_all_models(tmp_path):
    rows = [{"query": f"q{i}", "records": {"ab"[i % 2]: 1}} for i in range(10)]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = bulk.fit(tmp_path, n_clusters=2, engine="serial", part_bytes=60, missing="zero")
    expected = fit(load_records(rows, missing="zero"), n_clusters=2)
    assert_same(found.artifact, expected)


def test_what_can_not_be_fitted(folder, tmp_path):
    (tmp_path / "r.jsonl").write_text("no\nrecords\n")
    with pytest.raises(RecordError, match="none of the 2 rows is a record"):
        bulk.fit(tmp_path, engine="serial")
    with pytest.raises(RecordError, match=r"no record has the models \['nobody'\]"):
        bulk.fit(folder, engine="serial", models=["nobody"])
    with pytest.raises(ValueError, match="engine must be one of"):
        bulk.fit(folder, engine="steam")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        bulk.fit(folder, workers=0)
    with pytest.raises(AvengersError, match="can not be sent to other processes"):
        bulk.fit(folder, lambda texts: np.ones((len(texts), 2)), engine="processes", workers=1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_worker_that_is_killed_is_replaced(folder, tmp_path):
    # Workers import the job's class, so it has to stand in a module that they find.
    (tmp_path / "dying_jobs.py").write_text(DYING)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(tmp_path / "mark")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines() == ["[0, 10, 20, 30, 40, 50]", "worker processes died 4 times"]


DYING = """
import os, signal
from pathlib import Path

class Dies:
    def __init__(self, mark, forever=False):
        self.mark, self.forever = mark, forever

    def __call__(self, number, part):
        if number == 3 and (self.forever or not os.path.exists(self.mark)):
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 10
"""
SCRIPT = """
import sys
from avengers_core import AvengersError
from avengers_core.bulk.files import plan
from avengers_core.bulk.workers import Workers
from dying_jobs import Dies

if __name__ == "__main__":
    parts = plan(sys.argv[1] + "/1.jsonl", 4000)[:6]
    print(list(Workers("processes", 2).run(Dies(sys.argv[2]), parts, "test")))
    try:
        list(Workers("processes", 2).run(Dies(sys.argv[2], True), parts, "test"))
    except AvengersError as error:
        print(str(error)[:29])
"""


# -- route and embed -----------------------------------------------------------------------------


def decisions(written):
    return [json.loads(line) for file in written.files for line in file.open()]


def test_decisions_are_those_of_route_batch(folder, rows, in_memory, tmp_path):
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


def test_plain_text_is_a_query_a_line(in_memory, tmp_path):
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
    with pytest.raises(AvengersError, match=r"output of another job.*other arguments"):
        route(alpha=0.9)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(AvengersError, match="not empty and not the output"):
        bulk.route(in_memory, folder, tmp_path / "mine", engine="serial")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_job_leaves_whole_files_only(in_memory, tmp_path):
    in_memory.save(tmp_path / "artifact")
    (tmp_path / "q.jsonl").write_text('{"query": "alpha beta"}\n' * 40_000)
    command = [sys.executable, "-m", "avengers_core.cli", "route", "q.jsonl", "-a", "artifact"]
    command += ["--output", "out", "--engine", "serial"]
    process = subprocess.Popen(command, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".tmp-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = [f.read_text().count("\n") for f in (tmp_path / "out").glob("part-*")]
    assert all(n == 40_000 for n in finished)
    subprocess.run(command, cwd=tmp_path, check=True)
    (file,) = (tmp_path / "out").glob("part-*")
    assert file.read_text().count("\n") == 40_000


def test_embedding(folder, in_memory, tmp_path):
    written = bulk.embed(folder, tmp_path / "out", engine="serial")
    assert (written.rows, written.rejected) == (241, 1)
    table = pq.read_table(written.files[0])
    router = Router(in_memory)
    expected = router.embedder.embed(table["query"].to_pylist())
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)
    assert bulk.embed(folder, tmp_path / "out", engine="serial").skipped == len(written.files)


# -- evaluate ------------------------------------------------------------------------------------


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
