"""The command that converts: import."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.shared import given, show_problems
from avengers_core.records.record import Record, iter_records, load_records, parse_record

_HUB = "hub:"


@click.command("import", short_help="Convert benchmark results or a published export.")
@click.argument("source")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="Artifact folder for an export of the published code, else a file of records.",
)
@click.option("--layout", help="Layout of the source; default: told by its content.")
@click.option("--score-key", help="Name of the score (LangSmith, Langfuse).")
@click.option(
    "--scale", type=(float, float), help="Lowest and highest score (LangSmith, Langfuse)."
)
@click.option("--embedder", help="Id of the embedder that made an export's vectors.")
def import_command(
    source: str,
    output: Path,
    layout: str | None,
    score_key: str | None,
    scale: tuple[float, float] | None,
    embedder: str | None,
) -> None:
    """Convert SOURCE: benchmark results to records, or a published router's export to an artifact.

    \b
    avengers import export/ -o artifact/            the published code's --export_cluster
    avengers import results/bench -o records.jsonl  LLMRouterBench, RouterBench, RouteLLM, ...
    avengers import runs.jsonl -o records.jsonl --score-key helpfulness --scale 1 5
    avengers import hub:llmrouterbench -o records.jsonl

    A JSON array of records is written as lines, which the other commands read.

    Layouts: reference-export, llmrouterbench, routerbench, routellm, llmrouter, langsmith,
    langfuse.
    """
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.importers import import_records

    if source.startswith(_HUB):
        from avengers_core.importers.hub import download

        path = download(source.removeprefix(_HUB))
    else:
        path = Path(source)
    if layout == "reference-export" or (path / "cluster_centers.npy").exists():
        artifact = RouterArtifact.from_reference_export(path, embedder=embedder)
        artifact.save(output)
        click.echo(f"{output}: {artifact!r}")
        return
    rows = _records_in(path) if layout is None and path.is_file() else None
    if rows is None:
        rows = import_records(path, layout, **given(score_key=score_key, scale=scale))
    records = load_records(rows)
    show_problems(len(records.problems), records.problems, source)
    if not records:
        raise click.ClickException(f"{source} holds no result that can be used")
    unfinished = output.with_name(f".tmp-{os.getpid()}-{output.name}")
    try:
        opened: Any = gzip.open if output.suffix == ".gz" else open
        with opened(unfinished, "wt", encoding="utf-8", newline="\n") as file:
            for record in records:
                row = record.model_dump(by_alias=True, exclude_none=True)
                row["records"] = record.scores
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"{output}: {records!r}")


def _records_in(path: Path) -> Iterator[Any] | None:
    """The rows of a file that holds records already, in an array or over several lines, or None.

    Raises:
        click.ClickException: it is what this command would write.
    """
    from avengers_core.importers import tables

    if isinstance(next(iter_records(path), None), Record):
        raise click.ClickException(
            f"{path} holds records already, nothing is to be imported: avengers fit {path} -o "
            f"artifact/"
        )
    if not tables.endings(path) & {".json", ".jsonl", ".ndjson"}:
        return None  # archives are unpacked first, and no cell of a table holds records
    rows = tables.rows(tables.File(path, path, Path(path.name)))
    first = next(rows, None)
    if not isinstance(parse_record(first, 1), Record):
        return None
    return itertools.chain([first], rows)
