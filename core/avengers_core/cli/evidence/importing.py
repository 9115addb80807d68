"""The command that converts: import."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.cli.shared import given, refuse, save, show_problems
from avengers_core.cli.values import PATH
from avengers_core.outputs import check_outputs
from avengers_core.records.loading import iter_records, load_records
from avengers_core.records.names import counted
from avengers_core.records.record import Record, Records, parse_record
from avengers_core.records.sources.files import open_file
from avengers_core.records.sources.kinds import kind_of
from avengers_core.records.sources.streams import CHUNK, decompressed
from avengers_core.records.writing import write_records

_HUB = "hub:"
_EXPORT = "reference-export"
_ROWS = 20  # of which one has to be a record where a file holds records
# Options that have no meaning but for results of models.
_OF_RESULTS = ("mapping", "feedback", "score_key", "scale")


def _mapping(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, str] | None:
    """Fields and columns, ``query=question,score=scores``: a mapping that names no field twice."""
    # A comma ends a column's name only where another field follows.
    told = [pair.partition("=") for text in given for pair in re.split(r",(?=[^,=]+=)", text)]
    pairs = [(field.strip(), column.strip()) for field, _, column in told]
    if not all(field and column for field, column in pairs):
        expected = f"expected FIELD=COLUMN,FIELD=COLUMN, got {','.join(given)!r}"
        raise click.BadParameter(expected, ctx, option)
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        twice = next(field for field, n in Counter(field for field, _ in pairs).items() if n > 1)
        columns = ", ".join(column for field, column in pairs if field == twice)
        raise click.BadParameter(f"{twice} has several columns: {columns}; name one", ctx, option)
    return mapping or None


@click.command("import", short_help="Convert results, traces or a published export.")
@click.argument("source")
@click.option(
    "--output",
    "-o",
    type=PATH,
    required=True,
    help="Artifact folder for an export of the published code, else a file of records.",
)
@click.option("--layout", help="Layout of the source; default: told by its content.")
@click.option(
    "--map",
    "mapping",
    metavar="FIELDS",
    multiple=True,
    callback=_mapping,
    help="Columns of a table or JSON of no layout: query=question,score=scores. Fields: query, "
    "score, model, cost, prompt_tokens, completion_tokens, dataset, index, "
    "propensity; score.MODEL=COLUMN for a column of each model. Repeatable.",
)
@click.option("--feedback", help="File or folder of ids and scores, joined with traced calls.")
@click.option(
    "--score-key",
    multiple=True,
    help="Name of the score, where there are several. Repeatable: the first that a result has.",
)
@click.option("--scale", type=(float, float), help="Lowest and highest score. Default: 0 1.")
@click.option("--embedder", help="Id of the embedder that made an export's vectors.")
def import_command(
    source: str,
    output: Path,
    layout: str | None,
    embedder: str | None,
    **options: Any,
) -> None:
    """Convert SOURCE: results of models to records, or a published router's export to an artifact.

    \b
    avengers import export/ -o artifact/            the published code's --export_cluster
    avengers import results/bench -o records.jsonl  a benchmark, an evaluation, traces
    avengers import own.csv -o records.jsonl --map query=question,model=llm,score=grade
    avengers import runs.jsonl -o records.jsonl --score-key helpfulness --scale 1 5
    avengers import spans.jsonl -o records.jsonl --feedback thumbs.csv
    avengers import hub:llmrouterbench -o records.jsonl

    A JSON array of records is written as lines, which the other commands read.

    Layouts: reference-export; llmrouterbench, routerbench, routerarena, routellm, llmrouter, helm;
    lm-eval, inspect, promptfoo, openai-evals; langsmith, langfuse, litellm, mlflow, phoenix,
    opentelemetry.
    """
    from avengers_core.importers import import_records

    if not source:
        raise click.UsageError("SOURCE is empty; expected a path, or hub:NAME")
    if source.startswith(_HUB):
        from avengers_core.importers.hub import download

        path = download(source.removeprefix(_HUB))
    else:
        path = Path(source)
    # Of a folder every file may be read, whatever it ends in.
    asked = given(**options)
    sources = [path, Path(asked["feedback"])] if "feedback" in asked else [path]
    check_outputs([output], [sources, *(list(s.rglob("*")) for s in sources if s.is_dir())])
    if layout == _EXPORT or (path / "cluster_centers.npy").exists():
        refuse(_OF_RESULTS, "with an export of the published code")
        artifact = RouterArtifact.from_reference_export(path, embedder=embedder)
        save(artifact, output)
        return
    refuse(["embedder"], "but with an export of the published code")
    if output.is_dir():
        raise click.ClickException(f"{output} is a folder; expected the name of a file of records")
    if not output.parent.is_dir():
        raise click.ClickException(f"{output}: there is no folder {output.parent}")
    told = layout is not None or "mapping" in asked or not path.is_file()
    rows = None if told else _records_in(path)
    if rows is None:
        rows = import_records(path, layout, **asked)
    else:
        refuse(_OF_RESULTS, "with records")
    records = load_records(rows)
    show_problems(records.problems, source)
    if not any(score is not None for r in records for score in r.scores.values()):
        without = f": none of {counted(len(records), 'query')} has a score" if records else ""
        raise click.ClickException(f"{source} holds no result that can be used{without}")
    write_records(records, output)
    click.echo(f"{output}: {_summary(records)}")


def _records_in(path: Path) -> Iterator[Any] | None:
    """The rows of a file that holds records already, in an array or over several lines, or None.

    Raises:
        click.ClickException: it is what this command would write.
    """
    from avengers_core.importers.reading import tables

    if any(isinstance(item, Record) for item in itertools.islice(iter_records(path), _ROWS)):
        with open_file(str(path)) as file, decompressed(file) as data:
            if kind_of(cast("Any", data).peek(CHUNK)) != "lines":
                return iter_records(path)
        raise click.ClickException(
            f"{path} holds records already, nothing is to be imported: avengers fit {path} -o "
            f"artifact/"
        )
    if not tables.endings(path) & {".json", ".jsonl", ".ndjson"}:
        return None  # archives are unpacked first, and no cell of a table holds records
    rows = tables.rows(tables.File(path, path, Path(path.name)))
    first = list(itertools.islice(rows, _ROWS))
    if not any(isinstance(parse_record(row, 1), Record) for row in first):
        return None
    return itertools.chain(first, rows)


def _summary(records: Records) -> str:
    """How many records, how many each model has, and in what the scores lie."""
    known = [(m, s) for r in records for m, s in r.scores.items() if s is not None]
    scores = [score for _, score in known]
    counts = Counter(dict.fromkeys(records.models, 0))
    counts.update(model for model, _ in known)
    models = ", ".join(f"{model} ({count:,})" for model, count in counts.items())
    return (
        f"{counted(len(records), 'query')}, {counted(len(counts), 'model')}, "
        f"{counted(len(records.datasets), 'dataset')}; "
        f"scores {min(scores):g} to {max(scores):g}; {models}"
    )
