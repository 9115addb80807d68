"""Parts of the work done on a Ray cluster; needs the extra ``ray``.

A Ray that ``RAY_ADDRESS`` names is joined; else a local one is started. Workers are actors: each
loads the embedder once, and ``workers=`` bounds how many of them talk to an endpoint. Ray Data
hands them descriptions of parts of files, which they read themselves, so the files must be where
all of them can see them, and only sums, counts and a sample travel.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import numpy as np

from avengers_core.errors import AvengersError, OptionalDependencyError
from avengers_core.redaction import describe, masked_cause
from avengers_core.scanning.pool import MOST_CRASHES, limit_threads, too_many_crashes

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
    here = ray.get_runtime_context()
    attempts = _Attempts(_counter(here.get_node_id(), here.get_job_id()), uuid4().hex)
    # Sent once to the object store, not once with each actor or task.
    payload = [ray.put(pickle.dumps((os.getcwd(), job)))]
    rows = [{"number": i, "part": pickle.dumps(part)} for i, part in enumerate(parts)]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    data.context.enable_progress_bars = False
    # Else the driver would hold all that was done while one part is done again.
    data.context.execution_options.preserve_order = True
    work: Any
    if getattr(job, "embeds", False):
        work = data.map_batches(
            _Worker,
            fn_constructor_args=(attempts, payload),
            compute=ray.data.ActorPoolStrategy(size=size),
            batch_size=1,
            num_cpus=share,
        )
    else:
        # Nothing to load, so no actors to start.
        work = data.map_batches(
            _do,
            fn_args=(attempts, payload),
            compute=ray.data.TaskPoolStrategy(size=size),
            batch_size=1,
            num_cpus=share,
        )
    try:
        for row in work.iter_rows():
            done, result = pickle.loads(row["result"])
            if not done:
                raise result
            yield result
    except ray.exceptions.RayError as error:
        raise AvengersError(
            f"Ray workers cannot do the work: {describe(error)}. Each needs this package, and the "
            f"embedder's modules, where it runs."
        ) from masked_cause(error)


def start() -> Any:
    """The ray module, connected."""
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise OptionalDependencyError("ray[data]", "ray") from error
    if not ray.is_initialized():
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        address = os.environ.get("RAY_ADDRESS", "")
        try:
            _reach(address)
            with _quiet() if not address else nullcontext():
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Ray's C++ from telling the terminal about actors that Ray Data itself makes.

    It does so up to a level that it reads when it starts, which in turn it tells the terminal.
    """
    name = "RAY_BACKEND_LOG_LEVEL"
    if name in os.environ:  # whoever set it wants to see it
        yield
        return
    terminal = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        os.environ[name] = "fatal"
        yield
    finally:
        os.environ.pop(name, None)
        os.dup2(terminal, 2)
        os.close(terminal)


class _Counter:
    """An actor that counts how often each part was begun: Ray repeats for ever what kills it."""

    def __init__(self) -> None:
        self._begun: Counter[tuple[str, int]] = Counter()

    def begin(self, work: str, number: int) -> int:
        self._begun[work, number] += 1
        return self._begun[work, number]


@cache
def _counter(_node: str, _job: str) -> Any:
    """One for all the work of a driver, which a node and a job of Ray tell: it is a process."""
    import ray

    # It may die with its node: counting anew is better than giving up.
    return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Counter).remote()


class _Attempts(NamedTuple):
    """How often the parts of some work were begun."""

    counter: Any
    work: str

    def begin(self, number: int) -> int:
        import ray

        return int(ray.get(self.counter.begin.remote(self.work, number)))


class _Worker:
    """An actor: sets up the job once, and does it part by part."""

    def __init__(self, attempts: _Attempts, payload: list[Any]) -> None:
        limit_threads()
        self._attempts, self._job = attempts, _unpacked(payload)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return _result(batch, self._attempts, self._job)


def _do(batch: dict[str, Any], attempts: _Attempts, payload: list[Any]) -> dict[str, Any]:
    return _result(batch, attempts, _unpacked(payload))


def _unpacked(payload: list[Any]) -> Any:
    """The job; relative paths mean here what they mean on the driver."""
    import ray

    folder, job = pickle.loads(ray.get(payload[0]))
    with suppress(OSError):  # not on this node; absolute paths and addresses may be
        os.chdir(folder)
    return job


def _result(
    batch: dict[str, Any], attempts: _Attempts, job: Callable[[int, Any], Any]
) -> dict[str, Any]:
    """What the job returned or raised: Ray would wrap an exception in one of its own."""
    number, part = int(batch["number"][0]), pickle.loads(batch["part"][0])
    packed = np.empty(1, dtype=object)
    try:
        if attempts.begin(number) > MOST_CRASHES:
            raise too_many_crashes(number, part)
        packed[0] = pickle.dumps((True, job(number, part)))
    except Exception as error:
        packed[0] = pickle.dumps((False, error))
    return {"result": packed}
