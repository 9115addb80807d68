"""Numpy on parts of a large array, one thread a processor."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from avengers_core.common.forks import lock_over_forks

# Blocks; fewer are done before a thread has started.
_WORTH_A_THREAD = 2
_busy = threading.Lock()
# OpenBLAS holds a lock of its own while it is told how many threads to use.
_setting = lock_over_forks()


def in_parallel(work: Callable[[Iterator[int]], None], blocks: Sequence[int]) -> None:
    """Do some numpy work on each of some blocks of rows.

    Only matrix products use several processors by themselves. Here each thread does all that has
    to be done to its rows, while they are in the processor's cache, and the products in it use one
    thread each.

    Args:
        work: called once in each thread, with an iterator over the blocks that are still to be
            done, which all threads share. Different blocks must not write to the same memory.
        blocks: what the iterator gives, each once.

    Raises:
        Exception: what the work raised; other threads still finish theirs.
    """
    left = iter(blocks)
    # Another thread that is at it has all processors, and has set the products' threads.
    if len(blocks) < 2 * _WORTH_A_THREAD or not _busy.acquire(blocking=False):
        work(left)
        return
    try:
        blas = _controller(sklearn=False).select(user_api="blas")
        # As many threads as a product would use: whoever limits those means these, too.
        most = max((library.num_threads for library in blas.lib_controllers), default=1)
        workers = min(most, len(blocks) // _WORTH_A_THREAD)
        if workers < 2:
            work(left)
            return
        with _OneThread(blas), ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, [left] * workers))
    finally:
        _busy.release()


def one_thread() -> Any:
    """A context in which numpy's and scikit-learn's loops use one thread.

    More wait for each other by spinning, which takes ten times as long where another process has
    one of the processors (measured, k-means on 20,000 vectors with two threads: 9 s alone, 70 to
    95 s with other work, against 11 to 15 s with one), and add up in an order that varies.
    """
    # Its libraries are only found when it has been imported.
    sklearn = hasattr(sys.modules.get("sklearn.cluster"), "KMeans")
    return _OneThread(_controller(sklearn=sklearn))


class _OneThread:
    """Libraries use one thread each from when this is made until it is left.

    What uses one already is left alone, also at the end: another thread may be in here, and would
    have its limit taken for what was usual before, for good.
    """

    def __init__(self, libraries: Any) -> None:
        with _setting:
            several = [lib.filepath for lib in libraries.lib_controllers if lib.num_threads != 1]
            self._limit = libraries.select(filepath=several).limit(limits=1)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        with _setting:
            self._limit.restore_original_limits()


@lru_cache(maxsize=2)
def _controller(*, sklearn: bool) -> Any:
    """The libraries in this process that use threads; to look for them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
