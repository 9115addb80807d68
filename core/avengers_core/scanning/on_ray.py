"""Parts of the work done on a Ray cluster; needs the extra ``ray``.

A Ray that ``RAY_ADDRESS`` names is joined; else a local one is started. Each part is a task; Ray's
processes keep the job from one to the next, and load the embedder once. They are handed
descriptions of parts of files, which they read themselves, so the files must be where all of them
can see them, and only sums, counts and a sample travel.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from avengers_core.errors import AvengersError, needing
from avengers_core.redaction import describe, masked_cause
from avengers_core.scanning.pool import (
    AHEAD,
    MOST_CRASHES,
    limit_threads,
    packed,
    portable,
    too_many_crashes,
)

R = TypeVar("R")


def run_on_ray(
    job: Callable[[int, Any], R], parts: Sequence[Any], workers: int | None
) -> Iterator[R]:
    """The result of a job on each part, in order; see :meth:`Workers.run`.

    Raises:
        Exception: what the job raised.
        AvengersError: workers keep dying, or cannot start.
    """
    if not parts:
        return
    ray = start()
    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    size = min(workers or cpus, len(parts))
    # Workers that wait for an endpoint may be more than there are processors.
    share = min(1.0, math.floor(1e4 * cpus / size) / 1e4)
    # Sent once to the object store, not once with each task.
    payload = ray.put(packed((os.getcwd(), job)))
    # What dies is begun again below, where it is counted: Ray would repeat for ever what kills it.
    do = ray.remote(num_cpus=share, max_retries=0)(_do)

    def begin(number: int) -> Any:
        return do.remote([payload], number, pickle.dumps(parts[number]))

    try:
        for answer in _in_order(ray, begin, parts, size):
            done, result = pickle.loads(answer)
            if not done:
                raise result
            yield result
    except ray.exceptions.RayError as error:
        raise AvengersError(
            f"Ray workers cannot do the work: {describe(error)}. Each needs this package, and the "
            f"embedder's modules, where it runs."
        ) from masked_cause(error)


def _in_order(
    ray: Any, begin: Callable[[int], Any], parts: Sequence[Any], size: int
) -> Iterator[bytes]:
    """What the tasks of the parts return, ``size`` of them at a time."""
    errors = ray.exceptions
    died = (
        *(errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError),
        errors.ObjectLostError,
    )
    running: dict[Any, int] = {}
    done: dict[int, bytes] = {}
    crashes: Counter[int] = Counter()
    following = 0
    try:
        for number in range(len(parts)):
            while number not in done:
                most = min(len(parts), number + size * (1 + AHEAD))
                while len(running) < size and following < most:
                    running[begin(following)] = following
                    following += 1
                (task,), _ = ray.wait(list(running))
                ended = running.pop(task)
                try:
                    done[ended] = ray.get(task)
                except died as error:
                    crashes[ended] += 1
                    if crashes[ended] >= MOST_CRASHES:
                        raise too_many_crashes(ended, parts[ended]) from masked_cause(error)
                    running[begin(ended)] = ended
            yield done.pop(number)
    finally:
        for task in running:  # nobody wants what they are at
            ray.cancel(task, force=True)


def start() -> Any:
    """The ray module, connected."""
    with needing("ray", "ray"):
        import ray
        import ray.exceptions
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS", "")
        try:
            _reach(address)
            ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        except (RuntimeError, OSError) as error:
            raise AvengersError(
                f"Ray cannot be joined at RAY_ADDRESS={address!r}: {describe(error)}. If it runs "
                f"there and wants a token, set RAY_AUTH_MODE=token."
                if address
                else f"Ray cannot be started: {describe(error)}"
            ) from masked_cause(error)
    return ray


def _reach(address: str) -> None:
    """Fail at once where Ray would wait for minutes: is anybody listening at ``host:port``?"""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


_job: tuple[str, str, Any] | None = None


def _do(payload: list[Any], number: int, part: bytes) -> bytes:
    """What the job returned or raised, pickled: Ray would wrap an exception in one of its own."""
    import ray

    global _job  # noqa: PLW0603 -- what a worker process is there for
    name = payload[0].hex()
    if _job is None or _job[0] != name:
        _job = None  # not two at a time: each may hold an embedder
        limit_threads()
        _job = name, *pickle.loads(ray.get(payload[0]))
    _, folder, job = _job
    with _inside(folder):
        try:
            return pickle.dumps((True, job(number, pickle.loads(part))))
        except Exception as error:
            return pickle.dumps((False, portable(error)))


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    """Relative paths mean what they mean on the driver, and then again what they meant.

    The process is Ray's, and does the tasks of others, too.
    """
    before = None
    with suppress(OSError):  # it may be gone
        before = os.getcwd()
    with suppress(OSError):  # not on this node; absolute paths and addresses may be
        os.chdir(folder)
    try:
        yield
    finally:
        if before is not None:
            os.chdir(before)
