"""Files that somebody else may have laid out: read only as far as is sound, and replaced whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MIB = 1024 * 1024
UNFINISHED = r"\.tmp-[0-9a-f]{16}"
"""The names of files that are not finished; what a killed process leaves may be deleted."""

# Of a FIFO, opening would wait for a writer. Windows has neither flag, and calls text what it can.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def open_regular(file: Path, most: int) -> Iterator[BinaryIO]:
    """A regular file, opened for reading; never a device, a FIFO, or a link to one.

    Args:
        file: its path; a link to a regular file is followed.
        most: bytes that it may have.

    Raises:
        OSError: it is something else, or larger, or cannot be opened.
    """
    # Opening a device may already do something, so it is looked at before as well as after.
    _check_regular(os.stat(file), file, most)
    descriptor = os.open(file, _FLAGS)
    with open(descriptor, "rb") as stream:
        _check_regular(os.fstat(descriptor), file, most)
        yield stream


def read_regular(file: Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes; see :func:`open_regular`."""
    with open_regular(file, most) as stream:
        return stream.read(most)


def replace_file(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: the system's own, such as a full disk, with the name of ``file``.
    """
    unfinished = file.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        with open(unfinished, "xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, file)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(file)) from None
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a text, in UTF-8, where a person wants it: as :func:`replace_file`, or to a device.

    A link stays a link, and ``/dev/stdout`` what it is.
    """
    content = text.encode("utf-8", "replace")
    if file.exists() and not file.is_file():
        file.write_bytes(content)
    else:
        replace_file(Path(os.path.realpath(file)), content)


def _check_regular(found: os.stat_result, file: Path, most: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(file))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"larger than {most // MIB:,} MiB", str(file))
