"""What is done to one part of the input: picklable objects, called with the part's number and it.

They keep no more than a batch of rows in memory, and give back what does not grow with the part:
sums, or counts and a file written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.sums import Sums
from avengers_core.embedders import Embedder
from avengers_core.embedders.surface import surface
from avengers_core.errors import RecordError
from avengers_core.evaluation.evaluate import choose, features_of, tally_of
from avengers_core.fitting.fit import embed_distinct
from avengers_core.jobs.files import BATCH_BYTES, Part, Row, read
from avengers_core.jobs.sparing import embed_most
from avengers_core.records.outcomes import to_outcomes
from avengers_core.records.record import Missing, Record, RecordProblem, Records, parse_record
from avengers_core.routing.policy import RoutingCall
from avengers_core.routing.router import Router

T = TypeVar("T")
E = TypeVar("E")

BATCH = 2048
# More of a part's problems than this are counted only.
MOST_PROBLEMS = 1000


class FileProblem(NamedTuple):
    """Why one row of a file was rejected.

    Attributes:
        file: which file.
        row: its number there, from 1.
        reason: what was expected and what came.
        excerpt: its first characters.
    """

    file: str
    row: int
    reason: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.reason}: {self.excerpt}"


@dataclass
class Problems:
    """The rows that were rejected.

    Attributes:
        count: how many.
        first: the first of them, at most a thousand.
    """

    count: int = 0
    first: list[FileProblem] = field(default_factory=list)

    def add(self, file: str, problem: RecordProblem) -> None:
        """Note one."""
        self.count += 1
        if len(self.first) < MOST_PROBLEMS:
            self.first.append(FileProblem(file, *problem))

    def __iadd__(self, other: Problems) -> Problems:
        self.count += other.count
        self.first += other.first[: MOST_PROBLEMS - len(self.first)]
        return self


@dataclass(frozen=True)
class RecordFilter:
    """Which records count.

    Attributes:
        missing: what a model without a result is, see :class:`avengers_core.records.Records`.
        excluded_datasets: datasets to leave out.
        excluded_models: models to leave out, with the records that know no other.
    """

    missing: Missing = "skip"
    excluded_datasets: frozenset[str] = frozenset()
    excluded_models: frozenset[str] = frozenset()

    def of(self, dataset: str, scores: Mapping[str, T]) -> Mapping[str, T]:
        """Those of a record's scores that count: none where the record does not."""
        if dataset in self.excluded_datasets:
            return {}
        return {m: s for m, s in scores.items() if m not in self.excluded_models}

    def batches(
        self, part: Part, problems: Problems, embed: Callable[[Sequence[str]], E]
    ) -> Iterator[tuple[Records, E]]:
        """The part's records, a few thousand at a time, and what ``embed`` makes of their queries.

        Rows that are rejected, or cannot be embedded, go to the problems.
        """
        for rows in _batched(read(part)):
            good: dict[int, Record] = {}
            bad: list[RecordProblem] = []
            for number, item in rows:
                record = checked(item, number)
                if isinstance(record, RecordProblem):
                    bad.append(record)
                elif self.of(record.dataset, record.scores):
                    good[number] = record
            if good:
                vectors, failed = embed_most(embed, [r.query for r in good.values()])
                for number, record in [(n, r) for n, r in good.items() if r.query in failed]:
                    bad.append(unembedded(number, record.query, failed))
                    del good[number]
            for problem in sorted(bad):
                problems.add(part.file, problem)
            if good:
                yield Records(good.values(), missing=self.missing), vectors


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
    total, n, problems = None, 0, Problems()
    for part in results:
        if part.total is not None:
            total = part.total if total is None else total + part.total
        n += part.records
        problems += part.problems
    if total is None:
        first = f", the first: {problems.first[0]}" if problems.first else ""
        raise RecordError(f"the files hold no record; {problems.count:,} rows were rejected{first}")
    return Summed(total, n, problems)


