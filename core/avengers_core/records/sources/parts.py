"""Files of any number and size, cut into parts that are read on their own.

A part of a file of JSON lines is a range of its bytes that starts and ends with a line; of a
Parquet file, a range of its rows; a file of another kind, or a compressed one, is one part. Reading
a part holds one row, or a few thousand of Parquet, in memory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Literal, NamedTuple, cast

from avengers_core.common.ranges import check_whole
from avengers_core.errors import RecordError
from avengers_core.records.record import Record
from avengers_core.records.sources.files import Inputs, expand, open_file, public
from avengers_core.records.sources.kinds import GZIP, PARQUET, kind_of, no_text
from avengers_core.records.sources.logs import MAGIC, log_rows
from avengers_core.records.sources.parquet import parquet_file, parquet_rows, row_ranges
from avengers_core.records.sources.streams import CHUNK, Row, buffered, numbered_lines, rows_of

PART_BYTES = 8 * 1024 * 1024


Kind = Literal["lines", "parquet", "log", "whole"]


class Part(NamedTuple):
    """A piece of an input file.

    Attributes:
        address: what is opened: its path or address (``s3://...``), which may hold keys.
        kind: how it is read: a range of lines, a range of rows of Parquet, a log of calls, or the
            whole of another file.
        start: first byte, or row of a Parquet file, from 0.
        stop: and the first that is not of this part any more.
        first_row: rows of the file before this part.
    """

    address: str
    kind: Kind
    start: int
    stop: int
    first_row: int = 0

    @property
    def file(self) -> str:
        """The address as it may be shown."""
        return public(self.address)

    @property
    def told(self) -> tuple[Any, ...]:
        """All of it that may be shown."""
        return (self.file, *self[1:])

    def __repr__(self) -> str:
        return f"Part{self.told}"


class Items(NamedTuple):
    """Rows that are in memory already, in place of a part of a file.

    Attributes:
        rows: records, or what they are made of.
        first_row: rows that come before these.
        file: what they are called.
    """

    rows: Sequence[Any]
    first_row: int = 0
    file: str = ""


def plan(inputs: Inputs, part_bytes: int = PART_BYTES) -> list[Part]:
    """Cut files into parts, in the order of :func:`expand`.

    Args:
        inputs: as for :func:`expand`.
        part_bytes: about how large a part is to be, bytes (of Parquet, before compression).

    Raises:
        RecordError: a pattern or folder without files.
        OSError: a file cannot be read.
    """
    check_whole("part_bytes", part_bytes, 1)
    return [part for file in expand(inputs) for part in _cut(file, part_bytes)]


def read(part: Part | Items) -> Iterator[tuple[int, Row | Record]]:
    """The rows of a part with their numbers in the file, from 1, blank lines left out.

    A row is a line of bytes, a mapping of another kind of file, or a problem in place of a row that
    cannot be read.
    """
    if isinstance(part, Items):
        yield from enumerate(part.rows, part.first_row + 1)
    elif part.kind == "parquet":
        yield from parquet_rows(part.address, part.start, part.stop, part.first_row)
    elif part.kind == "log":
        yield from log_rows(part.file)
    else:
        with open_file(part.address) as file:
            if part.kind == "whole":
                yield from rows_of(file)
            else:
                yield from numbered_lines(_bytes(file, part), part.first_row)


def rows_of_file(file: str) -> Iterator[tuple[int, Row]]:
    """The rows of a whole file, which is opened once: it may be a pipe; see :func:`read`."""
    with open_file(file) as stream:
        kind = _kind(cast("Any", stream).peek(len(MAGIC)))
        if kind not in ("parquet", "log"):
            yield from rows_of(stream)
            return
    if kind == "log":
        yield from log_rows(file)
        return
    with parquet_file(file) as content:
        stop = content.metadata.num_rows
    yield from parquet_rows(file, 0, stop)


def numbered(parts: Sequence[Part], rows: Iterable[int]) -> list[Part]:
    """The parts with ``first_row`` filled in from how many rows each has."""
    counted: dict[str, int] = {}
    done = []
    for part, n in zip(parts, rows, strict=True):
        before = counted.get(part.file, 0)
        done.append(part._replace(first_row=before))
        counted[part.file] = before + n
    return done


def count_rows(part: Part) -> int:
    """How many rows a part has, blank lines of plain files included."""
    if part.kind == "parquet":
        return part.stop - part.start
    if part.kind != "lines":
        return sum(1 for _ in read(part))
    newlines, last = 0, b"\n"
    with open_file(part.address) as file:
        reader = _bytes(file, part)
        while chunk := reader.read(CHUNK):
            newlines += chunk.count(b"\n")
            last = chunk[-1:]
    return newlines + (last != b"\n")


def _cut(file: str, part_bytes: int) -> Iterator[Part]:
    with open_file(file) as stream:
        if not stream.seekable():
            raise RecordError(
                f'{public(file)}: a pipe can be read only once; expected a file, or engine="memory"'
            )
        kind = _kind(stream.read(CHUNK))
        size = stream.seek(0, os.SEEK_END)
        ranges: Iterable[tuple[int, int]] = [(0, size)]
        if kind == "parquet":
            ranges = row_ranges(file, part_bytes)
        elif kind == "lines":
            ranges = _line_ranges(stream, size, part_bytes)
        for start, stop in ranges:
            yield Part(file, kind, start, stop)


def _kind(head: bytes) -> Kind:
    """How a file that begins so is read."""
    if head.startswith(PARQUET):
        return "parquet"
    if head.startswith(MAGIC):
        return "log"
    if head.startswith(GZIP) or no_text(head):
        return "whole"
    return "lines" if kind_of(head) == "lines" else "whole"


def _line_ranges(stream: IO[bytes], size: int, part_bytes: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < size:
        stop = _next_line(stream, min(start + part_bytes, size))
        yield start, stop
        start = stop


def _next_line(stream: IO[bytes], position: int) -> int:
    """The first byte at or after a position with which a line starts, or the end."""
    stream.seek(position - 1)
    while (piece := stream.readline(CHUNK)) and not piece.endswith(b"\n"):
        pass
    return stream.tell()


def _bytes(stream: IO[bytes], part: Part) -> io.BufferedReader:
    """The part's range of the file's bytes."""
    stream.seek(part.start)
    return buffered(lambda n: stream.read(min(n, part.stop - stream.tell())))
