"""Numpy on blocks of a large array, one thread a processor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

# Fewer blocks than this are done before threads have started.
_FEW = 8


def in_parallel(work: Callable[[int], None], blocks: Sequence[int]) -> None:
    """Do some numpy work on each block.

    Only matrix products use several processors by themselves. Here each thread does all that has
    to be done to its block, which is then still in the processor's cache, and the products in it
    use one thread each.

    Args:
        work: called with each block; different blocks must not write to the same memory.
        blocks: what to call it with.

    Raises:
        Exception: what the first block that failed raised.
    """
    workers = min(os.cpu_count() or 1, len(blocks) // 2)
    if len(blocks) < _FEW or workers < 2:
        for block in blocks:
            work(block)
        return
    with _one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, blocks))


def _one_blas_thread() -> AbstractContextManager[Any]:
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
