"""Zip files: archives of files of rows, and the ``.eval`` logs of inspect_ai."""

from __future__ import annotations

import json
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from avengers_core.errors import OptionalDependencyError, RecordError, needing
from avengers_core.importers.values import UNFIT

# What reading a damaged archive raises, of whichever kind.
DAMAGED: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,  # links to what is not there
    OSError,
    RuntimeError,  # encrypted, or packed in a way that Python does not know
    ValueError,  # names that no file can have
)
with suppress(ImportError):  # a Python built without it cannot read such archives at all
    from lzma import LZMAError

    DAMAGED += (LZMAError,)
_UNREADABLE: tuple[type[Exception], ...] = (*DAMAGED, *UNFIT)
_ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<26xHH")
_HEADERS = ("header.json", "_journal/start.json")  # the second, of a run that has not ended
_SAMPLE = re.compile(r"samples/.+_epoch_\d+(\.json|/sample\.json)")


def eval_log(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The log of a run of inspect_ai, one sample at a time: its header with ``samples`` of one.

    Args:
        path: of the ``.eval`` file.
        name: what messages call it.

    Raises:
        RecordError: it is not one, or damaged.
        OptionalDependencyError: it is compressed by Zstandard, and pyarrow is not installed.
    """
    try:
        with zipfile.ZipFile(path) as log:
            entries = {entry.filename: entry for entry in log.infolist()}
            header = next((h for h in _HEADERS if h in entries), None)
            if header is None:
                raise ValueError(f"it holds no {_HEADERS[0]}")
            top = _json(log, entries[header])
            samples = [entry for n, entry in entries.items() if _SAMPLE.fullmatch(n)]
            if not samples:
                yield {**top, "samples": []}
            for entry in samples:
                sample = _json(log, entry)
                if "attachment://" in str(sample.get("input")):
                    sample.setdefault("attachments", {}).update(_chunks(log, entry.filename))
                yield {**top, "samples": [sample]}
    except (OptionalDependencyError, RecordError):
        raise
    except _UNREADABLE as error:
        raise RecordError(f"{name}: not a readable log of inspect_ai ({error})") from error


def _json(log: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    return json.loads(_read(log, entry))


def _chunks(log: zipfile.ZipFile, sample: str) -> dict[str, str]:
    """The attachments of a sample that is kept in pieces, by their numbers."""
    folder = sample.removesuffix("sample.json") + "attachments/"
    found = {}
    for name in log.namelist():
        start = name.removeprefix(folder).removesuffix(".json")
        if name.startswith(folder) and start.isdecimal():
            for i, text in enumerate(_json(log, log.getinfo(name)), int(start)):
                found[str(i)] = text
    return found


def _read(log: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.compress_type != _ZSTANDARD or hasattr(zipfile, "ZIP_ZSTANDARD"):
        return log.read(entry)
    # Python reads these from 3.14 on.
    with needing("pyarrow", "parquet"):
        import pyarrow
    with open(str(log.filename), "rb") as file:
        file.seek(entry.header_offset)
        name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name + extra, 1)
        data = file.read(entry.compress_size)
    content: bytes = pyarrow.input_stream(pyarrow.BufferReader(data), compression="zstd").read()
    if zlib.crc32(content) != entry.CRC:
        raise zipfile.BadZipFile(f"bad CRC of {entry.filename}")
    return content
