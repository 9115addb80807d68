"""Input files of any number and size, cut into parts that are read on their own.

A part of a file of JSON lines is a range of its bytes that starts and ends with a line; of a
Parquet file, a range of its rows; a compressed file is one part. Reading a part holds one row, or a
few thousand of Parquet, in memory.
"""

from __future__ import annotations

import glob
import io
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from avengers_core.errors import RecordError
from avengers_core.records.parquet import open_file, parquet_file
from avengers_core.records.record import RecordProblem, numbered_lines, read_lines

Inputs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Row = bytes | Mapping[str, Any] | RecordProblem

PART_BYTES = 8 * 1024 * 1024
# Rows are worked on in batches of no more than this, however long they are.
BATCH_BYTES = 16 * 1024 * 1024
_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz", ".parquet")
# In the folders of jobs and artifacts.
_OWN = frozenset({"job.json", "artifact.json"})
_NESTED = ("records", "usages")
_COLUMNS = ("query", *_NESTED, "dataset", "index")
_PARQUET_ROWS = 2048
# Each piece of a row group is found by decoding those before it.
_MOST_PIECES = 16
_CHUNK = 1 << 20


class Part(NamedTuple):
    """A piece of an input file.

    Attributes:
        file: its path, or its address (``s3://...``) where pyarrow knows the file system.
        kind: how it is read.
        start: first byte, or row of a Parquet file, from 0.
        stop: and the first that is not of this part any more.
        first_row: rows of the file before this part.
    """

    file: str
    kind: Literal["lines", "gzip", "parquet"]
    start: int
    stop: int
    first_row: int = 0


def plan(inputs: Inputs, part_bytes: int = PART_BYTES) -> list[Part]:
    """Cut files into parts, in the order given; the files of a folder or pattern by name.

    Args:
        inputs: paths of files or folders, patterns (``logs/*.parquet``, ``logs/**/*.jsonl``), or
            addresses of files that pyarrow can open (``s3://bucket/file.parquet``).
        part_bytes: about how large a part is to be, bytes (of Parquet, before compression).

    Raises:
        RecordError: a pattern or folder without files.
        OSError: a file cannot be read.
    """
    if part_bytes < 1:
        raise ValueError(f"part_bytes must be at least 1, got {part_bytes}")
    return [part for file in expand(inputs) for part in _cut(file, part_bytes)]


def expand(inputs: Inputs) -> list[str]:
    """The files that paths, folders and patterns stand for, each once."""
    given = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    files: dict[str, str] = {}
    for path in given:
        item = os.fspath(path)
        if "://" in item or Path(item).is_file():
            found = [item]
        elif Path(item).is_dir():
            found = sorted(str(p) for p in _inputs_in(Path(item)))
        else:
            found = sorted(p for p in glob.glob(item, recursive=True) if Path(p).is_file())
        if not found:
            raise RecordError(
                f"no input file at {item!r}; expected a file, a pattern that matches files, or a "
                f"folder with files ending in {', '.join(_ENDINGS)}"
            )
        for file in found:
            files.setdefault(file if "://" in file else os.path.realpath(file), file)
    return list(files.values())


def state(file: str) -> list[int]:
    """Size in bytes and time of the last change in ns, by which a changed file is noticed."""
    if "://" not in file:
        found = Path(file).stat()
        return [found.st_size, found.st_mtime_ns]
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(file)
    info = system.get_file_info(path)
    return [info.size or 0, info.mtime_ns or 0]


def read(part: Part) -> Iterator[tuple[int, Row]]:
    """The rows of a part with their numbers in the file, from 1, blank lines left out.

    A row is a line of bytes, a mapping from a Parquet file, or a problem in place of a row that
    cannot be read.
    """
    if part.kind == "parquet":
        yield from _parquet_numbered(part)
        return
    with open_file(part.file) as file:
        stream: IO[bytes] = file
        if part.kind == "lines":
            stream = io.BufferedReader(_Range(file, part.start, part.stop), _CHUNK)
        yield from numbered_lines(stream, part.first_row)


def numbered(parts: Sequence[Part], lines: Iterable[int]) -> list[Part]:
    """The parts with ``first_row`` filled in from how many lines each has."""
    counted: dict[str, int] = {}
    done = []
    for part, n in zip(parts, lines, strict=True):
        before = counted.get(part.file, 0)
        done.append(part._replace(first_row=before))
        counted[part.file] = before + n
    return done


def count_rows(part: Part) -> int:
    """How many rows a part has, blank lines included."""
    if part.kind == "parquet":
        return part.stop - part.start
    if part.kind == "gzip":
        with open_file(part.file) as file:
            return sum(1 for _ in read_lines(file))
    with open_file(part.file) as file:
        reader = io.BufferedReader(_Range(file, part.start, part.stop), _CHUNK)
        newlines, last = 0, b"\n"
        while chunk := reader.read(_CHUNK):
            newlines += chunk.count(b"\n")
            last = chunk[-1:]
    return newlines + (last != b"\n")


