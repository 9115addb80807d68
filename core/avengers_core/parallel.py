"""Numpy on parts of a large array, one thread a processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

# Blocks; fewer are done before a thread has started.
_WORTH_A_THREAD = 2


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
    workers = min(os.cpu_count() or 1, len(blocks) // _WORTH_A_THREAD)
    if workers < 2:
        work(left)
        return
    with _one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [left] * workers))


def _one_blas_thread() -> AbstractContextManager[Any]:
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
