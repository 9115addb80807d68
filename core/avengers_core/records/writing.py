"""Records into a file, as they are read from one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from avengers_core.common.files import as_named
from avengers_core.records.record import Record


def write_records(records: Iterable[Record], file: Path) -> None:
    """Write records, one a line of JSON; the file is there whole or not at all.

    Args:
        records: the records.
        file: where to; compressed by gzip where its name ends in ``.gz``.

    Raises:
        OSError: it cannot be written.
    """
    with as_named(file) as unfinished, ExitStack() as stack:
        out: IO[bytes] = stack.enter_context(unfinished.open("wb"))
        if file.suffix == ".gz":
            packed = gzip.GzipFile(file.name, "wb", fileobj=out)
            out = cast("IO[bytes]", stack.enter_context(packed))
        for record in records:
            row = record.model_dump(by_alias=True, exclude_none=True)
            row["records"] = record.scores  # where None says that there is no result
            out.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())
