"""Reading of files of rows."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import import_records
from avengers_core.importers.values import number

ROW = {"query": "q", "model_name": "m", "performance": 1}


def test_rows_under_data_that_are_no_objects_are_reported(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"data": [1, ROW, "x", None]}))
    records = load_records(import_records(tmp_path / "r.json"))
    assert len(records) == 1
    assert [str(p) for p in records.problems] == [
        "line 1: r.json: expected an object: 1",
        "line 3: r.json: expected an object: x",
        "line 4: r.json: expected an object: None",
    ]


def test_an_array_that_breaks_off_is_refused_and_it_says_where(tmp_path: Path) -> None:
    whole = json.dumps([ROW, ROW], indent=1)
    (tmp_path / "r.json").write_text(whole[: whole.index("model_name", 40)])
    with pytest.raises(RecordError, match=r"r\.json.*line 9"):
        list(import_records(tmp_path / "r.json"))


def test_long_cells_are_read_where_a_c_long_has_32_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []
    original = csv.field_size_limit

    def field_size_limit(*limit: int) -> int:
        if limit and limit[0] > 2**31 - 1:  # as on Windows
            raise OverflowError("Python int too large to convert to C long")
        limits.extend(limit)
        return original(*limit)

    monkeypatch.setattr(csv, "field_size_limit", field_size_limit)
    before = original(131_072)
    try:
        file = tmp_path / "r.csv"
        file.write_text(f"query,model_name,performance\n{'long ' * 100_000},m,1\n")
        (record,) = load_records(import_records(file))
    finally:
        original(before)
    assert len(record.query) == 500_000
    assert limits


@pytest.mark.parametrize(
    ("separator", "ending"),
    [(",", "csv"), (";", "csv"), (";", "csv.gz"), ("\t", "csv"), ("\t", "tsv")],
)
def test_tables_of_any_separator(tmp_path: Path, separator: str, ending: str) -> None:
    lines = (ROW.keys(), ("a; b, c?", "m", "1"))
    cells = [[f'"{cell}"' if " " in cell else cell for cell in line] for line in lines]
    content = "\ufeff" + "\r\n".join(map(separator.join, cells))
    file = tmp_path / f"r.{ending}"
    file.write_bytes(gzip.compress(content.encode()) if "gz" in ending else content.encode())
    (record,) = load_records(import_records(file))
    assert (record.query, record.scores) == ("a; b, c?", {"m": 1})


@pytest.mark.parametrize("name", ["r.csv", "r.json", "r.jsonl"])
def test_utf_16_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(ROW), encoding="utf-16")
    with pytest.raises(RecordError, match=rf"{name}.*UTF-16"):
        list(import_records(tmp_path / name))


def test_problems_are_fit_to_be_printed(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(f"{json.dumps(ROW)}\n\x1b[31mred {'x' * 200}\n")
    (problem,) = load_records(import_records(tmp_path / "r.jsonl")).problems
    assert str(problem).isprintable()
    assert len(problem.excerpt) == 80


@pytest.mark.parametrize("value", [[1], {}, "x", 10**400, "1,5", object()])
def test_what_is_no_number_is_said(value: object) -> None:
    with pytest.raises(ValueError, match="number"):
        number(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (" NaN ", None), ("", None), ("True", 1), (False, 0), (" 0.5", 0.5), (b"1", 1)],
)
def test_numbers(value: object, expected: float | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"columns": ["q", "ok"], "data": [["Why?", 1], ["Who?", 0]]},
        {"0": {"q": "Why?", "ok": 1}, "1": {"q": "Who?", "ok": 0}},
        {"testCases": [{"q": "Why?", "ok": 1}, {"q": "Who?", "ok": 0}], "testPassed": 1},
        {"events": [{"q": "Why?", "ok": 1}, {"q": "Who?", "ok": 0}], "cursor": None},
        {"object": "list", "data": [{"q": "Why?", "ok": 1}, {"q": "Who?", "ok": 0}]},
    ],
)
def test_rows_that_lie_in_one_object(tmp_path: Path, content: dict[str, object]) -> None:
    (tmp_path / "r.json").write_text(json.dumps(content))
    fields = {"query": "q", "score.m": "ok"}
    records = load_records(import_records(tmp_path / "r.json", mapping=fields))
    assert [(r.query, r.scores) for r in records] == [("Why?", {"m": 1}), ("Who?", {"m": 0})]
