"""Vectors in an SQLite file that many threads and processes share."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from avengers_core.common.forks import lock_over_forks
from avengers_core.embedders.base import Vectors
from avengers_core.errors import EmbedderError
from avengers_core.records.names import one_line

logger = logging.getLogger(__name__)

# "AvgE": marks the file as ours, see https://sqlite.org/pragma.html#pragma_application_id
_APPLICATION = 0x41766745
_VERSION = 1
_BUSY_SECONDS = 10.0
_REST_SECONDS = 60.0  # without a file that was locked for so long
# Of the text of errors that another time, or other rights, would not bring; Python 3.10 tells no
# codes. Whatever else there is, the file is damaged.
_PASSING = ("lock", "busy", "full", "readonly", "disk I/O", "unable to open")
_WAIT_SECONDS = 0.02
_KEYS_PER_QUERY = 500  # old SQLite takes 999 variables
_CHECKSUM = 8

# SQLite has locks of its own: one thread at a time uses it, and a fork waits for that one; who
# waits for another process waits outside.
_in_use = lock_over_forks()
T = TypeVar("T")


class VectorStore:
    """A persistent map from keys to vectors.

    Every operation opens and closes its own connection (about 0.2 ms). That makes it safe under
    threads and in a forked child, whenever it was forked, and leaves nothing to close. A write is
    one transaction of a write-ahead log, so a killed process loses at most the transaction that it
    was in. Each row carries a checksum: a damaged one counts as absent.

    What is stored only saves time, so a file that cannot be used at the moment (a full disk, locked
    by somebody else, read-only) is done without; the log says so once.

    Args:
        path: the file; made, with its folder, if it is not there.

    Raises:
        EmbedderError: the file is damaged or something else, or can never be at this place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noticed = False
        self._rests_until = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbedderError(f"the folder of the embedding cache {path}: {error}") from None
        self._use(lambda connection: None, None)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """The vectors of those keys that are there."""

        def read(connection: sqlite3.Connection) -> list[tuple[bytes, object]]:
            rows = []
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
                rows += connection.execute(query, some).fetchall()
            return rows

        nothing: list[tuple[bytes, object]] = []
        vectors = {key: _unpack(key, blob) for key, blob in self._use(read, nothing)}
        return {key: vector for key, vector in vectors.items() if vector is not None}

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Store vectors, all or none; none where the file cannot be used now."""
        rows = [(key, _pack(key, vector)) for key, vector in vectors.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            connection.execute("COMMIT")

        self._use(write, None)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_rests_until": 0.0}  # another process has another clock

    def _use(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do some work, all or nothing of it, with a connection of its own.

        Args:
            work: what to do.
            otherwise: what it comes to where the file cannot be used now.
        """
        if time.monotonic() < self._rests_until:
            return otherwise
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                with _in_use:
                    return self._try(work)
            except sqlite3.OperationalError as error:
                locked = "lock" in str(error)
                if locked and time.monotonic() < deadline:
                    time.sleep(_WAIT_SECONDS)
                    continue
                if not any(reason in str(error) for reason in _PASSING):
                    raise self._unusable(error) from error
                if locked:
                    self._rests_until = time.monotonic() + _REST_SECONDS
                self._notice(error)
                return otherwise
            except (sqlite3.Error, UnicodeDecodeError) as error:  # it may quote damaged names
                raise self._unusable(error) from error

    def _try(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # SQLite would wait for a FIFO, and read a device.
        with suppress(OSError):  # not there yet; or SQLite will say it
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise EmbedderError(f"the embedding cache {self.path} is not a regular file")
        with closing(sqlite3.connect(self.path, timeout=0, isolation_level=None)) as connection:
            self._prepare(connection)
            return work(connection)

    def _unusable(self, error: Exception) -> EmbedderError:
        return EmbedderError(
            f"the embedding cache {self.path} is damaged or another file: "
            f"{one_line(str(error)):.200}; delete it or choose another path"
        )

    def _notice(self, error: Exception) -> None:
        if not self._noticed:
            self._noticed = True
            logger.warning(
                "the embedding cache %s cannot be used at the moment, and is done without: %s",
                self.path,
                one_line(str(error))[:200],
            )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if not self._is_ours(connection):
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have been faster.
            if not self._is_ours(connection):
                connection.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB)")
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        # Fails while others are opening the file too; the next connection will do it.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    def _is_ours(self, connection: sqlite3.Connection) -> bool:
        # In this order: the process that makes the file sets its mark together with the table.
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application == _APPLICATION:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                raise EmbedderError(
                    f"the embedding cache {self.path} has version {version}, this package writes "
                    f"version {_VERSION}; delete it or choose another path"
                )
            return True
        if application or tables:
            raise EmbedderError(
                f"{self.path} is an SQLite file of another program; choose another path"
            )
        return False


def _pack(key: bytes, vector: Vectors) -> bytes:
    data = np.asarray(vector, dtype="<f4").tobytes()
    return data + _checksum(key, data)


def _unpack(key: bytes, blob: object) -> Vectors | None:
    if not isinstance(blob, bytes) or len(blob) <= _CHECKSUM:
        return None
    data, checksum = blob[:-_CHECKSUM], blob[-_CHECKSUM:]
    if checksum != _checksum(key, data) or len(data) % 4:
        return None
    return np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, key=key, digest_size=_CHECKSUM).digest()
