"""Files and addresses, opened; Parquet by pyarrow, which needs the extra ``parquet``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

from avengers_core.errors import OptionalDependencyError, RecordError

_BUFFER = 1 << 20  # bytes


def open_file(file: str) -> IO[bytes]:
    """A stream of a file's bytes.

    Args:
        file: a path, or an address (``s3://...``) where pyarrow knows the file system.

    Raises:
        OptionalDependencyError: an address, and pyarrow is not installed.
        OSError: it can not be opened.
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
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise OptionalDependencyError("pyarrow", "parquet") from error
    try:
        # Without a buffer it would hold a whole column of a row group.
        return ParquetFile(open_file(file), buffer_size=_BUFFER)
    except ArrowInvalid as error:
        raise RecordError(f"{file}: not a readable Parquet file ({error})") from None
