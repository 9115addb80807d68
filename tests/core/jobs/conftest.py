"""Records in files of every kind, and what one process in memory makes of them."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avengers_core import fit


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


@pytest.fixture(scope="session")
def decisions():
    """Reads back what a job of routing wrote."""

    def read(written):
        return [json.loads(line) for file in written.files for line in file.open()]

    return read
