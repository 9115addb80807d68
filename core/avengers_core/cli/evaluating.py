"""The command that evaluates: split, fit, route the held-out part, report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.cli.fitting import fit_options, make_embedder
from avengers_core.cli.options import (
    alpha_options,
    constraint_options,
    engine_options,
    names,
    one_alpha,
    records_option,
    scorer_options,
    train_ratio_option,
)
from avengers_core.cli.shared import file_names, given, read_records, refuse, show_problems
from avengers_core.cli.values import PATH, APath, NewArtifact, NewFile
from avengers_core.common.files import write_whole
from avengers_core.outputs import check_outputs
from avengers_core.records.names import counted, few, one_line
from avengers_core.records.sources.files import public
from avengers_core.routing.decision.explaining import text_table
from avengers_core.routing.router import Router

if TYPE_CHECKING:
    from avengers_core.evaluation.report import Report

_OF_FITTING = (
    *("clusters", "embedder", "seed", "cache", "train_ratio"),
    *("dataset_exclusion_mode", "export_cluster"),
)


@click.command("evaluate", short_help="Compare a router with every model and baseline.")
@records_option
@click.option("--output", "-o", type=NewFile(), help="Results as JSON.")
@click.option(
    "--report",
    type=NewFile(".md", ".html", ".json"),
    help="A report: .md for Markdown, .html for one self-contained page with pictures.",
)
@click.option(
    "--pictures",
    type=APath(path_type=Path, file_okay=False),
    help="Folder for PNG and SVG pictures.",
)
@click.option(
    "--artifact",
    "-a",
    type=PATH,
    help="Evaluate this artifact on all records instead of fitting one on a part of them.",
)
@fit_options
@train_ratio_option
@alpha_options("each of 0, 0.25, 0.4, 0.53, 0.8 and 1")
@constraint_options
@names("--excluded-datasets", help="Datasets to leave out ...")
@click.option(
    "--dataset-exclusion-mode",
    type=click.Choice(["soft", "hard"]),
    default="soft",
    help="... of the evaluation only, or also of fitting.",
)
@scorer_options
@click.option(
    "--average",
    type=click.Choice(["dataset", "query"]),
    default="dataset",
    help="What accuracy means in the metrics: the mean over datasets, or over queries.",
)
@click.option(
    "-n",
    "--max-router",
    "n",
    type=click.IntRange(1),
    default=1,
    help="Models that answer each query. Above 1 there is a further row for each alpha: the best "
    "score among them, at the cost of all.",
)
@click.option("--export-cluster", type=NewArtifact(), help="Save the fitted artifact here.")
@engine_options("memory")
def evaluate_command(
    records: tuple[Path | str, ...],
    output: Path | None,
    report: Path | None,
    pictures: Path | None,
    artifact: Path | None,
    clusters: int,
    embedder: str,
    seed: int,
    cache: Path | None,
    reading: dict[str, Any],
    train_ratio: float,
    balance: dict[str, float],
    excluded_datasets: tuple[str, ...],
    dataset_exclusion_mode: Any,
    export_cluster: Path | None,
    scoring: dict[str, Any],
    work: dict[str, Any],
    **options: Any,
) -> None:
    """Fit on a part of the records, route the rest, and compare with every baseline.

    \b
    avengers evaluate --input records.jsonl --output results.json --report report.html
    avengers evaluate --input records.jsonl --clusters 25 --scorer reference \\
        --performance_weight 0.4 --cost_sensitivity 0.6        the published code's numbers

    A query for which no model meets the limits goes to the nearest model; such queries are counted.

    With --artifact nothing is fitted and all records are held out. Then --engine evaluates files
    of any size; to be split, records are held in memory.
    """
    from avengers_core.evaluation.evaluate import DEFAULT_ALPHAS, evaluate_records
    from avengers_core.evaluation.plots.plots import require_matplotlib
    from avengers_core.fitting.fit import fit_records
    from avengers_core.records.loading import Source
    from avengers_core.records.splitting import split_records

    alpha = one_alpha(balance)
    check_outputs([output, report, export_cluster, cache], [records, artifact])
    check_outputs([pictures, output, report, export_cluster, cache])
    if not excluded_datasets:
        refuse(["dataset_exclusion_mode"], "without --excluded-datasets, of which it is")
    if pictures is not None:
        require_matplotlib()
    if artifact is not None:
        refuse(_OF_FITTING, "with --artifact, for which nothing is fitted")
    held_out: Source = list(records)
    known: dict[str, Any] = {"input": [public(str(path)) for path in records]}
    encoder = None if artifact else make_embedder(embedder, cache, work["engine"])
    asked = given(**options)
    if artifact is not None:
        fitted = RouterArtifact.load(artifact)
        asked |= {"excluded_datasets": excluded_datasets, **reading}
    else:
        loaded = read_records(records, **reading)
        split = split_records(
            loaded,
            train_ratio,
            seed,
            excluded_models=asked.pop("exclude", ()),
            excluded_datasets=excluded_datasets,
            dataset_exclusion_mode=dataset_exclusion_mode,
        )
        if not (split.train or split.test):
            raise click.ClickException(
                f"without what --exclude and --excluded-datasets name none of "
                f"{counted(len(loaded), 'record')} is left; the models are "
                f"{few(loaded.models, 10)}, the datasets {few(loaded.datasets, 10)}"
            )
        if not split.train:
            raise click.ClickException(
                f"--train-ratio {train_ratio:g} of {counted(len(loaded), 'record')} leaves none to "
                f"fit on: of each dataset it is rounded down. Give more records, a larger ratio, "
                f"or --artifact to evaluate one on all of them"
            )
        if not split.test:
            raise click.ClickException(
                f"--excluded-datasets leaves none of {counted(len(loaded), 'record')} to evaluate "
                f"on; the datasets are {few(loaded.datasets, 10)}"
            )
        fitted = fit_records(
            split.train,
            encoder,
            clusters,
            seed,
            models=asked.pop("models", None),
            source=file_names(records),
            **work,
        ).artifact
        held_out = split.test
        known |= {"seed": seed, "train_ratio": train_ratio}
        if embedder == "tfidf":
            encoder = None
    if export_cluster is not None:
        fitted.save(export_cluster)
    router = Router(fitted, encoder, **scoring)
    alphas = DEFAULT_ALPHAS if alpha is None else [alpha]
    result, problems = evaluate_records(router, held_out, alphas, on_empty="relax", **work, **asked)
    show_problems(problems, "input")
    result = replace(result, setup={**known, **result.setup})
    _show(result, router, output, report, pictures)


def _show(
    result: Report, router: Router, output: Path | None, report: Path | None, pictures: Path | None
) -> None:
    """Write what was asked for, then print a result: whoever reads may stop at any line."""
    from avengers_core.evaluation.rendering import (
        about_intervals,
        comparison,
        confidence,
        metric_rows,
        notes,
    )

    written = []
    if output is not None:
        write_whole(output, json.dumps(result.to_dict(), indent=1) + "\n")
    if report is not None:
        result.save(report)
        written.append(f"\nreport: {report}")
    if pictures is not None:
        from avengers_core.evaluation.plots.plots import save_all

        paths = save_all(result, pictures, artifact=router.artifact)
        written += [f"picture: {path}" for path in paths]
    heading, rows = comparison(result, datasets=False)
    click.echo(f"{counted(result.n_queries, 'held-out query')}, {router!r}\n")
    if result.relaxed:
        click.echo(
            f"no model meets the limits for {result.relaxed:,} of them; they go to the nearest\n",
            err=True,
        )
    click.echo(text_table(heading, rows))
    for note in notes(result):
        click.echo("\n" + one_line(note))
    click.echo("\n" + text_table(("metric", "value"), [r[:2] for r in metric_rows(result)]))
    (first, *others), intervals = confidence(result)
    if intervals:
        click.echo("\n" + text_table((first or "95 % confidence", *others), intervals))
        for note in about_intervals(result):
            click.echo(one_line(note))
    for line in written:
        click.echo(line)
