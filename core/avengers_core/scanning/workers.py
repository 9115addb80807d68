"""Who does the work: this process, several of this machine, or a Ray cluster.

All give the results in the order of the parts, whichever was done first, and hold only a few
results at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from avengers_core.common.progress import progress
from avengers_core.common.ranges import check_one_of, check_whole
from avengers_core.scanning.on_ray import run_on_ray
from avengers_core.scanning.pool import Job, Processes, processors

R = TypeVar("R")
Engine = Literal["memory", "serial", "processes", "ray"]

# Some wait for an endpoint, so they may be more than the processors; each takes about 100 MiB.
_MOST_PROCESSES = 128
ENGINES: tuple[Engine, ...] = ("memory", "serial", "processes", "ray")


@dataclass(frozen=True)
class Workers:
    """Who does the work, as a context: worker processes serve all that is run in it.

    Attributes:
        engine: ``"memory"`` and ``"serial"``, this process; ``"processes"``, several of this
            machine; ``"ray"``, a cluster.
        count: how many processes, or tasks of Ray, at a time; None: one for each processor.

    Raises:
        ValueError: no such engine, or no workers.
    """

    engine: Engine = "memory"
    count: int | None = None
    _processes: Processes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_one_of("engine", self.engine, Engine)
        if self.count not in (None, 1) and self.engine in ("memory", "serial"):
            raise ValueError(
                f"workers={self.count} does nothing with engine={self.engine!r}, where one process "
                f'does the work; expected engine="processes" or "ray"'
            )
        if self.count is not None:
            there = processors()
            most = max(_MOST_PROCESSES, 8 * there) if self.engine == "processes" else None
            why = f"this machine has {there} processors"
            check_whole("workers", self.count, 1, most, why if most else "")
        object.__setattr__(self, "_processes", Processes(self.count))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._processes.close(at_once=kind is not None)

    def run(self, job: Job[R], parts: Sequence[Any], desc: str) -> Iterator[R]:
        """The result of a job on each part, in order.

        Args:
            job: picklable.
            parts: the parts.
            desc: what is being done, for the progress bar.

        Raises:
            AvengersError: workers keep dying.
        """
        yield from progress(self._run(job, parts), desc=desc, total=len(parts), unit="part")

    def _run(self, job: Job[R], parts: Sequence[Any]) -> Iterator[R]:
        if self.engine in ("memory", "serial"):
            return (job(i, part) for i, part in enumerate(parts))
        if self.engine == "processes":
            return self._processes.run(job, parts)
        return run_on_ray(job, parts, self.count)
