"""Records of a part, a few thousand at a time: those that count, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from avengers_core.errors import RecordError
from avengers_core.records.names import counted
from avengers_core.records.record import Missing, Record, RecordProblem, Records, parse_record
from avengers_core.records.sources.parquet import BATCH_BYTES
from avengers_core.records.sources.parts import Items, Part, read
from avengers_core.scanning.embedding import embed_most

T = TypeVar("T")
E = TypeVar("E")

BATCH = 2048
# More of a part's problems than this are counted only.
MOST_PROBLEMS = 1000


@dataclass
class Problems:
    """The rows that were rejected.

    Attributes:
        count: how many.
        first: the first of them, at most a thousand.
    """

    count: int = 0
    first: list[RecordProblem] = field(default_factory=list)

    def add(self, problems: Iterable[RecordProblem], file: str) -> None:
        """Note some of a file."""
        for problem in problems:
            self.count += 1
            if len(self.first) < MOST_PROBLEMS:
                self.first.append(problem._replace(file=file))

    def __add__(self, other: Problems) -> Problems:
        return Problems(self.count + other.count, [*self.first, *other.first][:MOST_PROBLEMS])

    def __str__(self) -> str:
        first = f", the first: {self.first[0]}" if self.first else ""
        return f"{counted(self.count, 'row was', 'rows were')} rejected{first}"


@dataclass(frozen=True)
class RecordFilter:
    """Which records count.

    Attributes:
        missing: what a model without a result is, see :class:`avengers_core.records.Records`.
        excluded_datasets: datasets to leave out.
        excluded_models: models to leave out, with the records that know no other.
        strict: whether a row that is no record ends the work.
    """

    missing: Missing = "skip"
    excluded_datasets: frozenset[str] = frozenset()
    excluded_models: frozenset[str] = frozenset()
    strict: bool = False

    def of(self, dataset: str, scores: Mapping[str, T]) -> Mapping[str, T]:
        """Those of a record's scores that count: none where the record does not."""
        if dataset in self.excluded_datasets:
            return {}
        return {m: s for m, s in scores.items() if m not in self.excluded_models}

    def record(self, item: object, number: int, file: str) -> Record | RecordProblem:
        """A row as a record, or what is wrong with it.

        Raises:
            RecordError: something is, and the filter is strict.
        """
        record = parse_record(item, number)
        if self.strict and isinstance(record, RecordProblem):
            raise RecordError(str(record._replace(file=file)))
        return record

    def batches(
        self, part: Part | Items, problems: Problems, embed: Callable[[Sequence[str]], E]
    ) -> Iterator[tuple[Records, E]]:
        """The part's records, a few thousand at a time, and what ``embed`` makes of their queries.

        Rows that are in memory come all at once. Rows that are rejected, or cannot be embedded, go
        to the problems.
        """
        rows = read(part)
        for batch in [list(rows)] if isinstance(part, Items) else batched(rows):
            good: dict[int, Record] = {}
            bad: list[RecordProblem] = []
            for number, item in batch:
                record = self.record(item, number, part.file)
                if isinstance(record, RecordProblem):
                    bad.append(record)
                elif self.of(record.dataset, record.scores):
                    good[number] = record
            if good:
                vectors, failed = embed_most(embed, [r.query for r in good.values()])
                for number, record in [(n, r) for n, r in good.items() if r.query in failed]:
                    bad.append(RecordProblem(number, failed[record.query], record.query[:80]))
                    del good[number]
            problems.add(sorted(bad), part.file)
            if good:
                yield Records(good.values(), missing=self.missing), vectors

    def sum_up(
        self,
        part: Part | Items,
        embed: Callable[[Sequence[str]], E],
        collect: Callable[[Records, E], Any],
    ) -> Summed:
        """What the part's records add up to; ``collect`` says it of a batch of :meth:`batches`."""
        problems, none = Problems(), Problems()
        batches = self.batches(part, problems, embed)
        total = _total(Summed(collect(*batch), len(batch[0]), none) for batch in batches)
        return total._replace(problems=problems)


class Summed(NamedTuple):
    """What a part's records add up to; None where there are none."""

    total: Any
    records: int
    problems: Problems


def added(results: Iterable[Summed]) -> Summed:
    """The total of what parts add up to.

    Raises:
        RecordError: no part has a record.
    """
    found = _total(results)
    if found.total is None:
        raise RecordError(f"there is no record that can be used; {found.problems}")
    return found


def _total(results: Iterable[Summed]) -> Summed:
    total, n, problems = None, 0, Problems()
    for part in results:
        if part.total is not None:
            total = part.total if total is None else total + part.total
        n += part.records
        problems += part.problems
    return Summed(total, n, problems)


def batched(rows: Iterator[tuple[int, T]]) -> Iterator[list[tuple[int, T]]]:
    """Rows in lists of a few thousand, or of fewer that are long."""
    batch: list[tuple[int, T]] = []
    size = 0
    for number, row in rows:
        batch.append((number, row))
        size += _length(row)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _length(row: object) -> int:
    """About how many bytes a row has."""
    if isinstance(row, Mapping):
        query = row.get("query")
        return len(query) if isinstance(query, str) else 0
    return len(row) if isinstance(row, bytes) else 0
