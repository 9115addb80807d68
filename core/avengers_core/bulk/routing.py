"""Route and embed files: one output file for each part of the input."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from avengers_core.artifact import RouterArtifact
from avengers_core.bulk.files import PART_BYTES, Inputs, Part
from avengers_core.bulk.fitting import counted
from avengers_core.bulk.jobs import query_rows
from avengers_core.bulk.output import PartWritten, Written, prepare, whole
from avengers_core.bulk.workers import Engine, Workers
from avengers_core.calls import make_call
from avengers_core.embedders import Embedder, EmbedderSpec, resolve_embedder
from avengers_core.errors import OptionalDependencyError
from avengers_core.records import RecordProblem
from avengers_core.router import Router


def route(
    router: Router | RouterArtifact,
    inputs: Inputs,
    output: str | os.PathLike[str],
    *,
    engine: Engine = "processes",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
    **arguments: Any,
) -> Written:
    """Decide every query of files, in constant memory, and write the decisions as JSON lines.

    A line names file, row and query, the model, and its expected score and cost (USD); with
    ``n=`` above 1 also the models in order. A row without a query becomes a line with ``error``.
    Lines are in the order of the rows. If the job is killed, the same call goes on with it:
    finished files are not done again.

    Args:
        router: the router, or an artifact for a router with its defaults.
        inputs: files, folders, patterns; a row is an object with a text ``query``, or a line of
            plain text. See :func:`avengers_core.bulk.files.plan`.
        output: folder for ``part-00000.jsonl`` and so on; all workers must see it.
        engine: as for :func:`avengers_core.bulk.fit`.
        workers: as for :func:`avengers_core.bulk.fit`.
        part_bytes: as for :func:`avengers_core.bulk.fit`.
        arguments: as for :meth:`Router.route`.

    Raises:
        RecordError: no input file.
        AvengersError: the folder holds the output of another job, or workers keep dying.
        NoEligibleModelError: the constraints leave nobody.
        ValueError: an argument out of range.
    """
    if isinstance(router, RouterArtifact):
        router = Router(router)
    call = make_call(**arguments)
    router.engine.constraints(call)
    _ = router.embedder  # made here: its endpoint is that of this process's environment
    job = {
        "route": router.artifact.checksum,
        "scorer": [router.scorer.name, dict(router.scorer.options)],
        "arguments": json.loads(json.dumps(arguments, default=sorted)),
    }
    team = Workers(engine, workers)
    parts, _ = counted(inputs, part_bytes, team)
    files = prepare(output, job, parts, ".jsonl")
    return _written(files, team.run(_RouteJob(files, router, arguments), parts, "route"))


def embed(
    inputs: Inputs,
    output: str | os.PathLike[str],
    embedder: EmbedderSpec = "wordllama",
    *,
    engine: Engine = "processes",
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
) -> Written:
    """Embed every query of files and write the vectors as Parquet; needs the extra ``parquet``.

    Columns: ``file``, ``row``, ``query`` and ``vector``, a list of ``dim`` float32. Rows without
    a query are left out. Goes on after a kill like :func:`route`.

    Args:
        inputs: as for :func:`route`.
        output: folder for ``part-00000.parquet`` and so on.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes.
        engine: as for :func:`avengers_core.bulk.fit`.
        workers: as for :func:`avengers_core.bulk.fit`; bounds how many talk to an endpoint.
        part_bytes: as for :func:`avengers_core.bulk.fit`.

    Raises:
        RecordError: no input file.
        AvengersError: as for :func:`route`.
        EmbedderError: the embedder failed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise OptionalDependencyError("pyarrow", "parquet") from error
    encoder = resolve_embedder(embedder)
    job = {"embed": encoder.id}
    team = Workers(engine, workers)
    parts, _ = counted(inputs, part_bytes, team)
    files = prepare(output, job, parts, ".parquet")
    return _written(files, team.run(_EmbedJob(files, encoder), parts, "embed"))


def _written(files: list[Path], parts: Iterable[PartWritten]) -> Written:
    done = list(parts)
    return Written(
        files,
        sum(d.rows for d in done),
        sum(d.rejected for d in done),
        sum(d.skipped for d in done),
    )


@dataclass(frozen=True)
class _RouteJob:
    """Routes a part's queries into its output file."""

    files: Sequence[Path]
    router: Router
    arguments: Mapping[str, Any]
    embeds: ClassVar[bool] = True

    def __call__(self, number: int, part: Part) -> PartWritten:
        file = self.files[number]
        if file.exists():
            errors = [b'"error":' in line[:400] for line in file.read_bytes().splitlines()]
            return PartWritten(len(errors) - sum(errors), sum(errors), True)
        rows = rejected = 0
        with whole(file) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as out:
            for numbers, queries, bad in query_rows(part):
                out.writelines(self._lines(part.file, numbers, queries, bad))
                rows += len(queries)
                rejected += len(bad)
        return PartWritten(rows, rejected, False)

    def _lines(
        self,
        file: str,
        numbers: Sequence[int],
        queries: Sequence[str],
        bad: Mapping[int, RecordProblem],
    ) -> Iterator[str]:
        lines = {
            row: {"file": file, "row": row, "error": problem.reason} for row, problem in bad.items()
        }
        decisions = self.router.route_batch(queries, **self.arguments)
        for row, query, decision in zip(numbers, queries, decisions, strict=True):
            line: dict[str, Any] = {
                "file": file,
                "row": row,
                "query": query,
                "model": decision.model,
                "expected_score": decision.expected_score,
                "expected_cost": decision.expected_cost,
            }
            if decision.n > 1:
                line["models"] = decision.models
            lines[row] = line
        for row in sorted(lines):
            yield json.dumps(lines[row], ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class _EmbedJob:
    """Embeds a part's queries into its output file."""

    files: Sequence[Path]
    embedder: Embedder
    embeds: ClassVar[bool] = True

    def __call__(self, number: int, part: Part) -> PartWritten:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter, read_metadata

        file = self.files[number]
        if file.exists():
            return PartWritten(read_metadata(file).num_rows, 0, True)
        encoder = self.embedder
        schema = pa.schema(
            [
                ("file", pa.string()),
                ("row", pa.int64()),
                ("query", pa.string()),
                ("vector", pa.list_(pa.float32(), encoder.dim)),
            ]
        )
        rows = rejected = 0
        with whole(file) as unfinished, ParquetWriter(unfinished, schema) as out:
            for numbers, queries, bad in query_rows(part):
                vectors = np.ascontiguousarray(encoder.embed(queries))
                column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), encoder.dim)
                names = pa.array([part.file] * len(queries), pa.string())
                out.write_batch(
                    pa.record_batch([names, pa.array(numbers), pa.array(queries), column], schema)
                )
                rows += len(queries)
                rejected += len(bad)
        return PartWritten(rows, rejected, False)
