"""Vectors kept in an SQLite file, so that no text is embedded twice."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from avengers_core.embedders.base import Embedder, Vectors, as_texts, as_unit_rows
from avengers_core.errors import EmbedderError
from avengers_core.progress import progress_bar

T = TypeVar("T")

_APPLICATION = 0x41764562  # "AvEb", in the file's header: it is a cache of this package
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY,      -- SHA-256 of the embedder's id and the text
    vector BLOB NOT NULL,      -- float32, little endian
    checksum INTEGER NOT NULL  -- CRC-32 of key and vector: SQLite itself does not check content
)
"""
_KEYS_PER_QUERY = 500  # old builds of SQLite allow 999 parameters
_BUSY_SECONDS = 60.0


class CachedEmbedder:
    """An embedder that remembers its vectors in an SQLite file.

    Rows are keyed by the hash of the embedder's id and of the text, so one file serves any number
    of embedders; texts themselves are not stored. Threads, processes and forked children can use
    one file at once (WAL mode). What was computed is committed chunk by chunk: a killed process or
    a failing endpoint loses one chunk at most. A damaged row is computed again. Picklable if the
    embedder is.

    Args:
        embedder: the one to ask for what is not known yet; its id must tell which vectors it
            gives, so one with a derived id of a ``<lambda>`` is refused.
        path: the file; made, with its folder, at the first use.
        chunk_size: texts to embed and commit at once, at least 1.

    Raises:
        ValueError: an argument out of range, or an id that does not name the vectors.
    """

    def __init__(
        self, embedder: Embedder, path: str | os.PathLike[str], *, chunk_size: int = 512
    ) -> None:
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
        if "<lambda>" in embedder.id:
            raise ValueError(
                f"the id {embedder.id!r} does not tell one function from another, and a cache "
                f"would mix their vectors up; give it one: CallableEmbedder(fn, id=...)"
            )
        self.embedder = embedder
        self.path = Path(path).expanduser().absolute()
        self.chunk_size = chunk_size
        self._dim = 0
        self._local = threading.local()

    @property
    def id(self) -> str:
        """The id of the embedder: the vectors are the same."""
        return self.embedder.id

    @property
    def dim(self) -> int:
        """Length of the vectors; 0 as long as neither the embedder nor the cache has told."""
        return self.embedder.dim or self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed n texts; each distinct one that is not in the cache goes to the embedder, once.

        Returns:
            (n, dim) float32 unit rows.

        Raises:
            EmbedderError: the embedder failed (what it gave before is kept), or the file is not a
                cache, is damaged or stays locked by another process for a minute.
        """
        texts = as_texts(texts)
        keys = self._keys(texts)
        known = self._get(list(keys))
        with self._missing(keys, known) as chunks:
            for chunk in chunks:
                self._put(known, chunk, self.embedder.embed([keys[key] for key in chunk]))
        return self._assemble(texts, keys, known)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`; the file is read and written in a thread."""
        texts = as_texts(texts)
        keys = self._keys(texts)
        known = await asyncio.to_thread(self._get, list(keys))
        with self._missing(keys, known) as chunks:
            for chunk in chunks:
                vectors = await self.embedder.aembed([keys[key] for key in chunk])
                await asyncio.to_thread(self._put, known, chunk, vectors)
        return self._assemble(texts, keys, known)

    def _keys(self, texts: Sequence[str]) -> dict[bytes, str]:
        """The distinct texts by key, in order of first appearance."""
        prefix = hashlib.sha256(self.id.encode() + b"\0")
        keys = {}
        for text in dict.fromkeys(texts):
            digest = prefix.copy()
            digest.update(text.encode())
            keys[digest.digest()] = text
        return keys

    @contextmanager
    def _missing(
        self, keys: Mapping[bytes, str], known: Mapping[bytes, Vectors]
    ) -> Iterator[Iterator[list[bytes]]]:
        """The keys that are not known, in chunks, with a bar over all texts."""
        missing = [key for key in keys if key not in known]
        with progress_bar(len(missing), "embedding", "text") as advance:

            def chunks() -> Iterator[list[bytes]]:
                for start in range(0, len(missing), self.chunk_size):
                    chunk = missing[start : start + self.chunk_size]
                    yield chunk
                    advance(len(chunk))

            yield chunks()

    def _assemble(
        self, texts: Sequence[str], keys: Mapping[bytes, str], known: Mapping[bytes, Vectors]
    ) -> Vectors:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        sizes = {len(vector) for vector in known.values()}
        if len(sizes) > 1:
            raise EmbedderError(
                f"{self.path} holds vectors of other dimensions than the embedder {self.id!r} "
                f"gives now: {sorted(sizes)}. Give the embedder another id, or delete the file."
            )
        self._dim = sizes.pop()
        row = {text: i for i, text in enumerate(keys.values())}
        distinct = np.stack([known[key] for key in keys])
        return distinct[[row[text] for text in texts]]

    # Rows

    def _get(self, keys: list[bytes]) -> dict[bytes, Vectors]:
        """The vectors of those keys that have a sound row."""
        return self._with_connection(lambda connection: self._select(connection, keys))

    def _select(self, connection: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, Vectors]:
        found = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})"
            for key, blob, checksum in connection.execute(query, part):
                if _sound(key, blob, checksum, self.embedder.dim):
                    found[key] = np.frombuffer(blob, dtype="<f4").astype(np.float32, copy=False)
        return found

    def _put(self, known: dict[bytes, Vectors], keys: list[bytes], vectors: Vectors) -> None:
        """Store vectors and add them to ``known``."""
        vectors = _checked(vectors, len(keys), self.embedder)
        rows = []
        for key, vector in zip(keys, vectors, strict=True):
            blob = vector.astype("<f4").tobytes()
            rows.append((key, blob, zlib.crc32(key + blob)))

        def insert(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

        self._with_connection(insert)
        known.update(zip(keys, vectors, strict=True))

    # Connections

    def _with_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._connection())
        except sqlite3.Error as error:
            self._local = threading.local()  # what is wrong may be the connection
            if "locked" in str(error) or "busy" in str(error):
                raise EmbedderError(
                    f"the cache {self.path} was locked by another process for "
                    f"{_BUSY_SECONDS:.0f} s ({error})"
                ) from error
            raise EmbedderError(
                f"the embedding cache {self.path} can not be used ({error}). If it is damaged, "
                f"delete it: vectors will be computed again."
            ) from error

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; none is carried over a fork."""
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is None or handle.pid != os.getpid():
            handle = self._local.handle = _Handle(_open(self.path))
        return handle.connection

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.embedder!r}, {str(self.path)!r})"


class _Handle:
    """A connection that is closed with its thread, in the process that opened it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()

    def __del__(self) -> None:
        if self.pid == os.getpid():
            self.connection.close()
        else:
            # Closing a connection that came over a fork could drop the parent's locks.
            _inherited.append(self.connection)


