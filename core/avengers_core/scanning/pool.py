"""Parts of the work done by several processes of this machine."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from avengers_core.common.parallel import one_thread
from avengers_core.errors import AvengersError
from avengers_core.redaction import describe

R = TypeVar("R")
Job = Callable[[int, Any], R]
"""Called with a part's number and the part."""

# Parts in hand for each worker: enough that none waits for the next.
AHEAD = 2
# How often one part may kill its worker before the job gives up.
MOST_CRASHES = 4
_LOOKS = 0.5  # seconds between looks at whether the parent is alive
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Processes:
    """Processes that do parts of the work.

    They are started when there are parts for them, and stay, with what they have imported, for the
    next job, until they are closed.

    Args:
        count: how many; None: one for each processor.
    """

    def __init__(self, count: int | None) -> None:
        self._count = count or processors()
        self._jobs = 0
        self._busy = False
        self._team: _Team | None = None

    def run(self, job: Job[R], parts: Sequence[Any]) -> Iterator[R]:
        """The result of a job on each part, in order.

        Raises:
            Exception: what the job raised; as when the caller looks at no more, the processes end.
            AvengersError: workers keep dying, or the job cannot be sent to them.
            RuntimeError: results of another job are still being read.
        """
        if self._busy:
            raise RuntimeError(
                "the processes are at another job: read its results to the end, or close it, first"
            )
        self._busy = True
        try:
            yield from self._run(job, parts)
        finally:
            self._busy = False

    def _run(self, job: Job[R], parts: Sequence[Any]) -> Iterator[R]:
        if _script_is_being_imported():
            # A traceback for each worker would bury this.
            raise SystemExit(
                "worker processes import the script that starts them, and this one starts some "
                "again when it is imported: put what it does under `if __name__ == '__main__':`"
            )
        content = packed(job)
        self._jobs += 1
        done = crashes = suspected = 0
        while done < len(parts):
            # Which of several parts at a time has killed its worker cannot be told: after a crash
            # those that were in hand are done one by one.
            alone = done < suspected
            at_once = 1 if alone else min(self._count, len(parts) - done) * (1 + AHEAD)
            stop = min(suspected, len(parts)) if alone else len(parts)
            try:
                for result in self._results(content, parts[:stop], done, at_once):
                    yield result
                    done, crashes = done + 1, 0
            except BrokenProcessPool as error:
                # Parts are done again by a new team; results handed on stay.
                crashes += 1
                suspected = max(suspected, done + at_once)
                if crashes >= MOST_CRASHES:
                    raise too_many_crashes(done, parts[done]) from error

    def _results(
        self, content: bytes, parts: Sequence[Any], start: int, at_once: int
    ) -> Iterator[Any]:
        self._team = team = self._team or _Team(self._count)
        knowing: set[int] = set()  # the processes that have the job
        waiting: deque[Future[tuple[int, Any]]] = deque()
        following = start
        whole = False
        try:
            while waiting or following < len(parts):
                while following < len(parts) and len(waiting) < at_once:
                    sent = None if len(knowing) == self._count else content
                    task = (self._jobs, sent, following, parts[following])
                    waiting.append(team.executor.submit(_do, *task))
                    following += 1
                process, result = waiting.popleft().result()
                knowing.add(process)
                yield result
            whole = True
        finally:
            if not whole:
                self.close(at_once=True)

    def close(self, *, at_once: bool = False) -> None:
        """End the processes; ``at_once``: also what they are at, which nobody wants."""
        team, self._team = self._team, None
        if team is not None:
            team.end(at_once)


class _Team:
    """A pool of processes, and the pipe whose end is theirs."""

    def __init__(self, count: int) -> None:
        # A fork of a process with threads may hang; a fresh one cannot.
        context = get_context("spawn")
        self._here, self._there = context.Pipe(duplex=False)
        self.executor = ProcessPoolExecutor(
            count, context, initializer=_begin, initargs=(self._here,)
        )

    def end(self, at_once: bool) -> None:
        if at_once:
            self._there.close()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self._there.close()
        self._here.close()


def _script_is_being_imported() -> bool:
    """Whether this is a worker that is still importing the script which starts workers.

    ``multiprocessing`` imports it as ``__mp_main__``, and makes that ``__main__`` when it is done.
    """
    script = sys.modules.get("__mp_main__")
    return script is not None and script is not sys.modules.get("__main__")


def packed(job: Any) -> bytes:
    """What worker processes are sent; AvengersError where that cannot be."""
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AvengersError(
            f"the work cannot be sent to other processes ({error}). An embedder that is a "
            f"local function or lambda cannot; define it at the top of a module."
        ) from error


def portable(error: Exception) -> Exception:
    """What a job raised; where no other process could read that, an error that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does when it is made anew
        return AvengersError(f"a worker process failed: {describe(error)}")
    return error


def too_many_crashes(number: int, part: Any) -> AvengersError:
    """What is raised when a part has killed its worker :data:`MOST_CRASHES` times."""
    return AvengersError(
        f"worker processes died {MOST_CRASHES} times in a row at part {number}{_place(part)}. "
        f"The usual reasons are a script that lacks `if __name__ == '__main__':`, and too little "
        f"memory."
    )


def _place(part: Any) -> str:
    file = getattr(part, "file", "")
    return f" ({file})" if file else ""


_job: tuple[int, Job[Any]] | None = None
# Held but while a job is done: a process that ends in the middle of sending a result leaves the
# parent waiting for the rest of it for ever.
_sending = threading.Lock()


def _begin(parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    logging.basicConfig(format="%(levelname)s: %(message)s")  # as the command line has it
    _sending.acquire()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    limit_threads()


def _do(job: int, content: bytes | None, number: int, part: Any) -> tuple[int, Any]:
    """This process's id, and what a job, of which it has or gets the content, makes of a part."""
    global _job  # noqa: PLW0603 -- what a worker process is there for
    _sending.release()
    try:
        if _job is None or _job[0] != job:
            assert content is not None
            _job = None  # not two at a time: each may hold an embedder
            _job = job, pickle.loads(content)
        return os.getpid(), _job[1](number, part)
    except Exception as error:
        if (sent := portable(error)) is error:
            raise
        raise sent from None
    finally:
        _sending.acquire()


def _end_with(parent: Connection) -> None:
    """End this process when the parent lets go of its end of a pipe, or is killed.

    A pool's process waits for work for ever otherwise: the others hold the pipe that it comes by.
    """
    with suppress(EOFError, OSError):
        parent.recv()
    while not _sending.acquire(timeout=_LOOKS):
        if (process := parent_process()) is None or not process.is_alive():
            break  # nobody reads a result
    os._exit(1)


def processors() -> int:
    """Those that this process may use, which may be less than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads() -> None:
    """One thread for each worker: the parts are what runs in parallel."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ |= dict.fromkeys(_THREADS, "1")  # read by libraries that are loaded later
    one_thread()
