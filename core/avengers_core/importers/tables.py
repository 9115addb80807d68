"""Files of rows: CSV, JSON, JSON lines, Parquet; plain or gzip. None is trusted to fit."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from avengers_core.errors import OptionalDependencyError, RecordError
from avengers_core.records.parquet import parquet_file
from avengers_core.records.record import RecordProblem, problem

Row = Mapping[str, Any]
T = TypeVar("T")

KINDS = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"}
# What code that expects another type of value raises.
UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_NO_OBJECT = "expected an object"
_LONGEST_CELL = 2**31 - 1  # characters; the most that a C long holds everywhere


class File(NamedTuple):
    """A file of rows.

    Attributes:
        path: where it is read.
        name: where the user finds it; in an archive, the archive's path and its own therein.
        label: the end of the name, beginning with what was to be imported.
    """

    path: Path
    name: Path
    label: Path


def endings(path: Path) -> set[str]:
    """The endings of a file's name that say what it is."""
    return {suffix.lower() for suffix in path.suffixes[-2:]}


def taken(
    files: Iterable[File], take: Callable[[Row, File, int], T]
) -> Iterator[T | RecordProblem]:
    """What ``take`` makes of each row; a problem in place of a row that does not fit.

    Args:
        files: in which order they are read.
        take: called with the row, its file and its number there, from 1.

    Raises:
        RecordError: a whole file can not be read.
    """
    for file in files:
        for i, row in enumerate(rows(file), 1):
            if isinstance(row, RecordProblem):
                yield row
                continue
            try:
                result = take(row, file, i)
            except UNFIT as error:
                yield unfit(file, i, error, row)
            else:
                yield result


def unfit(file: File, row: int, reason: Exception | str, item: object) -> RecordProblem:
    """The problem of a row: where it is, why it was not taken, how it begins."""
    if isinstance(reason, RecursionError):
        reason = "nested too deeply"
    elif isinstance(reason, KeyError):
        reason = f"no {reason}"
    elif isinstance(reason, Exception) and not isinstance(reason, ValueError):
        reason = f"{type(reason).__name__}: {reason}"
    return problem(row, f"{file.label}: {reason}", item)


def rows(file: File) -> Iterator[Row | RecordProblem]:
    """The rows of one file; a problem in place of a row that can not be read.

    Raises:
        RecordError: the whole file can not be.
    """
    kinds = endings(file.name)
    if ".parquet" in kinds:
        yield from _parquet(file)
    elif kinds & {".csv", ".tsv"}:
        yield from _table(file, "\t" if ".tsv" in kinds else ",")
    else:
        yield from _json(file)


def first_row(file: File) -> Row | None:
    """The first row that can be read, or None.

    Raises:
        RecordError: the whole file can not be.
    """
    return next((row for row in rows(file) if isinstance(row, Mapping)), None)


def parsed(value: Any) -> Any:
    """A value that may be JSON in text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return json.loads(value)
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """An object, that may be JSON in text; empty where there is none.

    Raises:
        ValueError: something else, where ``what`` should be.
    """
    found = parsed(value) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"expected an object as {what}, got {str(value)[:40]!r}")
    return found


def text(value: Any, what: str) -> str:
    """A text.

    Raises:
        ValueError: something else, or nothing, where ``what`` should be.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text as {what}, got {str(value)[:40]!r}")
    return value


def number(value: Any) -> float | None:
    """A number that may be text, or None where there is none.

    Raises:
        ValueError: something else.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if word is None or (isinstance(word, str) and word in ("", "none", "nan", "null")):
        return None
    if isinstance(word, str) and word in ("true", "false"):
        return float(word == "true")
    try:
        result = float(word)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(f"expected a number, got {str(value)[:40]!r}") from None
    return None if result != result else result  # noqa: PLR0124 -- NaN, a gap of pandas


def _parquet(file: File) -> Iterator[Row]:
    try:
        for batch in parquet_file(str(file.path)).iter_batches(2048):
            yield from batch.to_pylist(maps_as_pydicts="lossy")
    except (OptionalDependencyError, RecordError):
        raise
    # Pyarrow's own errors are of these kinds, and so are those of values Python has no type for.
    except (*UNFIT, OSError, NotImplementedError) as error:
        raise RecordError(f"{file.name}: not a readable Parquet file ({error})") from error


def _text(file: File) -> str:
    data = file.path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise RecordError(f"{file.name}: not a readable gzip file ({error})") from error
    return data.decode("utf-8-sig", "replace")


def _table(file: File, delimiter: str) -> Iterator[Row | RecordProblem]:
    # The limit is the process's; somebody may have set a higher one.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    reader = csv.DictReader(
        io.StringIO(_text(file).replace("\0", ""), newline=""), delimiter=delimiter
    )
    try:
        for row in reader:
            if None in row or None in row.values():
                columns, extra = len(reader.fieldnames or ()), row.pop(None, None) or []
                cells = [cell for cell in (*row.values(), *extra) if cell is not None]
                reason = f"expected {columns} columns, got {len(cells)}"
                yield unfit(file, reader.line_num, reason, ",".join(cells))
            else:
                yield row
    except csv.Error as error:
        yield unfit(file, reader.line_num, str(error), "")


def _json(file: File) -> Iterator[Row | RecordProblem]:
    text = _text(file)
    try:
        content = json.loads(text)
    except (RecursionError, ValueError):
        content = None
    # The answer of a web API keeps its rows under one key.
    if isinstance(content, Mapping) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, Mapping):
        yield content
    elif isinstance(content, list):
        for i, item in enumerate(content, 1):
            yield item if isinstance(item, Mapping) else unfit(file, i, _NO_OBJECT, item)
    else:
        for i, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except RecursionError as error:
                yield unfit(file, i, error, line)
                continue
            except ValueError as error:
                yield unfit(file, i, f"not JSON ({error})", line)
                continue
            yield item if isinstance(item, Mapping) else unfit(file, i, _NO_OBJECT, item)
