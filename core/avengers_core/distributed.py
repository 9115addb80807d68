"""Fitting, routing, evaluation and embedding on a Ray cluster; needs the extra ``ray``.

The same functions as in :mod:`avengers_core.bulk`, with ``engine="ray"``::

    from avengers_core import distributed

    fitted = distributed.fit("s3://logs/day.parquet", embedder="wordllama")

A Ray that ``RAY_ADDRESS`` names is joined; else a local one is started. Workers are actors: each
loads the embedder once, and ``workers=`` bounds how many of them talk to an endpoint. Ray Data
hands them descriptions of parts of files, which they read themselves, so the files must be where
all of them can see them, and only sums, counts and a sample travel.
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from avengers_core import bulk
from avengers_core.bulk.files import Part
from avengers_core.errors import OptionalDependencyError

R = TypeVar("R")

fit = partial(bulk.fit, engine="ray")
"""See :func:`avengers_core.bulk.fit`."""
route = partial(bulk.route, engine="ray")
"""See :func:`avengers_core.bulk.route`."""
evaluate = partial(bulk.evaluate, engine="ray")
"""See :func:`avengers_core.bulk.evaluate`."""
embed = partial(bulk.embed, engine="ray")
"""See :func:`avengers_core.bulk.embed`."""


def run_on_ray(
    job: Callable[[int, Part], R], parts: Sequence[Part], workers: int | None
) -> Iterator[R]:
    """The result of a job on each part, in order; see :func:`avengers_core.bulk.workers.run`."""
    if not parts:
        return
    ray = start()
    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    size = min(workers or cpus, len(parts))
    payload = pickle.dumps(job)
    rows = [{"number": i, "part": json.dumps(part)} for i, part in enumerate(parts)]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    if getattr(job, "embeds", False):
        work = data.map_batches(
            _Worker,
            fn_constructor_args=(payload,),
            compute=ray.data.ActorPoolStrategy(size=size),
            batch_size=1,
            num_cpus=1,
        )
    else:
        # Nothing to load, so no actors to start.
        compute = ray.data.TaskPoolStrategy(size=size)
        work = data.map_batches(_do, fn_args=(payload,), compute=compute, batch_size=1, num_cpus=1)
    ahead: dict[int, R] = {}
    following = 0
    for row in work.iter_rows():
        ahead[int(row["number"])] = pickle.loads(row["result"])
        while following in ahead:
            yield ahead.pop(following)
            following += 1


def start() -> Any:
    """The ray module, connected."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise OptionalDependencyError("ray[data]", "ray") from error
    if not ray.is_initialized():
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        ray.data.DataContext.get_current().enable_progress_bars = False
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    return ray


class _Worker:
    """An actor: sets up the job once, and does it part by part."""

    def __init__(self, payload: bytes) -> None:
        from avengers_core.bulk.workers import limit_threads

        limit_threads()
        self._job = pickle.loads(payload)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return _result(batch, self._job)


def _do(batch: dict[str, Any], payload: bytes) -> dict[str, Any]:
    return _result(batch, pickle.loads(payload))


def _result(batch: dict[str, Any], job: Callable[[int, Part], Any]) -> dict[str, Any]:
    number = int(batch["number"][0])
    result = np.empty(1, dtype=object)
    result[0] = pickle.dumps(job(number, Part(*json.loads(batch["part"][0]))))
    return {"number": batch["number"], "result": result}
