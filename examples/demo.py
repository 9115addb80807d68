"""What the router does, in two parts, offline and without a key.

    python examples/demo.py                                       # or: make demo
    python examples/demo.py --picture docs/images/tradeoff.png    # and draw the second part

First the shipped artifact: who would answer everyday questions at three values of alpha, and at
what expected cost against always asking the best model. Then a router fitted on public results of
models of 2026, and how it does on questions that it was not fitted on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from avengers_core import Report, Router, plots
from avengers_core.evaluation.evaluate import evaluate_queries
from avengers_core.evaluation.rendering import comparison, metric_rows
from avengers_core.fitting.vectors import fit_queries
from avengers_core.records.outcomes import Outcomes
from avengers_core.records.splitting import split_indices
from avengers_core.routing.decision.explaining import text_table, usd
from avengers_core.routing.queries import Queries

DATA = Path(__file__).parent / "data"
ALPHAS = (0.2, 0.4, 0.8)
# The two sets of results, of the four, that most models have been through.
SETS = ("openhands/", "ikp/")


def everyday() -> None:
    """Route twenty everyday questions with the artifact that ships with the package."""
    router = Router.default()
    print(f"1. Everyday questions, the shipped artifact\n   {router.artifact.info.note}\n")
    lines = (DATA / "everyday.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [json.loads(line)["query"] for line in lines]
    decisions = {alpha: router.route_batch(queries, alpha=alpha) for alpha in ALPHAS}
    rows = [
        [
            query if len(query) < 44 else query[:41] + "...",
            *(f"{d.model.split('/')[-1]} {usd(d.expected_cost)}" for d in picked),
        ]
        for query, *picked in zip(queries, *decisions.values(), strict=True)
    ]
    print(text_table(["question", *(f"alpha {a:g}" for a in ALPHAS)], rows, left=range(4)))

    # The best single model for these questions: the highest mean of expected scores.
    scores: dict[str, float] = {}
    for decision in decisions[ALPHAS[0]]:
        for candidate in decision.candidates:
            scores[candidate.model] = scores.get(candidate.model, 0.0) + candidate.expected_score
    best = max(scores, key=lambda model: scores[model])
    plans = {f"alpha {alpha:g}": picked for alpha, picked in decisions.items()}
    plans[f"always {best}"] = router.route_batch(queries, models=[best])
    total = {name: sum(d.expected_cost or 0.0 for d in picked) for name, picked in plans.items()}
    heading = ["all 20 questions", "expected score", "expected cost", "of the best model's"]
    rows = [
        [
            name,
            f"{sum(d.expected_score for d in picked) / len(picked):.3f}",
            usd(total[name]),
            f"{total[name] / total[f'always {best}']:.0%}",
        ]
        for name, picked in plans.items()
    ]
    print("\n" + text_table(heading, rows))
    print(f"\nOne decision in full:\n\n{decisions[0.4][0].explain()}")


def held_out() -> Report:
    """Fit on 70 % of public results and evaluate on the rest."""
    queries, outcomes, embedder = results_of_2026()
    names = [outcomes.datasets[d] for d in outcomes.dataset]
    train, test = split_indices(outcomes.queries, names, train_ratio=0.7, seed=42)
    artifact = fit_queries(rows_of(queries, train), outcomes.take(train), embedder)
    report = evaluate_queries(
        Router(artifact), rows_of(queries, test), outcomes.take(test), average="query"
    )
    print(
        f"\n\n2. Held-out questions, {len(outcomes.models)} models of 2026, measured\n\n"
        f"Software issues and questions of fact of which every model's result is known: fitted on\n"
        f"{len(train):,}, evaluated on {len(test):,} others.\n"
    )
    print(text_table(*comparison(report, datasets=False)))
    print("\n" + text_table(("metric", "value"), [row[:2] for row in metric_rows(report)]))
    return report


def results_of_2026() -> tuple[Queries, Outcomes, str]:
    """Results of models of 2026 as numbers, see scripts/make_models2026.py, and their embedder.

    Only what is complete: models with a result and its cost on four fifths of the questions of two
    sets, and the questions on which all of these have one. So everything that is compared has
    answered the same.
    """
    with np.load(DATA / "models2026.npz") as stored:
        n = {name: stored[name] for name in stored.files}
    datasets = [str(name) for name in n["datasets"]]
    wanted = np.array([name.startswith(SETS) for name in datasets])[n["dataset"]]
    known = ~np.isnan(n["scores"]) & ~np.isnan(n["costs"])
    models = np.flatnonzero(known[wanted].mean(axis=0) >= 0.8)
    rows = np.flatnonzero(wanted & known[:, models].all(axis=1))
    surface = n["surface"][rows]
    unknown = np.full((len(rows), len(models)), np.nan)
    outcomes = Outcomes(
        # The texts are not here; how long they were is.
        queries=[f"{i} ".ljust(round(size), ".") for i, size in enumerate(np.expm1(surface[:, 0]))],
        models=tuple(str(n["models"][m]) for m in models),
        datasets=tuple(datasets),
        dataset=n["dataset"][rows].astype(np.int64),
        scores=n["scores"][np.ix_(rows, models)].astype(np.float64),
        costs=n["costs"][np.ix_(rows, models)].astype(np.float64),
        prompt_tokens=unknown,
        completion_tokens=unknown,
        propensity=np.full(len(rows), np.nan),
    )
    return Queries(n["vectors"][rows].astype(np.float32), surface), outcomes, str(n["embedder"])


def rows_of(queries: Queries, rows: list[int]) -> Queries:
    """Some of the queries, which have surface features."""
    assert queries.surface is not None
    return Queries(queries.vectors[rows], queries.surface[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", metavar="FILE", help="draw the second part")
    picture = parser.parse_args().picture
    everyday()
    report = held_out()
    if picture:
        plots.save(plots.tradeoff(report), picture)


if __name__ == "__main__":
    main()
