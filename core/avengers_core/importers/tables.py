"""Files of rows: CSV, JSON, JSON lines, Parquet; plain or gzip; one or a folder of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.parquet import parquet_file
from avengers_core.records import RecordProblem

Row = Mapping[str, Any]
KINDS = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"}


def endings(path: Path) -> set[str]:
    """The endings of a file's name that say what it is."""
    return {suffix.lower() for suffix in path.suffixes[-2:]}


def files(path: Path) -> list[Path]:
    """The files of rows under a path, by name.

    Raises:
        RecordError: there are none.
    """
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_file() and endings(p) & KINDS)
    if not found:
        raise RecordError(f"{path} holds no file ending in {', '.join(sorted(KINDS))}")
    return found


def rows(path: Path) -> Iterator[Row | RecordProblem]:
    """The rows of one file; a problem in place of a row that can not be read.

    Raises:
        RecordError: the whole file can not be.
    """
    kinds = endings(path)
    if ".parquet" in kinds:
        for batch in parquet_file(str(path)).iter_batches(2048):
            yield from batch.to_pylist(maps_as_pydicts="lossy")
    elif kinds & {".csv", ".tsv"}:
        yield from _table(path, "\t" if ".tsv" in kinds else ",")
    else:
        yield from _json(path)


def first_row(path: Path) -> Row:
    """The first row that can be read.

    Raises:
        RecordError: there is none.
    """
    for file in files(path):
        for row in rows(file):
            if isinstance(row, Mapping):
                return row
    raise RecordError(f"{path} holds no row that can be read")


def parsed(value: Any) -> Any:
    """A value that may be JSON in text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def number(value: Any) -> float | None:
    """A number that may be text, or None where there is none.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in ("", "none", "nan", "null"):
            return None
        if value.lower() in ("true", "false"):
            return float(value.lower() == "true")
    if value is None:
        return None
    result = float(value)
    return None if result != result else result  # noqa: PLR0124 -- NaN, a gap of pandas


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise RecordError(f"{path}: not a readable gzip file ({error})") from error
    return data.decode("utf-8-sig", "replace")


def _table(path: Path, delimiter: str) -> Iterator[Row | RecordProblem]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.DictReader(
        io.StringIO(_text(path).replace("\0", ""), newline=""), delimiter=delimiter
    )
    try:
        for row in reader:
            if None in row or None in row.values():
                columns, extra = len(reader.fieldnames or ()), row.pop(None, None) or []
                cells = [cell for cell in (*row.values(), *extra) if cell is not None]
                yield RecordProblem(
                    reader.line_num,
                    f"{path.name}: expected {columns} columns, got {len(cells)}",
                    ",".join(cells)[:80],
                )
            else:
                yield row
    except csv.Error as error:
        yield RecordProblem(reader.line_num, f"{path.name}: {error}", "")


def _json(path: Path) -> Iterator[Row | RecordProblem]:
    text = _text(path)
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, Mapping):
        # The answer of a web API keeps its rows under one key.
        data = content.get("data")
        yield from data if isinstance(data, list) else [content]
    elif isinstance(content, list):
        for i, item in enumerate(content, 1):
            yield item if isinstance(item, Mapping) else _bad(path, i, "expected an object", item)
    else:
        for i, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except ValueError as error:
                yield _bad(path, i, f"not JSON ({error})", line)
                continue
            yield item if isinstance(item, Mapping) else _bad(path, i, "expected an object", item)


def _bad(path: Path, line: int, reason: str, item: Any) -> RecordProblem:
    return RecordProblem(line, f"{path.name}: {reason}", str(item)[:80])
