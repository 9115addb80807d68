"""Files of rows: CSV, JSON, JSON lines, Parquet; plain or gzip. None is trusted to fit."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from avengers_core.errors import OptionalDependencyError, RecordError
from avengers_core.importers.reading.zips import eval_log
from avengers_core.importers.values import UNFIT
from avengers_core.records.record import RecordProblem, problem
from avengers_core.records.sources.parquet import parquet_file
from avengers_core.records.sources.streams import widen_cells

Row = Mapping[str, Any]

KINDS = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".eval"}
_NO_OBJECT = "expected an object"
_LFS = "version https://git-lfs"


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
    """The rows of one file; a problem in place of a row that cannot be read.

    Raises:
        RecordError: the whole file cannot be.
    """
    for _, row in numbered_rows(file):
        yield row


def numbered_rows(file: File) -> Iterator[tuple[int, Row | RecordProblem]]:
    """Like :func:`rows`, with their numbers: lines of tables and JSON lines, else positions."""
    kinds = endings(file.name)
    if ".parquet" in kinds:
        yield from enumerate(_parquet(file), 1)
    elif ".eval" in kinds:
        yield from enumerate(eval_log(file.path, str(file.name)), 1)
    elif kinds & {".csv", ".tsv"}:
        yield from _table(file, "\t" if ".tsv" in kinds else ",")
    else:
        yield from _json(file)


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
    text = data.decode("utf-8-sig", "replace")
    if text.startswith(_LFS):
        raise RecordError(
            f"{file.name}: holds no data but where Git LFS keeps it: `git lfs pull` fetches it"
        )
    return text


def _table(file: File, delimiter: str) -> Iterator[tuple[int, Row | RecordProblem]]:
    widen_cells()
    reader = csv.DictReader(
        io.StringIO(_text(file).replace("\0", ""), newline=""), delimiter=delimiter
    )
    try:
        for row in reader:
            if None in row or None in row.values():
                columns, extra = len(reader.fieldnames or ()), row.pop(None, None) or []
                cells = [cell for cell in (*row.values(), *extra) if cell is not None]
                reason = f"expected {columns} columns, got {len(cells)}"
                rejected = unfit(file, reader.line_num, reason, ",".join(cells))
                yield reader.line_num, rejected
            else:
                yield reader.line_num, row
    except csv.Error as error:
        yield reader.line_num, unfit(file, reader.line_num, str(error), "")


def _json(file: File) -> Iterator[tuple[int, Row | RecordProblem]]:
    text = _text(file)
    try:
        content = json.loads(text)
    except (RecursionError, ValueError):
        content = None
    # The answer of a web API keeps its rows under one key.
    if isinstance(content, Mapping) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, Mapping):
        content = [content]
    if isinstance(content, list):
        for i, item in enumerate(content, 1):
            yield i, item if isinstance(item, Mapping) else unfit(file, i, _NO_OBJECT, item)
    else:
        yield from _lines(file, text)


def _lines(file: File, text: str) -> Iterator[tuple[int, Row | RecordProblem]]:
    """One object a line, or several lines an object, as consoles print them."""
    decoder = json.JSONDecoder()
    number, start = 1, 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line, here = text[start:end], number
        if line.strip():
            item: Any
            try:
                item = json.loads(line)
            except RecursionError as error:
                item = unfit(file, here, error, line)
            except ValueError as error:
                item = unfit(file, here, f"not JSON ({error})", line)
                if line.strip() == "{":
                    with suppress(RecursionError, ValueError):
                        item, stop = decoder.raw_decode(text, text.index("{", start))
                        end = max(text.find("\n", stop), stop)
            if not isinstance(item, Mapping | RecordProblem):
                item = unfit(file, here, _NO_OBJECT, item)
            yield here, item
        number += text.count("\n", start, end) + 1
        start = end + 1
