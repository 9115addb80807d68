"""The files that paths, patterns, folders and addresses stand for, found and opened."""

from __future__ import annotations

import errno
import glob
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from avengers_core.common.files import open_named
from avengers_core.errors import RecordError, needing

Inputs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

ENDINGS = (
    *(".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz"),
    *(".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"),
)
"""Of the files of a folder that are read; a file that is named may have any."""
# In the folders of jobs and artifacts.
_OWN = frozenset({"job.json", "artifact.json"})


def expand(inputs: Inputs) -> list[str]:
    """The files that paths, folders and patterns stand for, each once.

    In the order given; those of a folder or pattern by name.

    Args:
        inputs: paths of files or folders, patterns (``logs/*.parquet``, ``logs/**/*.jsonl``), or
            addresses of files that pyarrow can open (``s3://bucket/file.parquet``).

    Raises:
        RecordError: a pattern or folder without files, or an empty path.
        FileNotFoundError: there is no such file.
    """
    files: dict[str, str] = {}
    for path in listed(inputs):
        item = os.fspath(path)
        if not item:  # which would be the folder that the program runs in
            raise RecordError("a path is empty; expected a file, a folder, a pattern or an address")
        if "://" in item or (Path(item).exists() and not Path(item).is_dir()):
            found = [item]
        elif Path(item).is_dir():
            found = sorted(str(p) for p in _inputs_in(Path(item)))
        else:
            found = sorted(p for p in glob.glob(item, recursive=True) if Path(p).is_file())
        if not found and not glob.has_magic(item) and not Path(item).is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), item)
        if not found:
            raise RecordError(
                f"no input file at {item!r}; expected a file, a pattern that matches files, or a "
                f"folder with files ending in {', '.join(ENDINGS)}"
            )
        for file in found:
            files.setdefault(file if "://" in file else os.path.realpath(file), file)
    return list(files.values())


def listed(inputs: Inputs) -> list[str | os.PathLike[str]]:
    """Paths as a list, also where one alone is given."""
    return [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)


def open_file(file: str) -> IO[bytes]:
    """A stream of a file's bytes.

    Args:
        file: a path, or an address (``s3://...``) where pyarrow knows the file system.

    Raises:
        OptionalDependencyError: an address, and pyarrow is not installed.
        RecordError: an address of a kind that pyarrow does not know.
        OSError: it cannot be opened.
    """
    if "://" not in file:
        return open_named(Path(file))
    system, path = _file_system(file)
    stream: IO[bytes] = io.BufferedReader(system.open_input_file(path))
    return stream


def public(file: str) -> str:
    """A path or address as it may be shown: without the keys that ``s3://KEY:SECRET@...`` has."""
    return re.sub(r"(?<=://)[^/]*@", "", file) if "://" in file else file


def state(file: str) -> list[int]:
    """Size in bytes and time of the last change in ns, by which a changed file is noticed."""
    if "://" not in file:
        found = Path(file).stat()
        return [found.st_size, found.st_mtime_ns]
    system, path = _file_system(file)
    info = system.get_file_info(path)
    return [info.size or 0, info.mtime_ns or 0]


def _file_system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    with needing("pyarrow", "parquet"):
        from pyarrow.fs import FileSystem
    try:
        found: tuple[Any, str] = FileSystem.from_uri(address)
    except ValueError:
        raise RecordError(
            f"{public(address)}: no address that pyarrow can open; expected one that begins with "
            f"s3://, gs://, abfs://, hdfs:// or file://"
        ) from None
    return found


def _inputs_in(folder: Path) -> Iterator[Path]:
    """The input files of a folder and those in it, but for what this package itself wrote there."""
    for path, folders, names in os.walk(folder):
        if path != os.fspath(folder) and _OWN & set(names):
            folders.clear()
            continue
        found = (
            Path(path, name)
            for name in names
            if name.lower().endswith(ENDINGS) and not name.startswith(".") and name not in _OWN
        )
        yield from (file for file in found if file.is_file())
