"""The command that says what to ask a new model: probe."""

from __future__ import annotations

import json
from pathlib import Path

import click

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.cli.questions import read_questions
from avengers_core.cli.values import FILE, PATH, NewFile
from avengers_core.common.files import write_whole
from avengers_core.outputs import check_outputs
from avengers_core.records.names import counted


@click.command("probe", short_help="Which of your queries teach most about a new model.")
@click.argument("artifact", type=PATH)
@click.argument("queries", type=FILE)
@click.option("-n", "n", type=click.IntRange(1), default=50, help="How many.")
@click.option(
    "--output",
    "-o",
    type=NewFile(),
    help="File of JSON lines that `avengers collect` takes. Default: printed.",
)
def probe_command(artifact: Path, queries: Path, n: int, output: Path | None) -> None:
    """Choose those of QUERIES that teach most about a model of which an ARTIFACT knows nothing yet.

    QUERIES are records, or what `avengers collect` takes as questions. The first teach the most.

    \b
    avengers probe artifact/ records.jsonl -n 50 -o fifty.jsonl
    avengers collect fifty.jsonl --models new/model --grade normalised -o new.jsonl
    avengers update artifact/ new.jsonl --model new/model
    """
    from avengers_core.fitting.probing import teaching
    from avengers_core.records.questions import as_questions

    check_outputs([output], [queries, artifact])
    asked = as_questions(read_questions(queries))
    chosen = teaching(RouterArtifact.load(artifact), [q.query for q in asked], n)
    # What others scored is not asked.
    known = ("records", "usages", "propensity")
    rows = [{k: v for k, v in asked[i].row.items() if k not in known} for i in chosen]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if output is None:
        click.echo("\n".join(lines))
        return
    write_whole(output, "\n".join(lines) + "\n")
    click.echo(f"{output}: {len(lines)} of {counted(len(asked), 'query')}")
