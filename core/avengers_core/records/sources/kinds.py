"""What a file holds, told by how it begins."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from avengers_core.records.sources.logs import MAGIC

Separator = Literal[",", "\t", ";"]
"""Of the cells of a table."""

GZIP = b"\x1f\x8b"
"""How a compressed file begins."""
PARQUET = b"PAR1"
"""How a Parquet file begins."""

_ARRAY = re.compile(rb"\[\s*(\{|\]|$)")
_UTF_16 = "UTF-16: `iconv -f UTF-16 -t UTF-8 FILE` converts"
_UTF_32 = "UTF-32: `iconv -f UTF-32 -t UTF-8 FILE` converts"
# What stands where, and what a file is that has it there.
_NO_TEXTS = (
    (0, codecs.BOM_UTF32_LE, _UTF_32),
    (0, codecs.BOM_UTF32_BE, _UTF_32),
    (0, codecs.BOM_UTF16_LE, _UTF_16),
    (0, codecs.BOM_UTF16_BE, _UTF_16),
    (0, GZIP, "gzip in gzip: `gunzip` unpacks one of them"),
    (4, b"1AY&SY", "bzip2: `bunzip2` unpacks it"),
    (0, b"\xfd7zXZ\0", "xz: `unxz` unpacks it"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard: `unzstd` unpacks it"),
    (0, b"PK\x03\x04", "a zip archive: `unzip` unpacks it"),
    (257, b"ustar", "a tar archive: `tar -xf` unpacks it"),
    (0, PARQUET, "Parquet, which is read from a path (.parquet)"),
    (0, MAGIC, "SQLite, of which logs of calls are read, from a path, where records are expected"),
)


def no_text(head: bytes) -> str | None:
    """What a file is that begins so and holds no text, and what to do; None where it may hold one.

    Args:
        head: its first bytes, unpacked where it is compressed by gzip.
    """
    what = next((what for at, mark, what in _NO_TEXTS if head.startswith(mark, at)), None)
    if what is None and len(head) >= 8 and not (any(head[:8:2]) and any(head[1:8:2])):
        what = _UTF_16  # without a mark
    return what and f"expected a text in UTF-8, plain or gzip; this looks like {what}"


def kind_of(head: bytes) -> Literal["lines", "array"] | Separator:
    """What the first bytes of a text begin: lines, an array, or a table with that separator.

    A table is told by a first line that names a column ``query`` and others.
    """
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if _ARRAY.match(start):
        return "array"
    if start.startswith(b"{"):
        return "lines"
    return separator_of(start, lambda columns: "query" in columns) or "lines"


def separator_of(head: bytes, is_meant: Callable[[list[str]], bool]) -> Separator | None:
    """The first separator that makes several columns, and those that are meant, of a first line.

    Args:
        head: how a text begins.
        is_meant: says so of the names of columns.
    """
    line = head.removeprefix(codecs.BOM_UTF8).lstrip().split(b"\n", 1)[0].decode("utf-8", "replace")
    separator: Separator
    for separator in (",", "\t", ";"):
        with suppress(csv.Error, StopIteration):
            columns = [c.strip() for c in next(csv.reader([line], delimiter=separator))]
            if len(columns) > 1 and is_meant(columns):
                return separator
    return None
