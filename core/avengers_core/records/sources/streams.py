"""The rows of one stream: JSON lines, a JSON array or a table, plain or gzip, told by its content.

In constant memory, whatever the kind; a problem stands in place of what cannot be read.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from avengers_core.records.record import RecordProblem, problem
from avengers_core.records.sources.cells import record_row
from avengers_core.records.sources.kinds import GZIP, kind_of, no_text

Row = bytes | Mapping[str, Any] | RecordProblem
"""A line of JSON, a row of a table or an item of an array, or why there is none."""

MAX_LINE_BYTES = 64 * 1024 * 1024
CHUNK = 1 << 20
_LONGEST_CELL = 2**31 - 1  # characters; the most that a C long holds everywhere
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError)
_BETWEEN = re.compile(r"[\s,]*")


def rows_of(stream: IO[Any]) -> Iterator[tuple[int, Row]]:
    """The rows of a stream with their numbers, from 1: lines of a text, items of an array.

    Args:
        stream: of bytes or text; it stays open.
    """
    with decompressed(stream) as data:
        head = _head(data)
        if fault := no_text(head):
            yield 1, problem(1, fault, b"")
            return
        kind = kind_of(head)
        if kind == "array":
            yield from _items(data)
        elif kind == "lines":
            yield from numbered_lines(data)
        else:
            for number, row in table_rows(data, kind):
                yield number, row if isinstance(row, RecordProblem) else record_row(row)


@contextmanager
def decompressed(stream: IO[Any]) -> Iterator[IO[bytes]]:
    """The bytes of a plain or compressed stream of bytes or text; the caller's stays open."""
    raw: Any = None
    if not isinstance(stream.read(0), bytes):
        if isinstance(stream, io.TextIOWrapper):
            # What is not UTF-8 is then one bad line. Refused where somebody has read from it.
            with suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="surrogateescape")
        text = stream
        stream = buffered(lambda n: text.read(n).encode("utf-8", "surrogatepass"))
    elif not hasattr(stream, "peek"):
        stream = raw = io.BufferedReader(cast("io.RawIOBase", stream), CHUNK)
    try:
        packed = cast("Any", stream).peek(2)[:2] == GZIP
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
    finally:
        if raw is not None:
            raw.detach()  # or it would close the caller's stream when it goes


def read_lines(stream: IO[bytes]) -> Iterator[bytes | RecordProblem]:
    """The lines of a stream of bytes; a problem in place of one that cannot be read.

    Split at ``\\n`` only: U+2028 and friends are legal inside JSON strings.
    """
    number = 0
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) <= MAX_LINE_BYTES:
                yield line
                continue
            tail = line
            while tail and not tail.endswith(b"\n"):
                tail = stream.readline(MAX_LINE_BYTES)
            yield problem(number, f"longer than {MAX_LINE_BYTES:,} bytes", line)
    except _DAMAGED as error:
        yield _broken_off(number + 1, error)


