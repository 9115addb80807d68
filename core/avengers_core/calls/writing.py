"""Rows written behind the calls that they are of: in a thread, from a queue that has an end."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from avengers_core.calls.rows import Row
from avengers_core.calls.store import open_log, write
from avengers_core.errors import LogError
from avengers_core.redaction import describe

logger = logging.getLogger(__name__)

LIMIT = 10_000
"""Rows that wait to be written; what comes beyond is dropped, and counted."""

_BATCH = 1000  # rows of one transaction
# What is done here takes the interpreter's lock from the calls, so it waits until they pause.
_PAUSE = 0.25  # seconds
_FEW = 20  # rows in that time
_LONGEST_WAIT = 5.0  # seconds, whether they pause or not
# Another attempt may succeed; anything else is the row's own fault.
_LATER = (sqlite3.OperationalError, LogError, OSError)
_IDLE = 5.0  # seconds without a row after which the thread ends
_LONGEST_PAUSE = 2.0  # seconds, between attempts to write to what cannot be written to
_FOR_OTHERS = 0.5  # seconds, for another program that is writing to the file
_AT_CLOSE = 5.0  # seconds that whoever closes waits


class _Flush(threading.Event):
    """A mark in the queue: what is before it has been written, or at least tried."""

    written = False


class CallLog:
    """Where the rows of calls go: a file, or a function.

    :meth:`put` never waits and never raises. What cannot be written now is tried again; what does
    not fit into the queue meanwhile is dropped. That rows are lost is logged when it begins, by
    the log's own thread, and once for each stretch of losses; :meth:`close` says how many more.

    Args:
        target: path of a SQLite file; or a function that takes a row as a dict, called in the
            log's own thread.
        limit: rows that may wait.

    Attributes:
        dropped: rows that were not written and never will be.
        written: rows that were.
    """

    def __init__(self, target: str | Callable[[dict[str, Any]], Any], limit: int = LIMIT) -> None:
        self.target = target
        self.limit = limit
        self.dropped = self.written = 0
        self._why = f"more than {limit:,} were waiting"
        self._said = self._seen = 0  # of the dropped rows: told of, and looked at
        self.begin()

    def begin(self) -> None:
        """Begin with nothing.

        Also in a forked child, where the thread is gone, locks may be held, and what is waiting is
        the parent's to write.
        """
        self._waiting: deque[tuple[Any, ...] | _Flush] = deque()
        self._pending: list[Row] = []
        self._awake = threading.Event()
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._thread: threading.Thread | None = None
        self._file: sqlite3.Connection | None = None
        self._losing = False

    @property
    def name(self) -> str:
        """The path, or what the function is called."""
        if isinstance(self.target, str):
            return self.target
        return f"log={getattr(self.target, '__qualname__', type(self.target).__name__)}"

    def put(self, make: Callable[..., Row], *facts: Any) -> None:
        """Have a row written soon.

        Args:
            make: makes it, in the log's thread.
            facts: of what.
        """
        if len(self._waiting) >= self.limit:
            self._drop(1)
            return
        self._waiting.append((make, *facts))
        if not self._awake.is_set():
            self._wake()

    def flush(self, timeout: float = _AT_CLOSE) -> bool:
        """Wait until what was put so far is written; False if it is not within some seconds."""
        deadline = time.monotonic() + timeout
        while self._waiting or self._pending or self._thread is not None:
            mark = _Flush()
            self._waiting.append(mark)
            self._wake()
            self._hurry.set()
            left = deadline - time.monotonic()
            if not mark.wait(max(left, 0.0)) or left <= 0:
                return False
            if mark.written:
                return True
            time.sleep(min(_PAUSE, left))
        return True

    def close(self, timeout: float = _AT_CLOSE) -> None:
        """Write what is waiting, and say what was dropped; a row that comes later opens it again.

        Args:
            timeout: how long to wait for a file that cannot be written to, seconds.
        """
        if not self.flush(timeout):
            # What is being written at this moment may still succeed.
            held = self._sending.acquire(timeout=2 * _FOR_OTHERS)
            with self._lock:
                rows = [item for item in self._waiting if not isinstance(item, _Flush)]
                lost = len(rows) + len(self._pending)
                self._waiting.clear()
                self._pending = []
            if held:
                self._sending.release()
            self._drop(lost, self._why)
        self._tell()

    # -- the thread --

    def _wake(self) -> None:
        with self._lock:
            self._awake.set()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="avengers-log", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads; the next row tries again
                    self._awake.clear()
                else:
                    self._thread = thread

    def _run(self) -> None:
        failed, behind = 0, False
        while True:
            if not self._awake.wait(_IDLE):
                with self._lock:
                    if not self._awake.is_set():
                        self._thread = None
                        self._close_file()
                        return
            if not behind:
                self._wait_for_pause(min(_PAUSE * 2**failed, _LONGEST_PAUSE))
            self._hurry.clear()
            self._awake.clear()
            with self._sending:
                marks = self._take()
                behind = len(self._pending) == _BATCH
                written = self._write()
            self._look(written)
            failed = 0 if written else failed + 1
            behind = behind and written
            if self._waiting or self._pending:
                self._awake.set()
            for mark in marks:
                mark.written = written
                mark.set()

    def _look(self, written: bool) -> None:
        """Say that rows are being lost, once until all is well again."""
        lost, self._seen = self.dropped > self._seen, self.dropped
        if lost and not self._losing:
            self._tell()
        self._losing = lost or (self._losing and not written)

    def _tell(self) -> None:
        with self._lock:
            lost, self._said = self.dropped - self._said, self.dropped
        if lost:
            logger.warning("%s: rows that were not written: %d (%s)", self.name, lost, self._why)

    def _wait_for_pause(self, pause: float) -> None:
        """Wait until few rows come; less where half of the queue is full."""
        latest = time.monotonic() + _LONGEST_WAIT
        while True:
            before = len(self._waiting)
            if self._hurry.wait(pause) or time.monotonic() > latest:
                return
            now = len(self._waiting)
            if now - before < _FEW or now > self.limit // 2:
                return

    def _take(self) -> list[_Flush]:
        """Rows from the queue, made; and the marks that came with them."""
        marks = []
        while self._waiting and len(self._pending) < _BATCH:
            item = self._waiting.popleft()
            if isinstance(item, _Flush):
                marks.append(item)
                continue
            make, *facts = item
            try:
                self._pending.append(make(*facts))
            except Exception as error:
                self._drop(1, describe(error))
        return marks

    def _write(self) -> bool:
        """Whether what was taken is done with; what cannot be written now is kept."""
        rows = self._pending
        try:
            for some in (rows,) if isinstance(self.target, str) else ([row] for row in rows):
                self._send(some)
        except _LATER as error:
            self._why = describe(error)
            self._close_file()
            return False
        with self._lock:
            self._pending = []
        return True

    def _send(self, rows: Sequence[Row]) -> None:
        try:
            if not isinstance(self.target, str):
                for row in rows:
                    self.target(row._asdict())
            elif rows:
                if self._file is None:
                    self._file = open_log(self.target, _FOR_OTHERS)
                write(self._file, rows)
        except Exception as error:
            if isinstance(self.target, str) and isinstance(error, _LATER):
                raise
            if len(rows) == 1:
                self._drop(1, describe(error))
            else:  # one of them is to blame
                for row in rows:
                    self._send([row])
        else:
            self.written += len(rows)

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(sqlite3.Error):
                self._file.close()
            self._file = None

    def _drop(self, n: int, why: str | None = None) -> None:
        with self._lock:
            self.dropped += n
            self._why = why or self._why
