"""Speed of the core, each figure with its floor; see bench.py."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from timing import LONG, SHORT, USUAL, Row, fresh, in_turn

from avengers_core import Router, RouterArtifact, fit, load_records
from avengers_core.artifact.artifact import ArtifactInfo
from avengers_core.artifact.statistics import Statistics
from avengers_core.routing.alpha.path import find_path
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.queries import Queries

N, K, M, D = 100_000, 60, 13, 256
SAMPLE = Path(__file__).parents[2] / "examples" / "data" / "sample.jsonl"


def unit_vectors(n: int, seed: int) -> np.ndarray:
    """Vectors around 300 centers, so that there is something to cluster."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).normal(size=(300, D))
    vectors = centers[rng.integers(300, size=n)] + 1.5 * rng.normal(size=(n, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_artifact() -> RouterArtifact:
    """60 clusters, 13 models."""
    rng = np.random.default_rng(1)
    s = Statistics.zeros(K, M, 1)
    s.topics[:] = 200
    s.n[:] = s.n_cost[:] = 200
    s.score[:] = 200 * rng.uniform(size=(K, M))
    s.cost[:] = rng.uniform(size=(K, M)) * np.geomspace(1e-4, 1e-1, M)
    info = ArtifactInfo(embedder="random")
    return RouterArtifact(tuple(f"m{i}" for i in range(M)), ("d",), unit_vectors(K, 2), s, info)


class Precomputed:
    """An embedder that looks vectors up by number."""

    id, dim = "precomputed", D

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors

    def embed(self, texts: list[str]) -> np.ndarray:
        return self._vectors[np.array([int(t) for t in texts])]

    async def aembed(self, texts: list[str]) -> np.ndarray:
        return self.embed(texts)


def one_query() -> Iterator[Row]:
    # The shipped artifact has clusters only; what `fit` makes also looks at surface features.
    routers = {"shipped": Router.default(), "fitted": Router(fit(SAMPLE))}
    for (name, router), text in itertools.product(routers.items(), (SHORT, USUAL, LONG)):
        routed, embedded = in_turn(
            lambda router=router, text=text: router.route(fresh(text), alpha=0.4),
            lambda router=router, text=text: router.embedder.embed([fresh(text)]),
            rounds=200,
            repeat=20,
        )
        what = f"route one query of {len(text)} characters, {name} artifact / the embedder alone"
        yield Row(what, routed, embedded, "1.5")


def batch() -> Iterator[Row]:
    router, vectors = Router(random_artifact()), unit_vectors(N, 3)
    centroids = np.ascontiguousarray(router.artifact.centroids.T)
    # Many calls of one before the other: threads of a product spin for a while after it.
    routed, product = in_turn(
        lambda: router.route_vectors(vectors, alpha=0.4),
        lambda: vectors @ centroids,
        rounds=10,
        repeat=20,
    )
    what = f"route {N:,} vectors, {K} clusters, {M} models / the bare matrix product"
    yield Row(what, routed, product, "2")


def fitting() -> Iterator[Row]:
    n = 10_000
    vectors = unit_vectors(n, 4)
    rng = np.random.default_rng(5)
    records = load_records(
        {
            "query": str(i),
            "records": {f"m{j}": float(s) for j, s in enumerate(scores)},
            "usages": {f"m{j}": {"cost": 0.001 * (j + 1)} for j in range(M)},
        }
        for i, scores in enumerate(rng.integers(2, size=(n, M)))
    )
    embedder = Precomputed(vectors)
    fitted, clustered = in_turn(
        lambda: fit(records, embedder, K),
        lambda: KMeans(K, n_init=10, random_state=42).fit(vectors),
        rounds=5,
    )
    yield Row(f"fit on {n:,} records of {M} models / k-means alone", fitted, clustered, "1.3")


def loading() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        random_artifact().save(folder)
        files = list(Path(folder).iterdir())
        loaded, read = in_turn(
            lambda: RouterArtifact.load(folder),
            lambda: [f.read_bytes() for f in files],
            rounds=50,
            repeat=5,
        )
    yield Row("load an artifact / read its files", loaded, read, "under 10 ms")


def alpha_path() -> Iterator[Row]:
    router, vectors = Router(random_artifact()), unit_vectors(10_000, 6)
    features = router.scorer.features(Queries(vectors))
    call = RoutingCall()
    traced, routed = in_turn(
        lambda: find_path(router.engine, features, call),
        lambda: router.route_vectors(vectors, alpha=0.4),
        rounds=9,
        repeat=5,
    )
    yield Row("exact path over alpha, 10,000 queries / routing them once", traced, routed, "")


def importing() -> Iterator[Row]:
    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    imported, python = in_turn(run("import avengers_core"), run("pass"), rounds=7)
    yield Row("import avengers_core / Python alone", imported, python, "under 300 ms")


MEASURES = (one_query, batch, fitting, loading, alpha_path, importing)
