"""Parquet, read by pyarrow, which needs the extra ``parquet``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avengers_core.errors import RecordError, needing
from avengers_core.records.names import one_line
from avengers_core.records.record import RecordProblem
from avengers_core.records.sources.cells import NESTED, is_read, plain, unfolded
from avengers_core.records.sources.files import open_file, public
from avengers_core.records.sources.streams import Row

BATCH_BYTES = 16 * 1024 * 1024
"""Rows are worked on in batches of no more than this, however long they are."""
_BUFFER = 1 << 20  # bytes
_ROWS = 2048
# Each piece of a row group is found by decoding those before it.
_MOST_PIECES = 16


@contextmanager
def parquet_file(file: str) -> Iterator[Any]:
    """A Parquet file, opened by pyarrow, and closed in the end.

    Args:
        file: as for :func:`avengers_core.records.sources.files.open_file`.

    Raises:
        OptionalDependencyError: pyarrow is not installed.
        RecordError: it is not one.
    """
    with needing("pyarrow", "parquet"):
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    with open_file(file) as stream:
        try:
            # Without a buffer it would hold a whole column of a row group.
            content = ParquetFile(stream, buffer_size=_BUFFER)
        except (ArrowException, OSError, ValueError, OverflowError) as error:
            if "://" in file and not isinstance(error, ArrowException):
                raise  # the network may have failed
            raise RecordError(
                f"{public(file)}: not a readable Parquet file ({one_line(str(error)).strip():.200})"
            ) from None
        yield content


def row_ranges(file: str, part_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about so many bytes: small row groups together, large ones in pieces."""
    with parquet_file(file) as content:
        metadata = content.metadata
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


def parquet_rows(file: str, start: int, stop: int, before: int = 0) -> Iterator[tuple[int, Row]]:
    """Rows of a file with their numbers, from 1; a problem in place of what cannot be read.

    Args:
        file: as for :func:`parquet_file`.
        start: the first row, from 0.
        stop: and the first that is not wanted any more.
        before: rows before ``start``, for their numbers.
    """
    number = before
    try:
        with parquet_file(file) as content:
            for row in _rows(content, start, stop):
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        if "://" in file:  # the network may have failed, and will be there again
            reason = f"cannot be read from row {number + 1} on ({error})"
            raise RecordError(f"{public(file)}: {reason}") from error
        # A damaged page: what was read so far is good, the rest of the part cannot be.
        reason = f"the file cannot be read from here to row {before + stop - start} ({error})"
        yield number + 1, RecordProblem(number + 1, reason, "")


def _rows(content: Any, start: int, stop: int) -> Iterator[dict[str, Any]]:
    columns = content.schema_arrow.names
    # Without a query no row is a record, and each is shown as it is.
    names = [name for name in columns if is_read(name)] if "query" in columns else columns
    groups, first, size, row = [], start, 0, 0
    for g in range(content.num_row_groups):
        group = content.metadata.row_group(g)
        if row < stop and row + group.num_rows > start:
            first = min(first, row)
            groups.append(g)
            size = max(size, group.total_byte_size // group.num_rows)
        row += group.num_rows
    skip, left = start - first, stop - start
    n = max(1, min(_ROWS, BATCH_BYTES // max(size, 1)))
    for batch in content.iter_batches(n, row_groups=groups, columns=names):
        rows = batch.slice(skip, left)
        skip, left = max(0, skip - len(batch)), left - len(rows)
        cells = {
            name: _values(column, nested=name in NESTED)
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
        }
        found = zip(*cells.values(), strict=True) if cells else [()] * len(rows)
        for values in found:
            yield unfolded(zip(cells, values, strict=True))
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
    return values if not nested or types.is_primitive(array.type) else [plain(v) for v in values]
