"""How well the scorers route held-out records: PerfGain, Save95 and AIQ over five splits.

    python tests/benchmarks/bench_routing.py uiuc9.jsonl.gz mmlupro13.jsonl.gz mmlu2.jsonl.gz

All on the same splits (70 % of each dataset to fit on), embedded by WordLlama. The published
scorers have the settings that their sources name. ``100 nearest`` averages the scores and costs of
the 100 records nearest to a query: no artifact, but a yardstick of what the embedding knows.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avengers_core import Router, fit, load_records
from avengers_core.evaluation.evaluate import evaluate_queries
from avengers_core.evaluation.metrics import aiq, cost_save, perf_gain
from avengers_core.evaluation.rows import Average
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.record import Records
from avengers_core.records.splitting import split_indices
from avengers_core.routing.alpha.curve import curve
from avengers_core.routing.alpha.path import _envelope
from avengers_core.routing.decision.explaining import text_table

_PLURAL = {"query": "queries", "dataset": "datasets"}
METRICS = ("PerfGain", "Save95", "AIQ")
SCORERS = {
    "reference (k = 25)": ("reference", 25, {}),
    "paper (k = 60)": ("paper", 60, {}),
    "calibrated, clusters only": ("calibrated", 60, {}),
    "calibrated": ("calibrated", 60, {}),
}


def nearest(
    train: Outcomes, test: Outcomes, vectors: tuple[np.ndarray, np.ndarray], average: Average
) -> tuple[float, float, float]:
    """The metrics of averaging over the 100 nearest records."""
    known, asked = vectors
    score, cost = np.zeros(test.scores.shape), np.zeros(test.scores.shape)
    for i, row in enumerate(asked @ known.T):
        near = np.argpartition(-row, 100)[:100]
        score[i] = np.nanmean(train.scores[near], axis=0)
        cost[i] = np.nanmean(train.costs[near], axis=0)
    gain = score / np.median(np.ptp(score, axis=1))
    loss = cost / (np.median(np.ptp(cost, axis=1)) or 1.0)
    path = _envelope(-loss, gain)
    group = test.dataset if average == "dataset" else None
    found = curve(path, test.models, test.scores, test.costs, group=group)
    best = int(np.argmax(found.single_score))
    top, its_cost = found.single_score[best], found.single_cost[best]
    return (
        perf_gain(found.score, top),
        cost_save(found.score, found.cost, top, its_cost, 0.95),
        aiq(found.score, found.cost, found.single_cost.min(), found.single_cost.max()),
    )


def one_split(records: Records, seed: int, average: Average) -> Iterator[tuple[str, tuple]]:
    """Name and metrics of each way to route."""
    train_rows, test_rows = split_indices(
        [r.query for r in records], [r.dataset for r in records], 0.7, seed
    )
    train = records.replace(records[i] for i in train_rows)
    outcomes = to_outcomes(records)
    test = outcomes.take(test_rows)
    artifacts = {(k, r): fit(train, n_clusters=k, refine=r) for k, r in ((25, False), (60, True))}
    artifacts[60, False] = fit(train, n_clusters=60, refine=False)
    embed = Router(artifacts[60, True]).embed
    queries = embed(test.queries)
    for name, (scorer, k, options) in SCORERS.items():
        artifact = artifacts[k, name == "calibrated"]
        router = Router(artifact, scorer=scorer, **options)
        report = evaluate_queries(router, queries, test, [0.5], average=average)
        yield name, (report.perf_gain, report.cost_save_at(0.95), report.aiq)
    pair = embed([records[i].query for i in train_rows]).vectors, queries.vectors
    yield "100 nearest records", nearest(outcomes.take(train_rows), test, pair, average)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--average", choices=["query", "dataset"], default="query")
    arguments = parser.parse_args()
    overall: dict[str, list[float]] = defaultdict(list)
    for file in arguments.files:
        records = load_records(file)
        found: dict[str, list[tuple]] = defaultdict(list)
        for seed in range(arguments.splits):
            for name, values in one_split(records, seed, arguments.average):
                found[name].append(values)
        rows = []
        for name, values in found.items():
            columns = list(zip(*values, strict=True))
            rows.append([name, *(f"{np.mean(c):.4f} ± {statistics.stdev(c):.4f}" for c in columns)])
            overall[name].append(float(np.mean(columns[2])))
        ours = np.array(found["calibrated"])
        for rival in list(SCORERS)[:2]:
            wins = (ours >= np.array(found[rival]) - 1e-12).sum(axis=0)
            rows.append(
                [f"splits not worse than {rival}", *(f"{w} of {arguments.splits}" for w in wins)]
            )
        print(f"{file.name}: {records!r}, mean over {_PLURAL[arguments.average]}")
        print(text_table(["", *METRICS], rows) + "\n")
    rows = [[name, f"{np.mean(values):.4f}"] for name, values in overall.items()]
    print(text_table(["mean over data sets", "AIQ"], rows))


if __name__ == "__main__":
    main()