def numbered_lines(
    stream: IO[bytes], before: int = 0
) -> Iterator[tuple[int, bytes | RecordProblem]]:
    """The lines of :func:`read_lines` that are not blank, stripped, with their numbers from 1."""
    for number, line in enumerate(read_lines(stream), before + 1):
        if isinstance(line, RecordProblem):
            yield number, line._replace(line=number)
        elif text := (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
            yield number, text


def _broken_off(number: int, error: Exception) -> RecordProblem:
    # A damaged compressed file: what was read so far is good, the rest cannot be.
    return problem(number, f"the file cannot be read on from here ({error})", b"")


def _head(data: IO[bytes]) -> bytes:
    try:
        return cast("bytes", cast("Any", data).peek(CHUNK))
    except _DAMAGED:
        return b""  # whoever reads it meets the same, and reports it


def _items(data: IO[bytes]) -> Iterator[tuple[int, Row]]:
    """The items of a JSON array with their positions, decoded one by one."""
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
    decoder = json.JSONDecoder()
    text, at, number, ended = "", 0, 0, False
    opened = False
    while True:
        at = cast("re.Match[str]", _BETWEEN.match(text, at)).end()
        wrong: Exception | str = "the array is not closed"
        if at < len(text):
            if not opened:
                opened, at = True, at + 1
                continue
            if text[at] == "]":
                with suppress(*_DAMAGED):  # behind all that is read
                    text = text[at + 1 :] + decode(data.read(CHUNK))
                    if behind := text.strip():
                        reason = "expected nothing behind the array"
                        yield number + 1, problem(number + 1, reason, behind)
                return
            try:
                item, end = decoder.raw_decode(text, at)
            except RecursionError:
                yield number + 1, problem(number + 1, "nested too deeply", text[at : at + 400])
                return
            except ValueError as error:
                wrong = getattr(error, "msg", error)  # which counts from what was read last
            else:
                if end < len(text) or ended:  # else a number might go on
                    number, at = number + 1, end
                    is_row = isinstance(item, Mapping)
                    yield number, item if is_row else problem(number, "expected an object", item)
                    continue
        if ended or len(text) - at > MAX_LINE_BYTES:
            reason = f"the array cannot be read on from here ({wrong})"
            yield number + 1, problem(number + 1, reason, text[at : at + 400])
            return
        try:
            chunk = data.read(max(CHUNK, len(text) - at))
        except _DAMAGED as error:
            yield number + 1, _broken_off(number + 1, error)
            return
        ended = not chunk
        text, at = text[at:] + decode(chunk, ended), 0


def table_rows(
    data: IO[bytes], separator: str
) -> Iterator[tuple[int, dict[str, str] | RecordProblem]]:
    """The rows of a table, by the names in its first line; numbers are of the lines they begin in.

    Of columns of one name the second is called ``NAME (2)``, and so on.

    Args:
        data: text in UTF-8.
        separator: of the cells.
    """
    # A question may be longer than its 131,072. The limit is the process's; somebody may have set
    # a higher one.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    lines = _TableLines(data)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    columns: list[str] = []
    while True:
        lines.begin_row()
        wrong: csv.Error | None = None
        try:
            cells = next(reader, None)
        except csv.Error:
            cells = _of_escaped(lines, separator, len(columns))
            if not cells:
                # A quotation mark that opens and does not close takes in the lines behind it.
                try:
                    cells = next(csv.reader([lines.only_first()], delimiter=separator))
                except csv.Error as error:
                    cells, wrong = [], error
        yield from ((bad.line, bad) for bad in lines.unread)
        lines.unread.clear()
        if cells is None:
            return
        if wrong:
            yield lines.number, problem(lines.number, f"not a row of a table ({wrong})", b"")
        elif not columns:
            columns = _distinct(name.strip() for name in cells)
        elif len(cells) == len(columns):
            yield lines.number, dict(zip(columns, cells, strict=True))
        elif cells:
            reason = f"expected {len(columns)} columns, got {len(cells)}"
            excerpt = separator.join(itertools.islice(cells, 8))
            yield lines.number, problem(lines.number, reason, excerpt)


def _of_escaped(lines: _TableLines, separator: str, columns: int) -> list[str]:
    """The cells of a row that is none as it stands, but one with ``\\"`` for ``""``.

    So Spark and databases write quotation marks in cells. Empty where it is no such row either.
    """
    if lines.read_again('\\"'):
        doubled = (line.replace('\\"', '""') for line in lines)
        with suppress(csv.Error, StopIteration):
            cells = next(csv.reader(doubled, delimiter=separator, strict=True))
            if len(cells) == columns:
                return cells
    return []


class _TableLines:
    """The lines of a table, of which some may be read again.

    Attributes:
        unread: those that cannot be read.
    """

    def __init__(self, data: IO[bytes]) -> None:
        self.unread: list[RecordProblem] = []
        self._new = enumerate(read_lines(data), 1)
        self._again = deque[tuple[int, str]]()
        self._of_row: list[tuple[int, str]] = []

    def begin_row(self) -> None:
        """The next line is the first of a row."""
        self._of_row.clear()

    @property
    def number(self) -> int:
        """Of the row's first line, from 1."""
        return self._of_row[0][0]

    def read_again(self, mark: str) -> bool:
        """Let the row's lines come again if one of them has a mark; whether it has."""
        marked = any(mark in line for _, line in self._of_row)
        if marked:
            self._again.extendleft(reversed(self._of_row))
            self._of_row.clear()
        return marked

    def only_first(self) -> str:
        """The row's first line; those behind it are to come again."""
        self._again.extendleft(reversed(self._of_row[1:]))
        return self._of_row[0][1]

    def __iter__(self) -> _TableLines:
        return self

    def __next__(self) -> str:
        numbered = self._again.popleft() if self._again else self._read()
        self._of_row.append(numbered)
        return numbered[1]

    def _read(self) -> tuple[int, str]:
        for number, line in self._new:
            if isinstance(line, RecordProblem):
                self.unread.append(line._replace(line=number))
                continue
            text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace")
            return number, text.replace("\0", "")
        raise StopIteration


def _distinct(names: Iterable[str]) -> list[str]:
    times = Counter[str]()
    found = []
    for name in names:
        times[name] += 1
        found.append(f"{name} ({times[name]})" if times[name] > 1 else name)
    return found


def buffered(read: Callable[[int], bytes]) -> io.BufferedReader:
    """A stream of what a function gives, which is asked for some bytes; in the end it has none."""
    return io.BufferedReader(_Read(read), CHUNK)


class _Read(io.RawIOBase):
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read, self._rest = read, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest or self._read(len(buffer))
        n = min(len(buffer), len(data))
        buffer[:n], self._rest = data[:n], data[n:]
        return n
