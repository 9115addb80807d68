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
from avengers_core.records.sources.kinds import kind_of, no_text, separator_of
from avengers_core.records.sources.parquet import parquet_file
from avengers_core.records.sources.streams import CHUNK, decompressed, table_rows

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

    def beside(self, name: str) -> File:
        """A file in the same folder, whether it is there or not."""
        return File(*(path.parent / name for path in self))


def endings(path: Path) -> set[str]:
    """The endings of a file's name that say what it is."""
    return {suffix.lower() for suffix in path.suffixes[-2:]}


class Place(NamedTuple):
    """Where something was found.

    Attributes:
        file: in which file.
        row: its number there, from 1: a line of a table or of JSON lines, else a position.
    """

    file: File
    row: int

    @property
    def dataset(self) -> str:
        """The file's name without its endings, where nothing else names the dataset."""
        name = self.file.name.name
        return name.split(".")[0] or name

    def problem(self, reason: Exception | str, item: object) -> RecordProblem:
        """What is here does not fit: where it is, why it was not taken, how it begins."""
        if isinstance(reason, RecursionError):
            reason = "nested too deeply"
        elif isinstance(reason, KeyError):
            reason = f"no {reason}"
        elif isinstance(reason, Exception) and not isinstance(reason, ValueError):
            reason = f"{type(reason).__name__}: {reason}"
        return problem(self.row, f"{self.file.label}: {reason}", item)


def rows(file: File) -> Iterator[Row | RecordProblem]:
    """The rows of one file; a problem in place of a row that cannot be read.

    Raises:
        RecordError: the whole file cannot be.
    """
    for row, _ in placed(file):
        yield row


def placed(file: File) -> Iterator[tuple[Row | RecordProblem, Place]]:
    """:func:`rows` with their places."""
    kinds = endings(file.name)
    found: Iterator[tuple[int, Any]]
    if ".parquet" in kinds:
        found = enumerate(_parquet(file), 1)
    elif ".eval" in kinds:
        found = enumerate(eval_log(file.path, str(file.name)), 1)
    elif kinds & {".csv", ".tsv"}:
        found = _table(file, tabs=".tsv" in kinds)
    else:
        found = _json(file)
    for number, row in found:
        place = Place(file, number)
        if isinstance(row, RecordProblem):
            yield place.problem(row.reason, row.excerpt), place
        else:
            yield row if isinstance(row, Mapping) else place.problem(_NO_OBJECT, row), place


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
        RecordError: it is damaged, no text in UTF-8, or holds but where its content is kept.
    """
    try:
        with open_named(file.path) as stream, decompressed(stream) as data:
            head = cast("Any", data).peek(CHUNK)
            if head.startswith(_LFS):
                raise RecordError(
                    f"{file.name}: holds no data but where Git LFS keeps it: `git lfs pull` "
                    f"fetches it"
                )
            if fault := no_text(head):
                raise RecordError(f"{file.name}: {fault}")
            yield data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RecordError(f"{file.name}: not a readable gzip file ({error})") from error


def _table(file: File, tabs: bool) -> Iterator[tuple[int, Row | RecordProblem]]:
    with _opened(file) as data:
        # What is called .csv has semicolons where the comma is the decimal point.
        head = cast("Any", data).peek(CHUNK)
        yield from table_rows(data, "\t" if tabs else separator_of(head, any) or ",")


def _json(file: File) -> Iterator[tuple[int, Any]]:
    with _opened(file) as data:
        is_array = kind_of(cast("Any", data).peek(CHUNK)) == "array"
        text = data.read().decode("utf-8-sig", "replace")
    try:
        content = json.loads(text)
    except RecursionError:
        content = None
    except ValueError as error:
        if is_array:
            raise RecordError(f"{file.name}: not a whole JSON array ({error})") from None
        content = None
    if isinstance(content, Mapping):
        content = _rows_of(content)
    yield from enumerate(content, 1) if isinstance(content, list) else _lines(text)


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


def _lines(text: str) -> Iterator[tuple[int, Any]]:
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
            except RecursionError:
                item = problem(here, "nested too deeply", line)
            except ValueError as error:
                item = problem(here, f"not JSON ({error})", line)
                if line.strip() == "{":
                    with suppress(RecursionError, ValueError):
                        item, stop = decoder.raw_decode(text, text.index("{", start))
                        end = max(text.find("\n", stop), stop)
            yield here, item
        number += text.count("\n", start, end) + 1
        start = end + 1
