"""What the router does, in two parts, offline and without a key.

First the shipped artifact: who would answer everyday questions at three values of alpha, and at
what expected cost against always asking the best model. Then a router fitted from records, and
how it does on records that it was not fitted on.
"""

from __future__ import annotations

import json
from pathlib import Path

from avengers_core import Router, evaluate, fit, load_records, split_records
from avengers_core.evaluation.rendering import comparison, metric_rows
from avengers_core.routing.decision import text_table, usd

HERE = Path(__file__).parent
SAMPLE = HERE / "data" / "sample.jsonl"
# Real records, where the developers keep them; not part of the package.
REAL = HERE.parent.parent / "shared" / "data" / "uiuc9.jsonl.gz"
ALPHAS = (0.2, 0.4, 0.8)


def everyday() -> None:
    """Route twenty everyday questions with the artifact that ships with the package."""
    router = Router.default()
    print(f"1. Everyday questions, the shipped artifact\n   {router.artifact.info.note}\n")
    lines = (HERE / "data" / "everyday.jsonl").read_text(encoding="utf-8").splitlines()
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


def held_out() -> None:
    """Fit on 70 % of some records and evaluate on the rest."""
    path = REAL if REAL.exists() else SAMPLE
    origin = "real records" if path == REAL else "MADE-UP records, they only show how it works"
    print(f"\n\n2. Fit and evaluate: {path.name} ({origin})\n")
    train, test = split_records(load_records(path))
    router = Router(fit(train))
    report = evaluate(router, test)
    print(f"fitted on {len(train):,} queries, evaluated on {len(test):,} others\n")
    print(text_table(*comparison(report, datasets=False)))
    print("\n" + text_table(("metric", "value"), [row[:2] for row in metric_rows(report)]))


if __name__ == "__main__":
    everyday()
    held_out()
