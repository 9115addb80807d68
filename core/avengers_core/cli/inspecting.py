"""The command that shows what an artifact holds: inspect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from avengers_core.cli.options import artifact_option
from avengers_core.cli.shared import open_router, refuse
from avengers_core.cli.values import PATH, SHARE
from avengers_core.common.plain import plain
from avengers_core.common.ranges import check_number
from avengers_core.records.names import counted, one_line
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision.explaining import text_table, usd

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.routing.router import Router


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
    check_number("alpha", alpha, 0, 1)
    router = open_router(place or artifact)
    clusters = _clusters(router, alpha, top)
    if as_json:
        click.echo(json.dumps({**_whole(router.artifact), "clusters": clusters}, indent=1))
    else:
        click.echo(_heading(router) + "\n\n" + _table(clusters, alpha))


def _whole(a: RouterArtifact) -> dict[str, Any]:
    """What an artifact is of, as JSON has it."""
    return {
        "records": a.n_records,
        "unanswered": a.n_unanswered,
        "models": a.models,
        "datasets": a.datasets,
        "dim": a.dim,
        "bytes": a.nbytes,
        "info": a.info.model_dump(),
    }


def _clusters(router: Router, alpha: float, top: int) -> list[dict[str, Any]]:
    """What is in each cluster, the largest first, as JSON has it."""
    scorer, models = router.scorer, router.models
    s = scorer.statistics
    k = len(s.size)
    table, score, cost = scorer.table(alpha)[:k], scorer.score_table[:k], scorer.cost_table[:k]
    support, own = scorer.evidence_table[:k], np.maximum(s.n - s.inferred, 0.0)
    eligible = router.engine.eligibility(alpha, RoutingCall()).codes(score, cost, support) == 0

    def expected(c: int, j: int) -> dict[str, Any]:
        return {
            "model": models[j],
            "score": float(score[c, j]),
            "cost": plain(cost[c, j]),
            "support": float(support[c, j]),
        }

    clusters = []
    for c in np.argsort(-s.size, kind="stable").tolist():
        ranked = np.argsort(-table[c], kind="stable").tolist()
        best = [j for j in ranked if eligible[c, j]][:top]
        clusters.append(
            {
                "cluster": c,
                "size": int(s.size[c]),
                "topics": list(s.most_frequent(c, router.artifact.datasets)),
                "best": [expected(c, j) for j in best],
                "records": {m: round(float(n), 2) for m, n in zip(models, own[c], strict=True)},
                "support": {m: float(x) for m, x in zip(models, support[c], strict=True)},
            }
        )
    return clusters


def _heading(router: Router) -> str:
    a = router.artifact
    n = a.n_unanswered
    asked = f", {counted(n, 'question')} that nobody has answered" if n else ""
    lines = [
        f"{counted(a.n_records, 'record')}{asked}, {counted(len(router.models), 'model')}, "
        f"{counted(len(a.datasets), 'dataset')}, {counted(a.n_clusters, 'cluster')}, "
        f"{a.dim} dimensions, {a.nbytes / 1024:,.0f} KiB",
        f"embedder {a.info.embedder}, scorer {router.scorer.name}, made {a.info.created}",
    ]
    for label, text in (("source", a.info.source), ("note", a.info.note)):
        if text:
            lines.append(one_line(f"{label}: {text}"))
    return "\n".join(lines)


def _table(clusters: Sequence[Mapping[str, Any]], alpha: float) -> str:
    rows = [
        [
            str(c["cluster"]),
            f"{c['size']:,}",
            ", ".join(c["topics"]),
            f"{sum(n > 0 for n in c['records'].values())} of {len(c['records'])}",
            "  ".join(
                f"{b['model']} ({b['score']:.2f}, {usd(b['cost'])}, {b['support']:.0%})"
                for b in c["best"]
            ),
        ]
        for c in clusters
    ]
    best_at = f"best models at alpha {alpha:g} (score, cost, support)"
    return text_table(["cluster", "size", "topics", "on records", best_at], rows, left=(0, 2, 4))
