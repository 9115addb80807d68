"""Route and embed files: one output file for each part of the input."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.plain import plain
from avengers_core.embedders import Embedder, EmbedderSpec, resolve_embedder
from avengers_core.embedders.tokens import n_cut
from avengers_core.errors import EmbedderError, needed
from avengers_core.jobs.output import PartWritten, Written, clean, prepare, write_part
from avengers_core.jobs.queries import query_rows
from avengers_core.outputs import check_outputs
from avengers_core.records.record import RecordProblem
from avengers_core.records.sources.files import Inputs
from avengers_core.records.sources.parts import PART_BYTES, Part
from avengers_core.routing.policy import RoutingCall
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router
from avengers_core.scanning.embedding import embed_most
from avengers_core.scanning.scan import count
from avengers_core.scanning.workers import Engine, Workers

# Of embedded queries.
_COLUMNS = ("file", "row", "query", "vector", "cut", "error")


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
    ``n=`` above 1 also the models in order; and with a query of more than 100,000 characters also
    ``cut``, how many of them were left out. A row without a query, or with one that the embedder
    fails on by itself, becomes a line with ``error``.
    Lines are in the order of the rows. If the job is killed, the same call goes on with it:
    finished files are not done again.

    Args:
        router: the router, or an artifact for a router with its defaults.
        inputs: files, folders, patterns; a row is an object with a text ``query``, or a line of
            plain text. See :func:`avengers_core.records.sources.parts.plan`.
        output: folder for ``part-00000.jsonl`` and so on; all workers must see it.
        engine: as for :func:`avengers_core.fit`.
        workers: as for :func:`avengers_core.fit`.
        part_bytes: as for :func:`avengers_core.fit`.
        arguments: as for :meth:`avengers_core.Router.route`.

    Raises:
        RecordError: no input file.
        AvengersError: the folder is an input, or holds one or the output of another job; or workers
            keep dying.
        NoEligibleModelError: the constraints leave nobody.
        ValueError: an argument out of range.
    """
    check_outputs([output], [inputs])
    router = resolve_router(router)
    router.check(**arguments)
    _ = router.embedder  # made here: its endpoint is that of this process's environment
    call = RoutingCall.of(**arguments)
    policy = call.policy
    # However alpha was given, and also where it is the default that is meant.
    meant = policy._replace(alpha=policy.own_alpha, performance_weight=None, cost_sensitivity=None)
    job = {
        "route": router.artifact.checksum,
        "scorer": [router.scorer.name, dict(router.scorer.options)],
        "arguments": plain(call._asdict() | {"policy": meant._asdict()}),
    }
    with Workers(engine, workers) as team:
        parts, _ = count(inputs, part_bytes, team)
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

    Columns: ``file``, ``row``, ``query``, ``vector``, a list of ``dim`` float32, ``cut``: how many
    characters of the query were left out, beyond the first 100,000, and ``error``: why there is no
    vector, of rows without a query or with one that the embedder fails on by itself. Goes on after
    a kill like :func:`route`.

    Args:
        inputs: as for :func:`route`.
        output: folder for ``part-00000.parquet`` and so on.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes.
        engine: as for :func:`avengers_core.fit`.
        workers: as for :func:`avengers_core.fit`; bounds how many talk to an endpoint.
        part_bytes: as for :func:`avengers_core.fit`.

    Raises:
        RecordError: no input file.
        AvengersError: as for :func:`route`.
        EmbedderError: the embedder fails on everything.
    """
    needed("pyarrow.parquet", "pyarrow", "parquet")
    check_outputs([output], [inputs])
    encoder = resolve_embedder(embedder)
    job = {"embed": encoder.id, "columns": _COLUMNS}
    with Workers(engine, workers) as team:
        parts, _ = count(inputs, part_bytes, team)
        files = prepare(output, job, parts, ".parquet")
        return _written(files, team.run(_EmbedJob(files, encoder), parts, "embed"))


def _written(files: list[Path], parts: Iterable[PartWritten]) -> Written:
    done = list(parts)
    for folder in {file.parent for file in files}:
        clean(folder)
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

    def __call__(self, number: int, part: Part) -> PartWritten:
        return write_part(self.files[number], partial(self._write, part))

    def _write(self, part: Part, file: Path) -> tuple[int, int]:
        rows = rejected = 0
        with file.open("w", encoding="utf-8", newline="\n") as out:
            for numbers, queries, bad in query_rows(part):
                lines = self._lines(part.file, numbers, queries, bad)
                out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                errors = sum("error" in line for line in lines)
                rows += len(lines) - errors
                rejected += errors
        return rows, rejected

    def _lines(
        self,
        file: str,
        numbers: Sequence[int],
        queries: Sequence[str],
        bad: Mapping[int, RecordProblem],
    ) -> list[dict[str, Any]]:
        reasons = {row: problem.reason for row, problem in bad.items()}
        try:
            decisions = self.router.route_batch(queries, **self.arguments)
        except EmbedderError:
            _, failed = embed_most(self.router.embedder.embed, [q for q in queries if q.strip()])
            reasons |= {n: failed[q] for n, q in zip(numbers, queries, strict=True) if q in failed}
            good = [(n, q) for n, q in zip(numbers, queries, strict=True) if q not in failed]
            numbers, queries = [n for n, _ in good], [q for _, q in good]
            decisions = self.router.route_batch(queries, **self.arguments)
        lines: dict[int, dict[str, Any]] = {
            row: {"file": file, "row": row, "error": reason} for row, reason in reasons.items()
        }
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
            if decision.cut:
                line["cut"] = decision.cut
            lines[row] = line
        return [lines[row] for row in sorted(lines)]


@dataclass(frozen=True)
class _EmbedJob:
    """Embeds a part's queries into its output file."""

    files: Sequence[Path]
    embedder: Embedder

    def __call__(self, number: int, part: Part) -> PartWritten:
        return write_part(self.files[number], partial(self._write, part))

    def _write(self, part: Part, file: Path) -> tuple[int, int]:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        encoder = self.embedder
        # Not of one size: where a vector is missing, readers before pyarrow 26 fail on those.
        vectors_type = pa.list_(pa.float32())
        text, number = pa.string(), pa.int64()
        kinds = (text, number, text, vectors_type, number, text)
        schema = pa.schema(zip(_COLUMNS, kinds, strict=True))
        rows = rejected = 0
        with ParquetWriter(file, schema) as out:
            for numbers, queries, bad in query_rows(part):
                vectors, failed = embed_most(encoder.embed, queries)
                asked = dict(zip(numbers, queries, strict=True))
                good = [(n, q) for n, q in asked.items() if q not in failed]
                column = pa.FixedSizeListArray.from_arrays(
                    np.ascontiguousarray(vectors).ravel(), encoder.dim
                ).cast(vectors_type)
                columns = [
                    pa.array([part.file] * len(good), text),
                    pa.array([n for n, _ in good], number),
                    pa.array([q for _, q in good], text),
                    column,
                    pa.array([n_cut(q) for _, q in good], number),
                    pa.nulls(len(good), text),
                ]
                out.write_batch(pa.record_batch(columns, schema))
                without: dict[int, tuple[str | None, str]] = {
                    **{n: (q, failed[q]) for n, q in asked.items() if q in failed},
                    **{n: (None, problem.reason) for n, problem in bad.items()},
                }
                if without:
                    out.write_batch(_errors(part.file, dict(sorted(without.items())), schema))
                rows += len(good)
                rejected += len(without)
        return rows, rejected


def _errors(file: str, without: Mapping[int, tuple[str | None, str]], schema: Any) -> Any:
    """Rows that have no vector, with their queries, where they have one, and the reasons."""
    import pyarrow as pa

    n = len(without)
    columns = [
        pa.array([file] * n, pa.string()),
        pa.array(list(without), pa.int64()),
        pa.array([query for query, _ in without.values()], pa.string()),
        pa.nulls(n, schema.field("vector").type),
        pa.nulls(n, pa.int64()),
        pa.array([reason for _, reason in without.values()], pa.string()),
    ]
    return pa.record_batch(columns, schema)