_inherited: list[sqlite3.Connection] = []


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbedderError(f"the folder of the cache {path} can not be made ({error})") from error
    # Closed by the handle's finalizer, which may run in another thread.
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is a cache, or make it one."""
    if not _is_ours(connection, path):
        with _transaction(connection):
            if not _is_ours(connection, path):  # another process may have been faster
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
    _write_ahead(connection)
    # With WAL this survives a killed process; only a power cut can cost the last commits.
    connection.execute("PRAGMA synchronous = NORMAL")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a cache; False, it is empty.

    Raises:
        EmbedderError: it is something else.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (_APPLICATION, _VERSION):
        return True
    if application == _APPLICATION:
        raise EmbedderError(
            f"{path} is an embedding cache of format {version}; this version of the package reads "
            f"format {_VERSION}. Use another file."
        )
    if application or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise EmbedderError(f"{path} is a database of something else, not an embedding cache")
    return False


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode, which does not heed the busy timeout by itself."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: a transaction that turns from reading to writing fails at once if another writes.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _sound(key: Any, blob: Any, checksum: Any, dim: int) -> bool:
    return (
        isinstance(blob, bytes)
        and len(blob) > 0
        and len(blob) == 4 * (dim or len(blob) // 4)
        and zlib.crc32(key + blob) == checksum
    )


def _checked(vectors: Any, n: int, embedder: Embedder) -> Vectors:
    """Vectors as they came if they are sound; only what a foreign embedder gave is scaled."""
    rows = as_unit_rows(vectors, n, embedder.dim, f"embedder {embedder.id!r}")
    same = isinstance(vectors, np.ndarray) and vectors.dtype == np.float32
    if same and np.allclose(rows, vectors, rtol=0, atol=1e-5):
        return np.ascontiguousarray(vectors)
    return rows
