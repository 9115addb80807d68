"""Ids of calls."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from children import forks

from avengers_core.serving.watching.ids import new_id


def test_no_two_threads_have_the_same() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(5_000)))
    assert len(set(ids)) == 5_000
    assert all(len(digits) == 32 and int(digits, 16) >= 0 for digits in ids)


@forks
def test_a_forked_child_has_others() -> None:
    new_id()  # more are at hand now
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    of_child = os.read(reading, 32).decode()
    os.close(reading)
    os.close(writing)
    assert len(of_child) == 32
    assert of_child not in {new_id() for _ in range(300)}
