"""Are a router's probabilities right? Print how often models were the best that were given so much.

Fits on a part of the records, and asks it for the held-out queries how likely each model is the
best (``Router.chances``). Which one is, is what a router says that is fitted on the held-out
records themselves, with the same clusters. Repeated with other splits::

    python scripts/reliability.py examples/data/sample.jsonl --clusters 16
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from avengers_core import Router, fit, load_records
from avengers_core.records.splitting import split_records

BINS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1.0)


def outcomes(arguments: argparse.Namespace, seed: int) -> tuple[list[float], list[bool]]:
    """The probability of each model for each held-out query and alpha, and whether it is best."""
    records = load_records(arguments.records)
    train, held_out = split_records(records, arguments.train_ratio, seed=seed)
    artifact = fit(train, n_clusters=arguments.clusters, seed=seed)
    known = Router(artifact)
    truth = Router(fit(held_out, centroids=artifact, seed=seed))
    queries = [record.query for record in held_out]
    probabilities, best = [], []
    for alpha in arguments.alpha:
        decided = known.route_batch(queries, alpha=alpha)
        for decision, actual in zip(decided, truth.route_batch(queries, alpha=alpha), strict=True):
            for model, chance in known.chances(decision).items():
                probabilities.append(chance)
                best.append(model == actual.model)
    return probabilities, best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records")
    parser.add_argument("--clusters", type=int, default=60)
    parser.add_argument("--train-ratio", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--alpha", type=float, nargs="*", default=[0.3, 0.5, 0.7, 0.9])
    arguments = parser.parse_args()
    each = [outcomes(arguments, seed) for seed in range(arguments.seeds)]
    p = np.array([value for values, _ in each for value in values])
    best = np.array([value for _, values in each for value in values])
    print("| probability | cases | said on average | best in held-out records |")
    print("| --- | --- | --- | --- |")
    off = 0.0
    for low, high in pairwise(BINS):
        inside = (p >= low) & ((p < high) | (high == 1))
        if inside.any():
            said, was = p[inside].mean(), best[inside].mean()
            off += inside.sum() * abs(said - was)
            print(f"| {low:.2f} to {high:.2f} | {inside.sum():,} | {said:.3f} | {was:.3f} |")
    print(f"\nCalibration error (mean distance, weighted by cases): {off / len(p):.3f}")


if __name__ == "__main__":
    main()
