"""Vectors in an SQLite file that many threads and processes share."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np

from avengers_core.embedders.base import Vectors
from avengers_core.errors import EmbedderError

# "AvgE": marks the file as ours, see https://sqlite.org/pragma.html#pragma_application_id
_APPLICATION = 0x41766745
_VERSION = 1
_BUSY_SECONDS = 60.0
_KEYS_PER_QUERY = 500  # old SQLite takes 999 variables
_CHECKSUM = 8


class VectorStore:
    """A persistent map from keys to vectors.

    Every operation opens and closes its own connection (about 0.2 ms). That makes it safe under
    threads and after a fork, and leaves nothing to close. A write is one transaction of a
    write-ahead log, so a killed process loses at most the transaction that it was in. Each row
    carries a checksum: a damaged one counts as absent.

    Args:
        path: the file; made, with its folder, if it is not there.

    Raises:
        EmbedderError: the file is something else, or can not be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbedderError(f"the folder of the embedding cache {path}: {error}") from None
        with self._connection():
            pass

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """The vectors of those keys that are there."""
        found: dict[bytes, Vectors] = {}
        with self._connection() as connection:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
                for key, blob in connection.execute(query, some):
                    vector = _unpack(key, blob)
                    if vector is not None:
                        found[key] = vector
        return found

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Store vectors, all or none."""
        rows = [(key, _pack(key, vector)) for key, vector in vectors.items()]
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            ) as connection:
                self._prepare(connection)
                yield connection
        except sqlite3.Error as error:
            raise EmbedderError(
                f"the embedding cache {self.path} can not be used: {error}. If it is damaged or "
                f"is another file, delete it or choose another path; if the disk is full or "
                f"read-only, do without a cache"
            ) from error

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
