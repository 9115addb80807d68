"""What a person has, opened for an engine: parts, what counts of them, and who reads them."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from avengers_core.common.ranges import check_one_of, check_whole
from avengers_core.errors import NoRecordsError, RecordError
from avengers_core.records.loading import Source, are_files, load_records
from avengers_core.records.names import few
from avengers_core.records.record import Missing, Records
from avengers_core.records.sources.files import Inputs, listed, public
from avengers_core.records.sources.parts import PART_BYTES, Items, Part, count_rows, numbered, plan
from avengers_core.scanning.batches import BATCH, MOST_PROBLEMS, Problems, RecordFilter
from avengers_core.scanning.pool import Job
from avengers_core.scanning.workers import Engine, Workers

R = TypeVar("R")

logger = logging.getLogger(__name__)

_NAMED = 3  # files in a message


@dataclass(frozen=True)
class Scan:
    """Records that are read as often as is needed.

    Attributes:
        parts: what is read.
        rows: how many rows all parts have.
        chosen: which records count.
        team: who reads them.
        order: the order of the models, if it is given; else that of first appearance.
        problems: rows that were rejected when the records were loaded.
        where: what the records are in, for messages: nothing, or `` in FILE, FILE``.
    """

    parts: Sequence[Part | Items]
    rows: int
    chosen: RecordFilter
    team: Workers
    order: tuple[str, ...] = ()
    problems: Problems = field(default_factory=Problems)
    where: str = ""

    @property
    def in_memory(self) -> bool:
        """Whether one process has all records at once."""
        return self.team.engine == "memory"

    def run(self, job: Job[R], desc: str) -> Iterator[R]:
        """The result of a job on each part, in order; see :meth:`Workers.run`."""
        return self.team.run(job, self.parts, desc)


@contextmanager
def open_records(
    source: Records | Source,
    engine: Engine = "memory",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    *,
    missing: Missing | None = None,
    excluded_datasets: Collection[str] = (),
    excluded_models: Collection[str] = (),
    strict: bool = False,
) -> Iterator[Scan]:
    """Open whatever a person has; whoever reads it stays until it is closed.

    Only files are read in constant memory, and only by an engine other than ``"memory"``: what
    comes as a stream or an iterable is held by this process, and sent to others in pieces.

    Args:
        source: what :func:`avengers_core.load_records` returns or takes.
        engine: who does the work: ``"memory"``, this process with all records at once; or, in
            parts, ``"serial"`` (this process), ``"processes"`` (of this machine) or ``"ray"``.
        workers: processes, or tasks of Ray, at a time; default, one for each processor.
        part_bytes: about how much of a file of lines is done at a time, bytes.
        missing: what a model without a result is; default, what the records say, or ``"skip"``.
        excluded_datasets: datasets to leave out.
        excluded_models: models to leave out, with the records that know no other.
        strict: raise on the first bad row instead of listing it.

    Raises:
        RecordError: no input file, or ``strict`` and a row is bad.
        ValueError: an argument out of range.
        OSError: a file cannot be opened.
    """
    check_whole("part_bytes", part_bytes, 1)
    if missing is None:
        missing = source.missing if isinstance(source, Records) else "skip"
    check_one_of("missing", missing, Missing)
    chosen = RecordFilter(missing, _names(excluded_datasets), _names(excluded_models), strict)
    with Workers(engine, workers) as team:
        if are_files(source) and engine != "memory":
            parts, rows = count(source, part_bytes, team)
            yield Scan(parts, rows, chosen, team, where=_where(source))
        else:
            if part_bytes != PART_BYTES:
                logger.warning(
                    "part_bytes=%d: of no effect, for only files are read in parts, and not in "
                    "memory",
                    part_bytes,
                )
            yield _loaded(source, chosen, team)


def _loaded(source: Records | Source, chosen: RecordFilter, team: Workers) -> Scan:
    """What this process holds."""
    records = source if isinstance(source, Records) else load_records(source, strict=chosen.strict)
    problems = Problems(len(records.problems), list(records.problems[:MOST_PROBLEMS]))
    if not records:
        if not problems.count:
            raise NoRecordsError(f"there are no records{_where(source)}: not a single row")
        raise RecordError(f"there are no records; {problems}")
    if records is source:
        problems = Problems()  # which the caller has already
    size = len(records) if team.engine == "memory" else BATCH
    items = tuple(records)
    pieces = [Items(items[i : i + size], i) for i in range(0, len(items), size)]
    return Scan(pieces, len(records), chosen, team, records.models, problems)


def count(inputs: Inputs, part_bytes: int, team: Workers) -> tuple[list[Part], int]:
    """Cut files into parts, see :func:`plan`, that know their first rows; and count all rows."""
    parts = plan(inputs, part_bytes)
    rows = list(team.run(_count, parts, "count"))
    return numbered(parts, rows), sum(rows)


def _where(source: Source | Records) -> str:
    if not are_files(source):
        return ""
    return f" in {few([public(os.fspath(file)) for file in listed(source)], _NAMED)}"


def _names(names: Collection[str]) -> frozenset[str]:
    return frozenset([names] if isinstance(names, str) else names)


def _count(_number: int, part: Part) -> int:
    return count_rows(part)
