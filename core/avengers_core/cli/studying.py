"""The command that studies: one setting varied over repeated splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.fitting import cluster_options, no_cache_of, record_options
from avengers_core.cli.options import (
    constraint_options,
    engine_options,
    names,
    records_option,
    scorer_options,
    train_ratio_option,
)
from avengers_core.cli.shared import given, read_records, refuse
from avengers_core.cli.values import SEED, NewFile
from avengers_core.outputs import check_outputs
from avengers_core.records.names import counted
from avengers_core.routing.decision.explaining import text_table


class _Study(click.Choice):  # type: ignore[type-arg,unused-ignore]
    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "alpha":
            self.fail(
                "'alpha' needs no study: `avengers evaluate` covers every alpha, and its "
                "--pictures show the curve",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


@click.command("sweep", short_help="Vary one setting over repeated splits.")
@records_option
@click.option(
    "--study",
    type=_Study(
        ["clusters", "top-k", "beta", "train-ratio", "embedder", "scorer", "leave-one-out"]
    ),
    default="clusters",
    help="What to vary; leave-one-out evaluates each dataset with a router that never saw it.",
)
@names("--values", help="What to try instead of the study's own list.")
@click.option("--repetitions", type=click.IntRange(1), default=5)
@click.option("--seed", type=SEED, default=0, help="Of the first repetition.")
@engine_options(
    "processes",
    "--jobs",
    "-j",
    engines="memory or serial: this process, one experiment after the other; processes of this "
    "machine; ray (a cluster; $RAY_ADDRESS). All records are held in memory.",
)
@cluster_options
@record_options
@train_ratio_option
@constraint_options
@names("--excluded-datasets", help="Datasets to leave out.")
@scorer_options
@click.option("--output", "-o", type=NewFile(), help="Tidy CSV, made anew, row by row.")
@click.option("--picture", type=NewFile(".png", ".svg"), help="A picture, .png or .svg.")
def sweep_command(
    records: tuple[Path | str, ...],
    study: str,
    values: tuple[str, ...],
    repetitions: int,
    seed: int,
    work: dict[str, Any],
    clusters: int,
    embedder: str,
    cache: Path | None,
    reading: dict[str, Any],
    train_ratio: float,
    models: tuple[str, ...],
    exclude: tuple[str, ...],
    excluded_datasets: tuple[str, ...],
    scoring: dict[str, Any],
    output: Path | None,
    picture: Path | None,
    **limits: float | None,
) -> None:
    """Vary one setting over repeated splits, in parallel, and report mean and spread.

    \b
    avengers sweep --input records.jsonl --study clusters --output sweep.csv --picture sweep.png
    avengers sweep --input records.jsonl --study leave-one-out
    avengers sweep --input records.jsonl --study beta --values 3,9,27 --scorer reference

    With the scorer calibrated all clusters vote, so the study top-k takes reference, unless told
    to take paper. A query for which no model meets the limits goes to the nearest model.
    """
    from avengers_core import studies
    from avengers_core.evaluation.metrics import METRICS, OF_STUDIES
    from avengers_core.records.splitting import known_names

    check_outputs([output, picture, cache], [records])
    if study == "leave-one-out":
        refuse(["train_ratio"], "with --study leave-one-out, which holds out whole datasets")
    refuse([study.replace("-", "_")], f"with --study {study}, which varies it; give --values")
    scorer = scoring.pop("scorer", None)
    if study == "top-k" and scorer == "calibrated":
        raise click.UsageError(
            "with --scorer calibrated all clusters vote; give reference or paper"
        )
    if study != "embedder":
        no_cache_of(embedder)
    loaded = everything = read_records(records, **reading)
    only = known_names("model", models or loaded.models, loaded.models)
    left_out = known_names("dataset", excluded_datasets, loaded.datasets)
    others = (set(loaded.models) - only) | known_names("model", exclude, loaded.models)
    loaded = loaded.replace(r for r in loaded if r.dataset not in left_out)
    if not (loaded := loaded.without_models(others) if others else loaded):
        named = ", ".join(sorted(left_out | others))
        raise click.ClickException(f"without {named} no record is left of {len(everything):,}")
    base = studies.Setting(
        n_clusters=clusters,
        embedder=embedder,
        train_ratio=train_ratio,
        scorer=scorer or "calibrated",
        scorer_options=scoring,
        limits=given(**limits),
    )
    seeds = range(seed, seed + repetitions)
    settings = studies.settings_for(study, loaded, base, seeds, values)
    jobs = work.pop("workers", None)
    results = studies.run(
        loaded, settings, jobs=jobs, output=output, append=False, cache=cache, **work
    )
    summary = studies.summarise(results)
    rows = [
        [str(line["value"]), *(_mean_and_spread(line, metric) for metric in OF_STUDIES)]
        for line in summary
    ]
    if picture is not None:
        from avengers_core.evaluation.plots.saving import save
        from avengers_core.evaluation.plots.studies import study_results

        save(study_results(summary, study), picture)
    scorers = f"scorer {', '.join(dict.fromkeys(s.scorer for s in settings))}"
    click.echo(
        f"{counted(len(loaded), 'record')}, {counted(repetitions, 'repetition')}, {scorers}\n"
    )
    click.echo(text_table([study, *(METRICS[metric].name for metric in OF_STUDIES)], rows))


def _mean_and_spread(line: Mapping[str, Any], metric: str) -> str:
    known, repetitions = line[f"{metric}_known"], line["repetitions"]
    if not known:
        return "not reached"
    spread = f" ± {line[f'{metric}_std']:.4f}" if known > 1 else ""
    some = "" if known == repetitions else f" ({known} of {repetitions})"
    # Rounding first and adding zero takes the sign off a zero.
    return f"{round(line[metric], 4) + 0.0:.4f}{spread}{some}"
