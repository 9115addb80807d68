"""Files and addresses, opened; Parquet by pyarrow, which needs the extra ``parquet``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

from avengers_core.errors import OptionalDependencyError, RecordError
from avengers_core.records.names import one_line

_BUFFER = 1 << 20  # bytes


def open_file(file: str) -> IO[bytes]:
    """A stream of a file's bytes.

    Args:
        file: a path, or an address (``s3://...``) where pyarrow knows the file system.

    Raises:
        OptionalDependencyError: an address, and pyarrow is not installed.
        OSError: it cannot be opened.
    """
    if "://" not in file:
        return Path(file).open("rb")
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise OptionalDependencyError("pyarrow", "parquet") from error
    system, path = FileSystem.from_uri(file)
    stream: IO[bytes] = io.BufferedReader(system.open_input_file(path))
    return stream


def parquet_file(file: str) -> Any:
    """A Parquet file, opened by pyarrow.

    Args:
        file: as for :func:`open_file`.

    Raises:
        OptionalDependencyError: pyarrow is not installed.
        RecordError: it is not one.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise OptionalDependencyError("pyarrow", "parquet") from error
    stream = open_file(file)
    try:
        # Without a buffer it would hold a whole column of a row group.
        return ParquetFile(stream, buffer_size=_BUFFER)
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        stream.close()
        if "://" in file and not isinstance(error, ArrowException):
            raise  # the network may have failed
        raise RecordError(
            f"{file}: not a readable Parquet file ({one_line(str(error)).strip():.200})"
        ) from None
