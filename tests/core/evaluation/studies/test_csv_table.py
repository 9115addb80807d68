"""Experiments in a file that grows."""

from __future__ import annotations

import csv
import errno
import os

import pytest

from avengers_core import RecordError
from avengers_core.evaluation.studies.csv_table import CsvTable


def test_no_cell_is_a_formula(tmp_path):
    file, table = tmp_path / "rows.csv", CsvTable()
    table.add({"embedder": "@cf/model", "held_out": "=HYPERLINK(1)", "study": "a-b", "aiq": -0.5})
    table.write(file)
    with file.open(newline="") as lines:
        _, kept = csv.reader(lines)
    assert kept == ["'@cf/model", "'=HYPERLINK(1)", "a-b", "-0.5"]


def test_a_full_disk_costs_no_row_that_was_there(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "rows.csv"
    for append, rows in ((True, 2), (True, 3), (False, 2)):
        table = CsvTable.read(file) if append else CsvTable()
        table.add({"study": "a", "aiq": 1})
        table.write(file)
        before = file.read_bytes()
        assert len(before.splitlines()) == rows
        table.add({"study": "b", "aiq": 2})
        with monkeypatch.context() as patch:
            patch.setattr("avengers_core.common.files.os.fsync", full)
            with pytest.raises(OSError, match=r"rows\.csv"):
                table.write(file)
        assert file.read_bytes() == before
        assert list(tmp_path.iterdir()) == [file]


def test_what_is_read_is_written_again(tmp_path):
    file, table = tmp_path / "rows.csv", CsvTable()
    table.add({"study": 'a "b", c\n', "aiq": None})
    table.add({"study": "=d", "more": 3})
    table.write(file)
    before = file.read_bytes()
    CsvTable.read(file).write(file)
    assert file.read_bytes() == before
    assert CsvTable.read(tmp_path / "nowhere.csv").rows == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"study,aiq\na,\xff\n", "table"),
        (b"name,price\nx,1\n", r"`study`.*'name'"),
        (b"study,aiq\na,1\nb,2,3\n", "row 2"),
        (b"study,aiq\na\n", "row 1"),
    ],
)
def test_nothing_is_appended_to_what_holds_no_experiments(tmp_path, content, why):
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    with pytest.raises(RecordError, match=rf"rows\.csv.*{why}.*append=False"):
        CsvTable.read(file)
