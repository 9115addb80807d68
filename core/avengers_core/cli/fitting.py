"""Commands that make artifacts: fit, update, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.cli.options import engine_options, in_place_option, names, together
from avengers_core.cli.pricing import file_of, prices_option
from avengers_core.cli.shared import file_names, given, refuse, save, show_problems
from avengers_core.cli.values import FILE, PATH, SEED, InputPath, NewArtifact
from avengers_core.errors import NoRecordsError
from avengers_core.outputs import check_outputs

record_options = together(
    click.option(
        "--missing",
        type=click.Choice(["skip", "zero"]),
        default="skip",
        help="A model without a result is unknown there, or scores 0 (the published code).",
    ),
    click.option("--strict", is_flag=True, help="Stop at the first bad line."),
    into="reading",
)

cluster_options = together(
    click.option(
        "--clusters",
        "--n-clusters",
        type=click.IntRange(1),
        default=60,
        help="Number of k-means clusters.",
    ),
    click.option(
        "--embedder",
        default="wordllama",
        help="wordllama, tfidf, or openai/MODEL for an OpenAI-compatible endpoint "
        "(EMBEDDING_BASE_URL, EMBEDDING_API_KEY).",
    ),
    click.option(
        "--cache",
        type=PATH,
        help="SQLite file that keeps the embeddings for the next time.",
    ),
)

fit_options = together(
    cluster_options,
    click.option("--seed", type=SEED, default=42),
    record_options,
)


def no_cache_of(embedder: Any) -> None:
    """Refuse ``--cache`` for an embedder whose vectors change with every fit."""
    if embedder == "tfidf":
        refuse(["cache"], "with --embedder tfidf, which is fitted anew")


def make_embedder(name: Any, cache: Path | None, engine: str) -> Any:
    """The embedder of ``--embedder`` (or an embedder), behind the cache of ``--cache``."""
    from avengers_core.embedders import CachedEmbedder

    if cache is None:
        return name
    if engine == "ray":
        refuse(["cache"], "with --engine ray, whose workers may not see the file")
    no_cache_of(name)
    return CachedEmbedder(name, cache)


@click.command("fit", short_help="Make an artifact from records.")
@click.argument("records", nargs=-1, required=True, type=InputPath())
@click.option(
    "--output",
    "-o",
    "--export-cluster",
    type=NewArtifact(),
    required=True,
    help="Artifact folder to write.",
)
@fit_options
@names("--models", help="The only models to fit.")
@names("--excluded-models", "--exclude", help="Models to leave out.")
@names("--excluded-datasets", help="Datasets to leave out.")
@click.option("--note", help="What users of the artifact must know.")
@click.option(
    "--centroids",
    type=PATH,
    help="Artifact whose clusters (and embedder) to take: what `merge` can add to it.",
)
@prices_option("Costs are then tokens times price where records have tokens.")
@click.option(
    "--questions",
    type=FILE,
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
    reading: dict[str, Any],
    centroids: Path | None,
    prices: Any,
    questions: Path | None,
    no_refine: bool,
    work: dict[str, Any],
    **options: Any,
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
    from avengers_core.artifact.embedder import embedder_of
    from avengers_core.cli.questions import read_questions
    from avengers_core.fitting.fit import fit_records

    check_outputs([output, cache], [records, centroids, file_of(prices), questions])
    if work["engine"] != "memory":
        refuse(["questions"], "with --engine other than memory: all records are compared with them")
    if reading["missing"] == "zero":
        refuse(["questions"], "with --missing zero, as nobody has a score on them")
    if centroids is not None:
        of_clusters = ("embedder", "clusters", "seed")
        refuse(of_clusters, "with --centroids, whose clusters and embedder count")
    base = RouterArtifact.load(centroids) if centroids else None
    artifact, _, problems = fit_records(
        list(records),
        make_embedder(embedder_of(base) if base else embedder, cache, work["engine"]),
        clusters,
        seed,
        refine=not no_refine,
        source=file_names(records),
        centroids=base,
        prices=prices,
        questions=None if questions is None else read_questions(questions),
        **reading,
        **work,
        **given(**options),
    )
    show_problems(problems, "input")
    save(artifact, output)


@click.command("update", short_help="Add records, or a model, to an artifact.")
@click.argument("artifact", type=PATH)
@click.argument("records", nargs=-1, type=InputPath())
@in_place_option
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
    work: dict[str, Any],
) -> None:
    """Add RECORDS, as `fit` takes them, to an ARTIFACT, without clustering again.

    Files without a line change nothing.

    \b
    avengers update artifact/ today.jsonl                     more evidence, in place
    avengers update artifact/ new.jsonl --model new/model     one model more
    avengers update artifact/ --model new/model --like old/model --price 1e-6 4e-6
    """
    from avengers_core.fitting.update import at_price, collect, take_after, with_model

    check_outputs([output], [records])
    if model is None and (like or price):
        raise click.UsageError("--like and --price are of the model that --model adds")
    if not records and not like:
        raise click.UsageError("Missing argument 'RECORDS...'.")
    if not records:
        refuse(("strict", "engine", "workers"), "without RECORDS, of which they are")
    old = new = RouterArtifact.load(artifact)
    if model and like:
        new = take_after(new, model, like)
    if records:
        try:
            found = collect(new, list(records), strict=strict, **work)
        except NoRecordsError:  # a day without calls is no error to who updates every day
            if output is not None:
                new.save(output)
            click.echo(f"{output or artifact}: no records, nothing changed")
            return
        show_problems(found.problems, "input")
        new = with_model(new, model, found.artifact) if model else new.merge(found.artifact)
    if model and price:
        new = at_price(new, model, price)
    save(new, output or artifact, read=(artifact, old))


@click.command("merge", short_help="Add up artifacts with the same clusters.")
@click.argument("artifacts", nargs=-1, required=True, type=PATH)
@click.option("--output", "-o", type=NewArtifact(), required=True, help="Artifact folder to write.")
def merge_command(artifacts: tuple[Path, ...], output: Path) -> None:
    """Add up ARTIFACTS with the same centroids (shards, days) into one.

    The result is what one fit over all their records with these centroids gives.

    \b
    avengers merge monday/ tuesday/ wednesday/ -o week/
    """
    check_outputs([output], [artifacts])
    first, *others = (RouterArtifact.load(path) for path in artifacts)
    save(first.merge(*others), output)
