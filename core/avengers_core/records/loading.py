"""Records from what a person has, read and checked; what is no record is listed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, TypeGuard, cast

from avengers_core.common.ranges import check_one_of
from avengers_core.errors import RecordError
from avengers_core.records.names import check_rows
from avengers_core.records.record import Missing, Record, RecordProblem, Records, parse_record
from avengers_core.records.sources.files import Inputs, expand, public
from avengers_core.records.sources.parts import rows_of_file
from avengers_core.records.sources.streams import rows_of
from avengers_core.records.usage_names import UsageNames

Source = Inputs | IO[bytes] | IO[str] | Iterable[Any]
"""Paths, patterns, folders, addresses, a stream, or an iterable of mappings and records."""


def load_records(source: Source, *, strict: bool = False, missing: Missing = "skip") -> Records:
    """Read and validate records; a bad row is reported, never fatal and never silently lost.

    Args:
        source: a path, a pattern (``logs/*.parquet``), a folder, an address (``s3://...``, with the
            extra ``parquet``), or several of them; an open stream of bytes or text; or an iterable
            of dicts or :class:`Record` objects. Files and streams hold JSON lines, a JSON array or
            a table (CSV), plain or gzip; files also Parquet (with the extra)
            or a log of calls. Their content tells.
        strict: raise on the first bad row instead of collecting it.
        missing: see :class:`Records`.

    Returns:
        The good records; ``.problems`` lists the rejected rows. Repeated queries are kept: each
        is evidence of its own.

    Raises:
        RecordError: ``strict`` and a row is bad; a pattern or folder without files; a damaged
            Parquet file.
        OSError: a file cannot be opened.
    """
    check_one_of("missing", missing, Missing)
    records: list[Record] = []
    problems: list[RecordProblem] = []
    names = UsageNames()
    for item in iter_records(source):
        if isinstance(item, Record):
            records.append(item)
            names.add(item.scores, item.usages)
        elif strict:
            raise RecordError(str(item))
        else:
            problems.append(item)
    loaded = Records(records, problems, missing)
    names.notice(loaded.models)
    return loaded


def iter_records(source: Source) -> Iterator[Record | RecordProblem]:
    """Like :func:`load_records`, one at a time in constant memory, problems in their place."""
    if are_files(source):
        for file in expand(source):
            for number, row in rows_of_file(file):
                record = parse_record(row, number)
                yield record if isinstance(record, Record) else record._replace(file=public(file))
    elif hasattr(source, "read"):
        for number, row in rows_of(cast("IO[Any]", source)):
            yield parse_record(row, number)
    else:
        check_rows("a path, a stream or an iterable of records", source)
        for number, item in enumerate(cast("Iterable[Any]", source), 1):
            if isinstance(item, str | os.PathLike):
                raise TypeError(
                    f"expected records, or paths alone, got {os.fspath(item)[-60:]!r} among them"
                )
            yield parse_record(item, number)


def as_records(source: Records | Source) -> Records:
    """``source`` itself if it is :class:`Records` already, else :func:`load_records` of it."""
    return source if isinstance(source, Records) else load_records(source)


def are_files(source: Any) -> TypeGuard[Inputs]:
    """Whether a source names files, rather than being what is in them."""
    if isinstance(source, str | os.PathLike):
        return True
    return (
        isinstance(source, Sequence)
        and not isinstance(source, Records)
        and len(source) > 0
        and all(isinstance(item, str | os.PathLike) for item in source)
    )
