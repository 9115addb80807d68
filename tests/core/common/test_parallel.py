"""Blocks in threads: each done once, one caller at a time, and the products' threads as before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.cluster import KMeans
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from avengers_core.common.parallel import in_parallel, one_thread
from avengers_core.fitting.clustering import cluster


def blas_threads():
    return [b["num_threads"] for b in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture(autouse=True)
def four_blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(4, user_api="blas"):
        if blas_threads() != [4] * len(blas_threads()):
            pytest.skip("this machine's products cannot use four threads")
        yield


@pytest.mark.parametrize("n", [0, 1, 3, 4, 50])
def test_each_block_is_done_once(n):
    done = []
    in_parallel(done.extend, range(n))
    assert sorted(done) == list(range(n))


def test_threads_are_used_and_their_products_have_one_thread_each():
    seen = {}
    together = threading.Barrier(4, timeout=30)

    def work(left):
        together.wait()
        seen[threading.get_ident()] = blas_threads()
        for _ in left:
            pass

    in_parallel(work, range(8))
    assert len(seen) == 4
    assert all(set(limits) == {1} for limits in seen.values())
    assert set(blas_threads()) == {4}


def test_whoever_limits_the_products_limits_the_threads():
    seen = set()

    def work(left):
        seen.add(threading.get_ident())
        for _ in left:
            pass

    with threadpool_limits(1, user_api="blas"):
        in_parallel(work, range(100))
    assert seen == {threading.get_ident()}


def test_callers_at_the_same_time_leave_the_limits_as_they_were():
    done = []

    def call(_):
        in_parallel(done.extend, range(40))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(100)))
    assert len(done) == 4000
    assert set(blas_threads()) == {4}


def test_what_the_work_raises_is_raised_and_all_is_released():
    def work(left):
        raise ValueError(f"bad block {next(left)}")

    for _ in range(2):
        with pytest.raises(ValueError, match="bad block"):
            in_parallel(work, range(40))
    assert set(blas_threads()) == {4}


def test_limits_that_overlap_end_with_them():
    """As those of two threads do, of which the first to come is the first to go."""
    first, second = one_thread(), one_thread()
    assert set(blas_threads()) == {1}
    first.__exit__()
    second.__exit__()
    assert set(blas_threads()) == {4}


def test_k_means_uses_one_thread_of_each_library(monkeypatch):
    seen = []
    fit = KMeans.fit

    def watched(self, *given):
        seen.append({library["num_threads"] for library in threadpool_info()})
        return fit(self, *given)

    monkeypatch.setattr(KMeans, "fit", watched)
    with threadpool_limits(4):
        cluster(np.eye(8, dtype=np.float32), n_clusters=2, seed=0, n_init=1)
    assert seen == [{1}]
