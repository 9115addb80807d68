"""Parts of the work done by several processes of this machine."""

from __future__ import annotations

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
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from avengers_core.common.parallel import one_thread
from avengers_core.errors import AvengersError

R = TypeVar("R")
Job = Callable[[int, Any], R]
"""Called with a part's number and the part; ``embeds = True`` says that it loads an embedder."""

# Parts in hand for each worker: enough that none waits for the next.
_AHEAD = 2
# How often one part may kill its worker before the job gives up.
MOST_CRASHES = 4


def run_in_processes(job: Job[R], parts: Sequence[Any], workers: int | None) -> Iterator[R]:
    """The result of a job on each part, in order; ``workers``: None for one a processor."""
    workers = workers or processors()
    if _script_is_being_imported():
        # A traceback for each worker would bury this.
        raise SystemExit(
            "worker processes import the script that starts them, and this one starts some again "
            "when it is imported: put what it does under `if __name__ == '__main__':`"
        )
    try:
        payload = pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AvengersError(
            f"the work cannot be sent to other processes ({error}). An embedder that is a local "
            f"function or lambda cannot; define it at the top of a module."
        ) from error
    done = crashes = suspected = 0
    while done < len(parts):
        # Which of several parts at a time has killed its worker cannot be told: after a crash
        # those that were in hand are done one by one.
        alone = done < suspected
        team = 1 if alone else min(workers, len(parts) - done)
        ahead = 0 if alone else _AHEAD
        stop = min(suspected, len(parts)) if alone else len(parts)
        try:
            for result in _pool(payload, parts[:stop], done, team, ahead):
                yield result
                done, crashes = done + 1, 0
        except BrokenProcessPool as error:
            # Parts are done again by a new pool; results handed on stay.
            crashes += 1
            suspected = max(suspected, done + team * (1 + ahead))
            if crashes >= MOST_CRASHES:
                raise too_many_crashes(done, parts[done]) from error


def _script_is_being_imported() -> bool:
    """Whether this is a worker that is still importing the script which starts workers.

    ``multiprocessing`` imports it as ``__mp_main__``, and makes that ``__main__`` when it is done.
    """
    script = sys.modules.get("__mp_main__")
    return script is not None and script is not sys.modules.get("__main__")


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


def _pool(
    payload: bytes, parts: Sequence[Any], start: int, workers: int, ahead: int
) -> Iterator[Any]:
    # A fork of a process with threads may hang; a fresh one cannot.
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(payload, here))
    waiting: deque[Future[Any]] = deque()
    following = start
    try:
        while waiting or following < len(parts):
            while following < len(parts) and len(waiting) < workers * (1 + ahead):
                waiting.append(pool.submit(_do, following, parts[following]))
                following += 1
            yield waiting.popleft().result()
    finally:
        if waiting:
            there.close()  # nobody wants what they are at: let them go at once
        pool.shutdown(wait=True, cancel_futures=True)
        there.close()
        here.close()


_job: Job[Any] | None = None


def _begin(payload: bytes, parent: Connection) -> None:
    global _job  # noqa: PLW0603 -- what a worker process is there for
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    limit_threads()
    _job = pickle.loads(payload)


def _end_with(parent: Connection) -> None:
    """End this process when the parent lets go of its end of a pipe, or is killed.

    A pool's process waits for work for ever otherwise: the others hold the pipe that it comes by.
    """
    with suppress(EOFError, OSError):
        parent.recv()
    os._exit(1)


def processors() -> int:
    """Those that this process may use, which may be less than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _do(number: int, part: Any) -> Any:
    if _job is None:
        raise RuntimeError("the worker process was not set up")
    return _job(number, part)


def limit_threads() -> None:
    """One thread for each worker: the parts are what runs in parallel."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    one_thread()
