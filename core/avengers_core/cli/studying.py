"""The command that studies: one setting varied over repeated splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.shared import NewFile, given, names, read_records, scorer_options
from avengers_core.decision import text_table


@click.command("sweep", short_help="Vary one setting over repeated splits.")
@click.option(
    "--input",
    "-i",
    "records",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    required=True,
    help="Records, JSON lines, plain or gzip; repeat for several files.",
)
@click.option(
    "--study",
    type=click.Choice(
        ["clusters", "top-k", "beta", "train-ratio", "embedder", "scorer", "leave-one-out"]
    ),
    default="clusters",
    show_default=True,
    help="What to vary; leave-one-out evaluates each dataset with a router that never saw it.",
)
@names("--values", "values", help="What to try instead of the study's own list.")
@click.option("--repetitions", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first repetition.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Processes. Default: all cores.")
@click.option("--clusters", type=click.IntRange(1), default=60, show_default=True)
@click.option("--embedder", default="wordllama", show_default=True)
@click.option(
    "--train-ratio",
    type=click.FloatRange(0, 1, True, True),
    default=0.7,
    show_default=True,
    help="Share of each dataset to fit on; the rest is held out.",
)
@scorer_options
@click.option(
    "--output",
    "-o",
    type=NewFile(),
    help="Tidy CSV, row by row.",
)
@click.option(
    "--picture",
    type=NewFile(),
    help="A picture, .png or .svg.",
)
def sweep_command(
    records: tuple[Path, ...],
    study: str,
    values: tuple[str, ...],
    repetitions: int,
    seed: int,
    jobs: int | None,
    clusters: int,
    embedder: str,
    train_ratio: float,
    scorer: str | None,
    top_k: int | None,
    beta: float | None,
    output: Path | None,
    picture: Path | None,
) -> None:
    """Vary one setting over repeated splits, in parallel, and report mean and spread.

    \b
    avengers sweep --input records.jsonl --study clusters --output sweep.csv --picture sweep.png
    avengers sweep --input records.jsonl --study leave-one-out
    """
    from avengers_core import studies
    from avengers_core.plots import require_matplotlib

    if picture is not None:
        if picture.suffix not in (".png", ".svg"):
            raise click.UsageError(
                f"expected a picture that ends in .png or .svg, got {picture.name}"
            )
        require_matplotlib()
    loaded = read_records(records, strict=False)
    base = studies.Setting(
        n_clusters=clusters,
        embedder=embedder,
        train_ratio=train_ratio,
        scorer=scorer or "calibrated",
        scorer_options=given(top_k=top_k, beta=beta),
    )
    numbers = [_number(value) for value in values]
    seeds = range(seed, seed + repetitions)
    settings = studies.settings_for(study, loaded, base, seeds, numbers)
    if output is not None:
        output.unlink(missing_ok=True)
    summary = studies.summarise(studies.run(loaded, settings, jobs=jobs, output=output))
    shown = ("perf_gain", "cost_save_95", "aiq")
    rows = [
        [str(line["value"]), *(_mean_and_spread(line, metric) for metric in shown)]
        for line in summary
    ]
    if picture is not None:
        from avengers_core.plots import study_results

        study_results(summary, study).savefig(picture, dpi=150)
    click.echo(text_table([study, "PerfGain", "CostSave at 95 %", "AIQ"], rows))


def _mean_and_spread(line: Mapping[str, Any], metric: str) -> str:
    known, repetitions = line[f"{metric}_known"], line["repetitions"]
    if not known:
        return "not reached"
    spread = f" ± {line[f'{metric}_std']:.4f}" if known > 1 else ""
    some = "" if known == repetitions else f" ({known} of {repetitions})"
    return f"{line[metric]:.4f}{spread}{some}"


def _number(value: str) -> float | str:
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return value
