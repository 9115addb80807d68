"""Route and embed files: one output file for each part of the input."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.plain import plain
from avengers_core.embedders import Embedder, EmbedderSpec, resolve_embedder
from avengers_core.embedders.tokens import n_cut
from avengers_core.errors import EmbedderError, needing
from avengers_core.jobs.output import PartWritten, Written, clean, prepare, write_part
from avengers_core.jobs.queries import query_rows
from avengers_core.outputs import check_outputs
from avengers_core.records.sources.files import Inputs
from avengers_core.records.sources.parts import PART_BYTES, Part
from avengers_core.routing.call import RoutingCall
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
        return _written(_RouteJob(router, arguments), job, parts, output, team)


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
    with needing("pyarrow", "parquet"):
        import pyarrow.parquet  # noqa: F401
    check_outputs([output], [inputs])
    encoder = resolve_embedder(embedder)
    job = {"embed": encoder.id, "columns": _COLUMNS}
    with Workers(engine, workers) as team:
        parts, _ = count(inputs, part_bytes, team)
        return _written(_EmbedJob(encoder), job, parts, output, team)


@dataclass(frozen=True)
class _Job(ABC):
    """Makes a part's queries into its output file."""

    files: Sequence[Path] = field(default=(), kw_only=True)
    desc: ClassVar[str]
    suffix: ClassVar[str]

    def __call__(self, number: int, part: Part) -> PartWritten:
        return write_part(self.files[number], partial(self.write, part))

    @abstractmethod
    def write(self, part: Part, file: Path) -> tuple[int, int]:
        """Write a part's file; how many rows have an answer, and how many have none."""


def _written(
    work: _Job,
    content: Mapping[str, Any],
    parts: Sequence[Part],
    output: str | os.PathLike[str],
    team: Workers,
) -> Written:
    files = prepare(output, content, parts, work.suffix)
    done = list(team.run(replace(work, files=files), parts, work.desc))
    clean(Path(output))
    rows, rejected = sum(d.rows for d in done), sum(d.rejected for d in done)
    return Written(files, rows, rejected, sum(d.skipped for d in done))


@dataclass(frozen=True)
class _RouteJob(_Job):
    """Routes them."""

    desc, suffix = "route", ".jsonl"
    router: Router
    arguments: Mapping[str, Any]

    def write(self, part: Part, file: Path) -> tuple[int, int]:
        rows = rejected = 0
        with file.open("w", encoding="utf-8", newline="\n") as out:
            for queries, bad in query_rows(part):
                lines = self._lines(queries, {row: p.reason for row, p in bad.items()})
                for row, line in sorted(lines.items()):
                    said = {"file": part.file, "row": row, **line}
                    out.write(json.dumps(said, ensure_ascii=False) + "\n")
                    rejected += "error" in line
                rows += len(lines)
        return rows - rejected, rejected

    def _lines(
        self, queries: Mapping[int, str], reasons: dict[int, str]
    ) -> dict[int, dict[str, Any]]:
        try:
            decisions = self.router.route_batch(queries.values(), **self.arguments)
        except EmbedderError:
            texts = [query for query in queries.values() if query.strip()]
            _, failed = embed_most(self.router.embedder.embed, texts)
            reasons |= {row: failed[query] for row, query in queries.items() if query in failed}
            queries = {row: query for row, query in queries.items() if query not in failed}
            decisions = self.router.route_batch(queries.values(), **self.arguments)
        lines: dict[int, dict[str, Any]] = {row: {"error": why} for row, why in reasons.items()}
        for (row, query), decision in zip(queries.items(), decisions, strict=True):
            lines[row] = {
                "query": query,
                "model": decision.model,
                "expected_score": decision.expected_score,
                "expected_cost": decision.expected_cost,
            }
            if decision.n > 1:
                lines[row]["models"] = decision.models
            if decision.cut:
                lines[row]["cut"] = decision.cut
        return lines


@dataclass(frozen=True)
class _EmbedJob(_Job):
    """Embeds them."""

    desc, suffix = "embed", ".parquet"
    embedder: Embedder

    def write(self, part: Part, file: Path) -> tuple[int, int]:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        # Not of one size: where a vector is missing, readers before pyarrow 26 fail on those.
        vectors_type = pa.list_(pa.float32())
        text, number = pa.string(), pa.int64()
        kinds = (text, number, text, vectors_type, number, text)
        schema = pa.schema(zip(_COLUMNS, kinds, strict=True))
        rows = rejected = 0

        def write(rows: Sequence[int], *columns: Any) -> None:
            """Rows of the columns behind ``row``; None: nothing in any of them."""
            n = len(rows)
            whole = ([part.file] * n, rows, *([None] * n if c is None else c for c in columns))
            arrays = [pa.array(c, kind) for c, kind in zip(whole, kinds, strict=True)]
            out.write_batch(pa.record_batch(arrays, schema))

        with ParquetWriter(file, schema) as out:
            for queries, bad in query_rows(part):
                vectors, failed = embed_most(self.embedder.embed, list(queries.values()))
                good = {row: query for row, query in queries.items() if query not in failed}
                column = pa.FixedSizeListArray.from_arrays(
                    np.ascontiguousarray(vectors).ravel(), self.embedder.dim
                ).cast(vectors_type)
                texts = list(good.values())
                write(list(good), texts, column, [n_cut(query) for query in texts], None)
                without: dict[int, tuple[str | None, str]] = {
                    **{row: (q, failed[q]) for row, q in queries.items() if q in failed},
                    **{row: (None, problem.reason) for row, problem in bad.items()},
                }
                if without:
                    asked, reasons = zip(*(without[row] for row in sorted(without)), strict=True)
                    write(sorted(without), asked, None, None, reasons)
                rows += len(good)
                rejected += len(without)
        return rows, rejected