@dataclass(frozen=True)
class SumJob:
    """Sums up a part's records under an artifact's clusters.

    Attributes:
        artifact: whose clusters, models and datasets; without records.
        embedder: that it was fitted with.
        chosen: which records count.
    """

    artifact: RouterArtifact
    embedder: Embedder
    chosen: RecordFilter
    embeds: ClassVar[bool] = True

    def __call__(self, _number: int, part: Part) -> Summed:
        a = self.artifact
        total, n, problems = None, 0, Problems()
        for records, vectors in self.chosen.batches(part, problems, self._embed):
            outcomes = to_outcomes(records, a.models, a.datasets)
            features = surface(outcomes.queries) if a.refinement is not None else None
            sums = Sums.collect(a, vectors, features, outcomes)
            total = sums if total is None else total + sums
            n += len(records)
        return Summed(total, n, problems)

    def _embed(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors, row = embed_distinct(self.embedder, queries)
        return vectors[row]


@dataclass(frozen=True)
class TallyJob:
    """Routes a part's records and sums up what the chosen models, and the baselines, did.

    Attributes:
        router: the router.
        datasets: all names that the records have.
        call: limits on models, cost and score, and how many models answer.
        alphas: to route at.
        chosen: which records count.
    """

    router: Router
    datasets: tuple[str, ...]
    call: RoutingCall
    alphas: Sequence[float]
    chosen: RecordFilter
    embeds: ClassVar[bool] = True

    def __call__(self, _number: int, part: Part) -> Summed:
        router, engine, call = self.router, self.router.engine, self.call
        total, n, problems = None, 0, Problems()
        for records, queries in self.chosen.batches(part, problems, router.embed):
            outcomes = to_outcomes(records, router.models, self.datasets)
            features = features_of(router, queries, call)
            choices = choose(engine, features, call, self.alphas)
            tally = tally_of(engine, features, call, outcomes, choices)
            total = tally if total is None else total + tally
            n += len(records)
        return Summed(total, n, problems)


def query_rows(part: Part) -> Iterator[tuple[list[int], list[str], dict[int, RecordProblem]]]:
    """Queries of a part, a few thousand at a time: rows, texts, and the rows without one.

    A row is an object with a text ``query``, or a line of plain text.
    """
    for rows in _batched(read(part)):
        numbers: list[int] = []
        queries: list[str] = []
        bad: dict[int, RecordProblem] = {}
        for number, item in rows:
            query = query_of(item, number)
            if isinstance(query, str):
                numbers.append(number)
                queries.append(query)
            else:
                bad[number] = query
        yield numbers, queries, bad


def query_of(item: Row, number: int) -> str | RecordProblem:
    """The query of a row, which is ``number`` in its file, or what is wrong with it.

    A line that begins with ``{`` is JSON and must hold a text ``query``; any other is the query.
    """
    if isinstance(item, RecordProblem):
        return item
    excerpt = item[:80].decode("utf-8", "replace") if isinstance(item, bytes) else str(item)[:80]
    if isinstance(item, bytes):
        if not item.startswith(b"{"):
            try:
                return item.decode()
            except UnicodeDecodeError as error:
                return RecordProblem(number, f"not UTF-8 ({error.reason})", excerpt)
        try:
            item = from_json(item)
        except ValueError as error:
            return RecordProblem(number, f"not JSON ({error})", excerpt)
    query = item.get("query") if isinstance(item, Mapping) else None
    if isinstance(query, str):
        return query
    return RecordProblem(number, "expected an object with a text `query`", excerpt)


def unembedded(number: int, query: str, failed: Mapping[str, str]) -> RecordProblem:
    """What is wrong with a row whose query could not be embedded."""
    return RecordProblem(number, failed[query], query[:80])


def checked(item: Row, number: int) -> Record | RecordProblem:
    """A row as a record, or what is wrong with it."""
    return item if isinstance(item, RecordProblem) else parse_record(item, number)


def _batched(rows: Iterator[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    batch: list[tuple[int, Row]] = []
    size = 0
    for number, row in rows:
        batch.append((number, row))
        size += _length(row)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _length(row: Row) -> int:
    """About how many bytes a row has."""
    if isinstance(row, Mapping):
        query = row.get("query")
        return len(query) if isinstance(query, str) else 0
    return len(row)
