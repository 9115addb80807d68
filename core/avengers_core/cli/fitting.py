"""Commands that make artifacts: fit, update, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from avengers_core.cli.options import SEED, InputPath, engine_options, names, together
from avengers_core.cli.pricing import file_of, prices_option
from avengers_core.cli.shared import given, refuse, show_problems
from avengers_core.errors import NoRecordsError
from avengers_core.outputs import check_outputs
from avengers_core.records.sources.files import shown

record_options = together(
    click.option(
        "--missing",
        type=click.Choice(["skip", "zero"]),
        default="skip",
        show_default=True,
        help="A model without a result is unknown there, or scores 0 (the published code).",
    ),
    click.option("--strict", is_flag=True, help="Stop at the first bad line."),
)

cluster_options = together(
    click.option(
        "--clusters",
        "--n-clusters",
        "clusters",
        type=click.IntRange(1),
        default=60,
        show_default=True,
        help="Number of k-means clusters.",
    ),
    click.option(
        "--embedder",
        default="wordllama",
        show_default=True,
        help="wordllama, tfidf, or openai/MODEL for an OpenAI-compatible endpoint "
        "(EMBEDDING_BASE_URL, EMBEDDING_API_KEY).",
    ),
    click.option(
        "--cache",
        type=click.Path(path_type=Path),
        help="SQLite file that keeps the embeddings for the next time.",
    ),
)

fit_options = together(
    cluster_options,
    click.option("--seed", type=SEED, default=42, show_default=True),
    record_options,
)


def no_cache_of(embedder: Any) -> None:
    """Refuse ``--cache`` for an embedder whose vectors change with every fit."""
    if embedder == "tfidf":
        refuse(["cache"], "with --embedder tfidf, which is fitted anew")


def make_embedder(name: Any, cache: Path | None) -> Any:
    """The embedder of ``--embedder`` (or an embedder), behind the cache of ``--cache``."""
    from avengers_core.embedders import CachedEmbedder, resolve_embedder

    if cache is None:
        return name
    no_cache_of(name)
    return CachedEmbedder(resolve_embedder(name), cache)


@click.command("fit", short_help="Make an artifact from records.")
@click.argument("records", nargs=-1, required=True, type=InputPath())
@click.option(
    "--output",
    "-o",
    "--export-cluster",
    "output",
    type=click.Path(path_type=Path),
    required=True,
    help="Artifact folder to write.",
)
@fit_options
@names("--models", "models", help="The only models to fit.")
@names("--excluded-models", "--exclude", "excluded_models", help="Models to leave out.")
@names("--excluded-datasets", "excluded_datasets", help="Datasets to leave out.")
@click.option("--note", default="", help="What users of the artifact must know.")
@click.option(
    "--centroids",
    type=click.Path(path_type=Path),
    help="Artifact whose clusters (and embedder) to take: what `merge` can add to it.",
)
@prices_option("Costs are then tokens times price where records have tokens.")
@click.option(
    "--questions",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Questions that nobody has answered, as for `collect`: clusters are made of them, too.",
)
@click.option("--no-refine", is_flag=True, help="Clusters only: a smaller artifact.")
@engine_options("memory")
def fit_command(
    records: tuple[Path | str, ...],
    output: Path,
    clusters: int,
    embedder: str,
    seed: int,
    cache: Path | None,
    missing: Any,
    strict: bool,
    models: tuple[str, ...],
    excluded_models: tuple[str, ...],
    excluded_datasets: tuple[str, ...],
    note: str,
    centroids: Path | None,
    prices: Any,
    questions: Path | None,
    no_refine: bool,
    engine: Any,
    workers: int | None,
) -> None:
    """Fit a router from RECORDS: files, folders, patterns, addresses (s3://...); several together.

    They hold JSON lines, a JSON array or a table (CSV), plain or gzip, or Parquet; their content
    tells.

    \b
    avengers fit records.jsonl -o artifact/
    avengers fit monday.jsonl.gz "other/*.csv" -o artifact/ --clusters 100
    avengers fit --engine processes "logs/*.parquet" -o artifact/
    avengers fit records.jsonl --questions questions.jsonl -o artifact/
    avengers fit tuesday.jsonl --centroids monday/ -o tuesday/      then: avengers merge
    """
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.artifact.embedder import embedder_of
    from avengers_core.artifact.storage import check_folder
    from avengers_core.cli.evidence.collecting import read_questions
    from avengers_core.fitting.fit import fit_records

    check_outputs([output, cache], [records, centroids, file_of(prices), questions])
    check_folder(output)
    if engine == "ray":
        refuse(["cache"], "with --engine ray, whose workers may not see the file")
    if engine != "memory":
        refuse(["questions"], "with --engine other than memory: all records are compared with them")
    if missing == "zero":
        refuse(["questions"], "with --missing zero, as nobody has a score on them")
    if centroids is not None:
        refuse(
            ("embedder", "clusters", "seed"), "with --centroids, whose clusters and embedder count"
        )
    base = RouterArtifact.load(centroids) if centroids else None
    artifact, _, problems = fit_records(
        list(records),
        make_embedder(embedder_of(base) if base else embedder, cache),
        clusters,
        seed,
        engine=engine,
        workers=workers,
        excluded_models=excluded_models,
        excluded_datasets=excluded_datasets,
        missing=missing,
        strict=strict,
        refine=not no_refine,
        source=", ".join(Path(shown(str(path))).name for path in records),
        note=note,
        questions=None if questions is None else read_questions(questions),
        **given(models=models, centroids=base, prices=prices),
    )
    show_problems(problems.count, problems.first, "input")
    artifact.save(output)
    click.echo(f"{output}: {artifact!r}")


@click.command("update", short_help="Add records, or a model, to an artifact.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.argument("records", nargs=-1, type=InputPath())
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Default: in place.")
@click.option("--model", help="Add just this model, from a few hundred records that score it.")
@click.option("--like", help="A model that --model is like, until RECORDS say otherwise.")
@click.option(
    "--price",
    nargs=2,
    type=click.FloatRange(0),
    metavar="INPUT OUTPUT",
    help="Of --model, USD a token. Default: that of --like.",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad line.")
@engine_options("memory")
def update_command(
    artifact: Path,
    records: tuple[Path | str, ...],
    output: Path | None,
    model: str | None,
    like: str | None,
    price: tuple[float, float] | None,
    strict: bool,
    engine: Any,
    workers: int | None,
) -> None:
    """Add RECORDS, as `fit` takes them, to an ARTIFACT, without clustering again.

    Files without a line change nothing.

    \b
    avengers update artifact/ today.jsonl                     more evidence, in place
    avengers update artifact/ new.jsonl --model new/model     one model more
    avengers update artifact/ --model new/model --like old/model --price 1e-6 4e-6
    """
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.artifact.storage import check_folder
    from avengers_core.fitting.update import at_price, collect, take_after, with_model

    if output is not None:
        check_outputs([output], [records])
        check_folder(output)
    if model is None and (like or price):
        raise click.UsageError("--like and --price are of the model that --model adds")
    if not records and not like:
        raise click.UsageError("Missing argument 'RECORDS...'.")
    if not records:
        refuse(("strict", "engine", "workers"), "without RECORDS, of which they are")
    new = RouterArtifact.load(artifact)
    if model and like:
        new = take_after(new, model, like)
    if records:
        try:
            found = collect(new, list(records), engine=engine, workers=workers, strict=strict)
        except NoRecordsError:  # a day without calls is no error to who updates every day
            if output is not None:
                new.save(output)
            click.echo(f"{output or artifact}: no records, nothing changed")
            return
        show_problems(found.problems.count, found.problems.first, "input")
        new = with_model(new, model, found.artifact) if model else new.merge(found.artifact)
    if model and price:
        new = at_price(new, model, price)
    new.save(output or artifact)
    click.echo(f"{output or artifact}: {new!r}")


@click.command("merge", short_help="Add up artifacts with the same clusters.")
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="Artifact folder to write.",
)
def merge_command(artifacts: tuple[Path, ...], output: Path) -> None:
    """Add up ARTIFACTS with the same centroids (shards, days) into one.

    The result is what one fit over all their records with these centroids gives.

    \b
    avengers merge monday/ tuesday/ wednesday/ -o week/
    """
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.artifact.storage import check_folder

    check_outputs([output], [artifacts])
    check_folder(output)
    first, *others = (RouterArtifact.load(path) for path in artifacts)
    merged = first.merge(*others)
    merged.save(output)
    click.echo(f"{output}: {merged!r}")
