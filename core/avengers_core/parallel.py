"""Numpy on parts of a large array, one thread a processor."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


def in_parallel(work: Callable[[int, int], None], n: int, at_least: int) -> None:
    """Do some numpy work on all of n rows.

    Only matrix products use several processors by themselves. Here each thread does all that has
    to be done to its rows, while they are in the processor's cache, and the products in it use one
    thread each.

    Args:
        work: called with the first row and the row after the last; it may write to these only.
        n: number of rows.
        at_least: rows that are worth a thread.

    Raises:
        Exception: what the work on the first rows that failed raised.
    """
    workers = min(os.cpu_count() or 1, n // at_least)
    if workers < 2:
        work(0, n)
        return
    cuts = [n * i // workers for i in range(workers + 1)]
    with _one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))


def _one_blas_thread() -> AbstractContextManager[Any]:
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
