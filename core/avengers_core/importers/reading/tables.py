"""Files of rows: CSV, JSON, JSON lines, Parquet; plain or gzip. None is trusted to fit."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from avengers_core.common.files import open_named
from avengers_core.errors import OptionalDependencyError, RecordError
from avengers_core.importers.reading.zips import eval_log
from avengers_core.importers.values import UNFIT
from avengers_core.records.record import RecordProblem, problem
from avengers_core.records.sources.parquet import parquet_file
from avengers_core.records.sources.streams import decompressed, table_rows

Row = Mapping[str, Any]

KINDS = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".eval"}
_NO_OBJECT = "expected an object"
_LFS = b"version https://git-lfs"


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
        with parquet_file(str(file.path)) as content:
            for batch in content.iter_batches(2048):
                yield from batch.to_pylist(maps_as_pydicts="lossy")
    except (OptionalDependencyError, RecordError):
        raise
    # Pyarrow's own errors are of these kinds, and so are those of values Python has no type for.
    except (*UNFIT, OSError, NotImplementedError) as error:
        raise RecordError(f"{file.name}: not a readable Parquet file ({error})") from error


@contextmanager
def _opened(file: File) -> Iterator[IO[bytes]]:
    """The bytes of a file, plain or gzip.

    Raises:
        RecordError: it is damaged, or holds but where its content is kept.
    """
    try:
        with open_named(file.path) as stream, decompressed(stream) as data:
            if cast("Any", data).peek(len(_LFS))[: len(_LFS)] == _LFS:
                raise RecordError(
                    f"{file.name}: holds no data but where Git LFS keeps it: `git lfs pull` "
                    f"fetches it"
                )
            yield data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RecordError(f"{file.name}: not a readable gzip file ({error})") from error


def _table(file: File, separator: str) -> Iterator[tuple[int, Row | RecordProblem]]:
    with _opened(file) as data:
        for number, row in table_rows(data, separator):
            if isinstance(row, RecordProblem):
                yield number, unfit(file, number, row.reason, row.excerpt)
            else:
                yield number, row


def _json(file: File) -> Iterator[tuple[int, Row | RecordProblem]]:
    with _opened(file) as data:
        text = data.read().decode("utf-8-sig", "replace")
    try:
        content = json.loads(text)
    except (RecursionError, ValueError):
        content = None
    if isinstance(content, Mapping):
        content = _rows_of(content)
    if isinstance(content, list):
        for i, item in enumerate(content, 1):
            yield i, item if isinstance(item, Mapping) else unfit(file, i, _NO_OBJECT, item)
    else:
        yield from _lines(file, text)


def _rows_of(content: Row) -> list[Any]:
    """The rows in one object: those that it keeps under a key, or itself.

    The answer of a web API keeps them under ``data`` or, with a ``cursor`` for the next ones, under
    ``events``; DeepEval under ``testCases``; pandas writes ``columns`` and lists of values, or an
    object whose keys are the rows' numbers, as OpenCompass does.
    """
    columns, data = content.get("columns"), content.get("data")
    if isinstance(data, list):
        if isinstance(columns, list) and all(isinstance(row, list) for row in data):
            return [dict(zip(map(str, columns), row, strict=False)) for row in data]
        return data
    for key, also in (("testCases", "testCases"), ("events", "cursor")):
        if isinstance(content.get(key), list) and also in content:
            return list(content[key])
    if content and all(str(key).isdecimal() for key in content):
        return list(content.values())
    return [content]


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
