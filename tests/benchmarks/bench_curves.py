"""How the cost of summing up and routing grows with records, models, clusters and dimensions.

    python tests/benchmarks/bench_curves.py

Ready vectors, no embedder: what is left is the router's own arithmetic. One quantity is varied at
a time around 50,000 records, 13 models, 60 clusters, 256 dimensions; medians of five runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from avengers_core import Router
from avengers_core.artifact.sums import Sums
from avengers_core.embedders.surface import SURFACE_FEATURES
from avengers_core.fitting.plan import Plan
from avengers_core.records.outcomes import Outcomes
from avengers_core.routing.decision.explaining import text_table

USUAL = {"records": 50_000, "models": 13, "clusters": 60, "dimensions": 256}
VARIED = {
    "records": (12_500, 50_000, 200_000),
    "models": (3, 13, 50),
    "clusters": (15, 60, 240),
    "dimensions": (64, 256, 1024),
}


def median(call: Callable[[], object], rounds: int = 5) -> float:
    """Seconds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(records: int, models: int, clusters: int, dimensions: int) -> list[str]:
    """Microseconds a record to sum up and to route, and the artifact's size."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(records, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    features = rng.normal(size=(records, len(SURFACE_FEATURES))).astype(np.float32)
    shape = (records, models)
    outcomes = Outcomes(
        queries=[f"a question of some length, number {i}" for i in range(records)],
        models=tuple(f"m{j}" for j in range(models)),
        datasets=("d",),
        dataset=np.zeros(records, dtype=np.int64),
        scores=rng.integers(2, size=shape).astype(np.float64),
        costs=rng.uniform(0.001, 0.01, shape),
        prompt_tokens=np.full(shape, 80.0),
        completion_tokens=np.full(shape, 200.0),
        propensity=np.full(records, np.nan),
    )
    how = Plan("none", clusters, seed=0, n_init=1)
    sample = np.arange(min(records, 5_000))
    empty = how.artifact(
        outcomes.take(sample), vectors[sample], features[sample], "none", {}, missing="skip"
    )
    artifact = Sums.collect(empty, vectors, features, outcomes).put_into(empty)
    router = Router(artifact)
    points = np.concatenate([vectors, features], axis=1)
    fit = median(lambda: Sums.collect(empty, vectors, features, outcomes))
    route = median(lambda: router.route_vectors(points, alpha=0.4))
    return [
        f"{1e6 * fit / records:.2f}",
        f"{1e6 * route / records:.2f}",
        f"{artifact.nbytes / 1e6:.2f}",
    ]


def main() -> None:
    rows = [
        [f"{value:,} {name}", *measure(**{**USUAL, name: value})]
        for name, values in VARIED.items()
        for value in values
    ]
    print(text_table(["", "sum up, µs/record", "route, µs/query", "artifact, MB"], rows))


if __name__ == "__main__":
    main()
