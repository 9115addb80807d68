"""Files that somebody else may have laid out: read only as far as is sound, and replaced whole."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

MIB = 1024 * 1024
_UNFINISHED = ".tmp-"
_RANDOM = 8  # bytes in the name of what is not finished

# Of a FIFO, opening would wait for a writer. Windows has neither flag, and calls text what it can.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def is_unfinished(name: str) -> bool:
    """Whether a file's name is one of :func:`beside`; what a killed process leaves may go."""
    return re.fullmatch(rf"{re.escape(_UNFINISHED)}[0-9a-f]{{{2 * _RANDOM}}}", name) is not None


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


def open_named(file: Path) -> BinaryIO:
    """A file that somebody names, opened for reading; see :func:`check_ends`."""
    check_ends(file)
    return file.open("rb")


def check_ends(file: Path) -> None:
    """Refuse a device that never ends, such as ``/dev/zero``.

    Files and pipes are none, and of the devices neither standard input nor the terminal.

    Raises:
        OSError: it is one, or there is nothing.
    """
    found = os.stat(file)
    if stat.S_ISCHR(found.st_mode) and not any(os.path.samestat(found, e) for e in _ending()):
        raise OSError(errno.EINVAL, "a device, not a file", str(file))


def _ending() -> Iterator[os.stat_result]:
    with suppress(OSError):
        yield os.fstat(0)
    with suppress(OSError, AttributeError):  # Windows has no name for it
        yield os.stat(os.ctermid())
    with suppress(OSError):
        yield os.stat(os.devnull)


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A path beside a file, to write to; it takes the file's place if all goes well.

    Else the file stays what it was.

    Raises:
        OSError: the system's own, such as a full disk, with the name of ``file``.
    """
    with beside(file) as unfinished:
        yield unfinished
        sync(unfinished)
        with suppress(OSError):  # there is no earlier one, or it is somebody else's
            shutil.copymode(file, unfinished)
        os.replace(unfinished, file)


@contextmanager
def beside(file: Path) -> Iterator[Path]:
    """A path beside a file, for what is not finished; deleted at the end, if it is still there.

    Raises:
        OSError: the system's own, with the name of ``file``.
    """
    unfinished = file.with_name(f"{_UNFINISHED}{secrets.token_hex(_RANDOM)}")
    try:
        yield unfinished
    except OSError as error:
        # Of the file itself; others, of what is read meanwhile, say whose they are.
        if error.errno is None or error.filename not in (None, unfinished, str(unfinished)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(file)) from None
    finally:
        unfinished.unlink(missing_ok=True)


def sync(file: Path) -> None:
    """Have a file's content on the disk, which only then is known to have had room for it."""
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def replace_file(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all; see :func:`whole`."""
    with whole(file) as unfinished, open(unfinished, "xb") as out:
        out.write(content)


@contextmanager
def as_named(file: Path) -> Iterator[Path]:
    """:func:`whole` where a person wants a file: a link stays a link, a device is written to."""
    if file.exists() and not (file.is_file() or file.is_dir()):
        yield file
    else:
        with whole(Path(os.path.realpath(file)) if file.is_symlink() else file) as unfinished:
            yield unfinished


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a text, in UTF-8, or bytes, where a person wants them; see :func:`as_named`."""
    with as_named(file) as unfinished:
        unfinished.write_bytes(
            content.encode("utf-8", "replace") if isinstance(content, str) else content
        )


def _check_regular(found: os.stat_result, file: Path, most: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(file))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"larger than {most // MIB:,} MiB", str(file))
