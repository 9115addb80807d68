"""Speed, each figure as a ratio to its floor measured in the same run.

    python tests/benchmarks/bench_core.py

The two sides of a ratio are timed in turn, many times, and their medians compared, so that a
machine that is busy for a while slows both.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from avengers_core import Router, RouterArtifact, fit
from avengers_core.alpha_path import find_path
from avengers_core.artifact import ArtifactInfo
from avengers_core.calls import make_call
from avengers_core.decision import text_table
from avengers_core.statistics import Statistics

N, K, M, D = 100_000, 60, 13, 256
# Half a line, and as long as the questions of public benchmarks are on average.
SHORT = "Explain why the sky is blue to a child who knows a little physics."
QUERY = (
    "A train leaves the station at 14:05 and travels at 80 km/h. A second one leaves twenty "
    "minutes later in the same direction at 110 km/h. When, and how far from the station, does "
    "it catch up? Show each step, and say which assumptions you make about the stops between."
)


def compare(
    work: Callable[[], object], floor: Callable[[], object], rounds: int, repeat: int = 1
) -> tuple[float, float]:
    """Median seconds of one call of each, timed in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for function in (work, floor):
        function()
    for _ in range(rounds):
        for function, taken in zip((work, floor), seconds, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                function()
            taken.append((time.perf_counter() - start) / repeat)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


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


def one_query(text: str, length: str) -> tuple[str, float, float, str]:
    router = Router.default()
    taken = compare(
        lambda: router.route(text, alpha=0.4), lambda: router.embedder.embed([text]), 200, 20
    )
    return f"one {length} query, text to decision / the embedder alone", *taken, "2.5"


def short_query() -> tuple[str, float, float, str]:
    return one_query(SHORT, "short")


def usual_query() -> tuple[str, float, float, str]:
    return one_query(QUERY, "usual")


def batch() -> tuple[str, float, float, str]:
    router, vectors = Router(random_artifact()), unit_vectors(N, 3)
    centroids = np.ascontiguousarray(router.artifact.centroids.T)
    taken = compare(
        lambda: router.route_vectors(vectors, alpha=0.4), lambda: vectors @ centroids, 15
    )
    return f"{N:,} vectors / the bare matrix product", *taken, "4"


def fitting() -> tuple[str, float, float, str]:
    n = 10_000
    vectors = unit_vectors(n, 4)
    rng = np.random.default_rng(5)
    records = [
        {
            "query": str(i),
            "records": {f"m{j}": float(s) for j, s in enumerate(scores)},
            "usages": {f"m{j}": {"cost": 0.001 * (j + 1)} for j in range(M)},
        }
        for i, scores in enumerate(rng.integers(2, size=(n, M)))
    ]
    from avengers_core import load_records

    loaded = load_records(records)
    embedder = Precomputed(vectors)
    taken = compare(
        lambda: fit(loaded, embedder, K),
        lambda: KMeans(K, n_init=10, random_state=42).fit(vectors),
        3,
    )
    return f"fit on {n:,} records, {M} models / k-means alone", *taken, "1.3"


class Precomputed:
    """An embedder that looks vectors up by number."""

    id, dim = "precomputed", D

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors

    def embed(self, texts: list[str]) -> np.ndarray:
        return self._vectors[np.array([int(t) for t in texts])]

    async def aembed(self, texts: list[str]) -> np.ndarray:
        return self.embed(texts)


def loading() -> tuple[str, float, float, str]:
    with tempfile.TemporaryDirectory() as folder:
        random_artifact().save(folder)
        files = list(Path(folder).iterdir())
        taken = compare(
            lambda: RouterArtifact.load(folder), lambda: [f.read_bytes() for f in files], 50, 5
        )
    return "load an artifact / read its files", *taken, "(10 ms)"


def alpha_curve() -> tuple[str, float, float, str]:
    router, vectors = Router(random_artifact()), unit_vectors(10_000, 6)
    features = router.scorer.features(router.points(vectors))
    call = make_call()
    taken = compare(
        lambda: find_path(router.engine, features, call),
        lambda: router.route_vectors(vectors, alpha=0.4),
        9,
    )
    return "exact path over alpha, 10,000 queries / routing them once", *taken, ""


def langchain_call() -> tuple[str, float, float, str]:
    from langchain_core.language_models import FakeListChatModel

    from avengers_langchain import AvengersChatModel

    router, backend = Router.default(), FakeListChatModel(responses=["Yes."])
    llm = AvengersChatModel(router=router, models=dict.fromkeys(router.models, backend))
    return plugin_call("LangChain", lambda: llm.invoke(QUERY), lambda: backend.invoke(QUERY))


def llamaindex_call() -> tuple[str, float, float, str]:
    from llama_index.core.llms import ChatMessage, MockLLM

    from avengers_llamaindex import AvengersLLM

    router, backend = Router.default(), MockLLM()
    llm = AvengersLLM(router=router, models=dict.fromkeys(router.models, backend))
    question = [ChatMessage(QUERY)]
    return plugin_call("LlamaIndex", lambda: llm.chat(question), lambda: backend.chat(question))


def plugin_call(
    name: str, routed: Callable[[], object], direct: Callable[[], object]
) -> tuple[str, float, float, str]:
    embedder = Router.default().embedder
    with_router, alone = compare(routed, direct, 100, 5)
    embed, _ = compare(lambda: embedder.embed([QUERY]), lambda: None, 100, 20)
    return f"added to a {name} call / the embedder alone", with_router - alone, embed, "3"


def importing() -> tuple[str, float, float, str]:
    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    taken = compare(run("import avengers_core"), run("pass"), 7)
    return "import avengers_core / Python alone", *taken, "(0.3 s)"


def main() -> None:
    rows = []
    plugins = langchain_call, llamaindex_call
    measures = short_query, usual_query, batch, fitting, loading, alpha_curve, *plugins
    for measure in (*measures, importing):
        name, work, floor, goal = measure()
        rows.append([name, f"{1e3 * work:.3f}", f"{1e3 * floor:.3f}", f"{work / floor:.2f}", goal])
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"numpy {np.__version__}\n")
    print(text_table(["what / its floor", "ms", "floor, ms", "ratio", "goal"], rows))


if __name__ == "__main__":
    main()
