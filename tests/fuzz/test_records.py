"""Whatever a file holds, each of its rows is a record or a problem that can be printed."""

from __future__ import annotations

import gzip
import io
import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import AvengersError, Router, bulk, evaluate, fit, load_records
from avengers_core.embedders import CallableEmbedder
from avengers_core.records import Record

from .conftest import EDITS, altered, cases, check_message, damaged
from .test_artifacts import embed

ROWS = [
    {
        "query": f"query {'a' * (i % 5)} {i}",
        "records": {"good": i % 2, "cheap": None if i % 5 == 0 else 0.5},
        "usages": {"good": {"cost": 0.01, "prompt_tokens": 5, "completion_tokens": 7}},
        "dataset": f"d{i % 2}",
        "index": i,
    }
    for i in range(12)
]
LINES = "\n".join(map(json.dumps, ROWS)).encode()
EMBEDDER = CallableEmbedder(embed, id="fuzz", dim=3)


def check(content: bytes) -> None:
    records = load_records(io.BytesIO(content))
    for problem in records.problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 1000
    for record in records:
        assert all(name.isprintable() for name in (*record.scores, record.dataset))
        Record.model_validate_json(record.model_dump_json(by_alias=True))


@cases(1500)
@given(EDITS)
def test_bytes(edits):
    check(damaged(edits, LINES))


@cases(500)
@given(EDITS)
def test_bytes_of_a_compressed_file(edits):
    check(damaged(edits, gzip.compress(LINES, mtime=0)))


@cases(1500)
@given(st.data())
def test_values(data):
    row = altered(data, data.draw(st.sampled_from(ROWS)))
    check(json.dumps(row).encode())
    if isinstance(row, str):
        return  # taken for a path
    (got,) = (*load_records([row]), *load_records([row]).problems)
    assert isinstance(got, Record) or str(got).isprintable()


@cases(150)
@given(st.data())
def test_what_is_read_can_be_fitted_evaluated_and_saved(tmp_path_factory, data):
    at = data.draw(st.integers(0, len(ROWS) - 1))
    row = altered(data, ROWS[at])
    if isinstance(row, str):
        return  # taken for a path
    rows = [*ROWS[:at], row, *ROWS[at + 1 :]]
    folder = tmp_path_factory.getbasetemp() / "fitted"
    try:
        artifact = fit(rows, EMBEDDER, n_clusters=2, refine=False)
        artifact.save(folder)
        report = evaluate(Router(artifact, EMBEDDER), rows, [0.0, 1.0])
    except AvengersError as error:
        check_message(error)
        return
    assert report.to_markdown()
    json.dumps(report.to_dict())


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    file = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    write_table(pa.Table.from_pylist(ROWS), file)
    return file


@cases(700)
@given(EDITS)
def test_bytes_of_parquet(parquet, tmp_path_factory, edits):
    file = tmp_path_factory.getbasetemp() / "damaged.parquet"
    file.write_bytes(damaged(edits, parquet.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            bulk.fit([file], EMBEDDER, n_clusters=2, refine=False, engine="serial")
        except (AvengersError, OSError) as error:
            # Without rows it may be whole.
            check_message(error, *([] if "0 rows" in str(error) else [file.name]))
