"""The command that shows what an artifact holds: inspect."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from avengers_core.cli.options import PATH, SHARE, artifact_option
from avengers_core.cli.shared import open_router, refuse
from avengers_core.common.plain import plain
from avengers_core.records.names import one_line
from avengers_core.routing.explaining import text_table, usd


@click.command("inspect", short_help="Show clusters, topics and best models.")
@click.argument("place", metavar="[ARTIFACT]", type=PATH, required=False)
@artifact_option
@click.option("--alpha", type=SHARE, default=0.5)
@click.option("--top", type=click.IntRange(1), default=3, help="Models shown.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def inspect_command(
    place: Path | None, artifact: Path | None, alpha: float, top: int, as_json: bool
) -> None:
    """Show what an ARTIFACT holds: its clusters, their size, topics and best models.

    "on records" counts the models that have records of their own in a cluster; what is expected of
    the others is inferred from the rest. Support is how far a model's number there rests on
    records of itself. --json tells both of every model.

    \b
    avengers inspect artifact/
    avengers inspect artifact/ --alpha 1 --top 5       who is best, whatever it costs

    Without ARTIFACT: the one of $AVENGERS_ARTIFACT, else the one that ships with the package.
    """
    if place is not None:
        refuse(["artifact"], "beside ARTIFACT")
    router = open_router(place or artifact)
    a, scorer = router.artifact, router.scorer
    models = router.models
    s = scorer.statistics
    k = len(s.size)
    table, score, cost = scorer.table(alpha)[:k], scorer.score_table[:k], scorer.cost_table[:k]
    support, own = scorer.evidence_table[:k], np.maximum(s.n - s.inferred, 0.0)
    clusters = []
    for c in np.argsort(-s.size, kind="stable").tolist():
        ranked = np.argsort(-table[c], kind="stable").tolist()
        best = [
            {
                "model": models[j],
                "score": float(score[c, j]),
                "cost": plain(cost[c, j]),
                "support": float(support[c, j]),
            }
            for j in [j for j in ranked if support[c, j] >= scorer.min_support][:top]
        ]
        clusters.append(
            {
                "cluster": c,
                "size": int(s.size[c]),
                "topics": list(s.most_frequent(c, a.datasets)),
                "best": best,
                "records": {m: round(float(n), 2) for m, n in zip(models, own[c], strict=True)},
                "support": {m: float(x) for m, x in zip(models, support[c], strict=True)},
            }
        )
    if as_json:
        content = {
            "records": a.n_records,
            "unanswered": a.n_unanswered,
            "models": models,
            "datasets": a.datasets,
            "dim": a.dim,
            "bytes": a.nbytes,
            "info": a.info.model_dump(),
            "clusters": clusters,
        }
        click.echo(json.dumps(content, indent=1))
        return
    asked = f", {a.n_unanswered:,} questions that nobody has answered" if a.n_unanswered else ""
    click.echo(
        f"{a.n_records:,} records{asked}, {len(models)} models, {len(a.datasets)} datasets, "
        f"{k} clusters, {a.dim} dimensions, {a.nbytes / 1024:,.0f} KiB\n"
        f"embedder {a.info.embedder}, scorer {scorer.name}, made {a.info.created}"
    )
    for label, text in (("source", a.info.source), ("note", a.info.note)):
        if text:
            click.echo(one_line(f"{label}: {text}"))
    rows = [
        [
            str(c["cluster"]),
            f"{c['size']:,}",
            ", ".join(c["topics"]),
            f"{sum(n > 0 for n in c['records'].values())} of {len(models)}",
            "  ".join(
                f"{b['model']} ({b['score']:.2f}, {usd(b['cost'])}, {b['support']:.0%})"
                for b in c["best"]
            ),
        ]
        for c in clusters
    ]
    best_at = f"best models at alpha {alpha:g} (score, cost, support)"
    heading = ["cluster", "size", "topics", "on records", best_at]
    click.echo("\n" + text_table(heading, rows, left=(0, 2, 4)))