def _cut(file: str, part_bytes: int) -> Iterator[Part]:
    with open_file(file) as stream:
        magic = stream.read(4)
        size = stream.seek(0, os.SEEK_END)
        if magic[:2] == b"\x1f\x8b":
            yield Part(file, "gzip", 0, size)
        elif magic == b"PAR1":
            for first, stop in _row_ranges(parquet_file(file).metadata, part_bytes):
                yield Part(file, "parquet", first, stop)
        else:
            start = 0
            while start < size:
                stop = _next_line(stream, min(start + part_bytes, size), size)
                yield Part(file, "lines", start, stop)
                start = stop


def _inputs_in(folder: Path) -> Iterator[Path]:
    """The input files of a folder and those in it, but for what this package itself wrote there."""
    for path, folders, names in os.walk(folder):
        if path != os.fspath(folder) and _OWN & set(names):
            folders.clear()
            continue
        yield from (f for n in names if n not in _OWN and _is_input(f := Path(path, n)))


def _is_input(file: Path) -> bool:
    name = file.name.lower()
    return name.endswith(_ENDINGS) and not name.startswith(".") and file.is_file()


def _row_ranges(metadata: Any, part_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about so many bytes: small row groups together, large ones in pieces."""
    start = row = size = 0
    for g in range(metadata.num_row_groups):
        group = metadata.row_group(g)
        n, total = group.num_rows, group.total_byte_size
        if size and size + total > part_bytes:
            yield start, row
            start, size = row, 0
        row, size = row + n, size + total
        pieces = min(math.ceil(total / part_bytes), _MOST_PIECES, n)
        if pieces > 1:
            edges = [row - n + n * i // pieces for i in range(pieces + 1)]
            yield from itertools.pairwise(edges)
            start, size = row, 0
    if row > start:
        yield start, row


def _next_line(stream: IO[bytes], position: int, size: int) -> int:
    """The first byte at or after a position with which a line starts."""
    stream.seek(position - 1)
    while chunk := stream.read(64 * 1024):
        at = chunk.find(b"\n")
        if at >= 0:
            return stream.tell() - len(chunk) + at + 1
    return size


class _Range(io.RawIOBase):
    """A range of another stream's bytes."""

    def __init__(self, stream: IO[bytes], start: int, stop: int) -> None:
        self._stream = stream
        self._left = stop - start
        stream.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _parquet_numbered(part: Part) -> Iterator[tuple[int, Row]]:
    number = part.first_row
    try:
        for row in _parquet_rows(part):
            number += 1
            yield number, row
    except (OSError, ValueError) as error:
        if "://" in part.file:  # the network may have failed, and will be there again
            raise RecordError(
                f"{part.file}: cannot be read from row {number + 1} on ({error})"
            ) from error
        # A damaged page: what was read so far is good, the rest of the part cannot be.
        last = part.first_row + part.stop - part.start
        reason = f"the file cannot be read from here to row {last} ({error})"
        yield number + 1, RecordProblem(number + 1, reason, "")


def _parquet_rows(part: Part) -> Iterator[Mapping[str, Any]]:
    file = parquet_file(part.file)
    groups, first, size, row = [], part.start, 0, 0
    for g in range(file.num_row_groups):
        group = file.metadata.row_group(g)
        if row < part.stop and row + group.num_rows > part.start:
            first = min(first, row)
            groups.append(g)
            size = max(size, group.total_byte_size // group.num_rows)
        row += group.num_rows
    skip, left = part.start - first, part.stop - part.start
    n = max(1, min(_PARQUET_ROWS, BATCH_BYTES // max(size, 1)))
    for batch in file.iter_batches(n, row_groups=groups, columns=_COLUMNS):
        rows = batch.slice(skip, left)
        skip, left = max(0, skip - len(batch)), left - len(rows)
        columns = {
            name: _values(column, nested=name in _NESTED)
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
        }
        found = zip(*columns.values(), strict=True) if columns else [()] * len(rows)
        for values in found:
            yield {k: v for k, v in zip(columns, values, strict=True) if v is not None}
        if not left:
            return


def _values(array: Any, nested: bool) -> list[Any]:
    """An Arrow array as a list of what JSON would have; ``nested``: text is JSON itself."""
    from pyarrow import float64, large_binary, types

    if types.is_struct(array.type):
        # Leaf by leaf it is ten times as fast as to_pylist().
        names = [field.name for field in array.type]
        leaves = zip(*(_values(leaf, nested) for leaf in array.flatten()), strict=True)
        return [
            {k: v for k, v in zip(names, values, strict=True) if v is not None} for values in leaves
        ]
    if types.is_decimal(array.type):
        array = array.cast(float64())
    try:
        values: list[Any] = array.to_pylist(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        array = array.cast(large_binary())
        values = array.to_pylist()
    if types.is_binary(array.type) or types.is_large_binary(array.type):
        # Text, to writers that do not mark it as such.
        values = [None if v is None else v.decode(errors="replace") for v in values]
    return values if not nested or types.is_primitive(array.type) else [_plain(v) for v in values]


def _plain(value: Any) -> Any:
    """Mappings from JSON in text; from structs and maps without their empty fields."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value  # the record's validation says what is wrong with it
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    return float(value) if isinstance(value, Decimal) else value
