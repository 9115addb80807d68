"""Processes that do some work and are killed at it; their work, which they may have to import."""

from __future__ import annotations

import os
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avengers_core import RouterArtifact, bulk
from avengers_core.collecting import Answer, collect
from avengers_core.embedders import CachedEmbedder, CallableEmbedder

# A child of this process has imported everything; elsewhere system libraries do not survive it.
_CONTEXT: Any = get_context("fork" if sys.platform == "linux" else "spawn")
_MANY_THREADS = ".*multi-threaded, use of fork"  # says Python 3.12; servers of the tests are some
needs_sigkill = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


def forks(test: Callable[..., Any]) -> Any:
    """A test that forks this process; skipped where there is no fork."""
    test = pytest.mark.filterwarnings(f"ignore:{_MANY_THREADS}:DeprecationWarning")(test)
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")(test)


@contextmanager
def child(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that does ``work(there, *arguments)``, and this end of its pipe; killed after."""
    here, there = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=work, args=(there, *arguments), daemon=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _MANY_THREADS, DeprecationWarning)
        process.start()
    there.close()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()
        here.close()


def forget(*packages: str) -> None:
    """In a child: what is imported from now on is imported as if it were for the first time."""
    for name in list(sys.modules):
        if any(f"{name}.".startswith(f"{package}.") for package in packages):
            del sys.modules[name]


def hash_vectors(texts: list[str], dim: int = 32) -> np.ndarray:
    """(n, dim) unit vectors that depend on nothing but the text."""
    digests = [sha256(text.encode()).digest()[:dim] for text in texts]
    rows = np.array([list(d) for d in digests], dtype=np.float64).reshape(-1, dim) - 127.5
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embed_when_told(there: Connection, paths: list[Path], texts: list[str]) -> None:
    """Fill one cache after another, and say that it is done."""
    there.recv()
    for path in paths:
        cached = CachedEmbedder(CallableEmbedder(hash_vectors, id="p"), path, chunk_size=9)
        assert np.allclose(cached.embed(texts), hash_vectors(texts), atol=1e-6)
    there.send("done")


def embed_without_end(there: Connection, path: Path) -> None:
    """Tell the number of the first text of each chunk that is embedded."""

    def told(texts: list[str]) -> np.ndarray:
        there.send(int(texts[0].split()[1]))
        return hash_vectors(texts)

    cached = CachedEmbedder(CallableEmbedder(told, id="k"), path, chunk_size=4)
    cached.embed([f"text {i}" for i in range(10**4)])


def save_without_end(there: Connection, folder: Path) -> None:
    """Save two artifacts over each other."""
    one = RouterArtifact.load(folder)
    other = one.drop_models(["odd"])
    there.send("ready")
    while True:
        other.save(folder)
        one.save(folder)


def collect_at_ease(path: Path, asked: Path, mended: Path) -> Any:
    """Ask three models sixty questions, of which some fail until mended; note who is asked."""
    with asked.open("a", buffering=1) as notes:

        def ask(name: str) -> Callable[[str], Answer]:
            def answer(query: str) -> Answer:
                time.sleep(0.002)
                if zlib.crc32(f"{name} {query}".encode()) % 20 == 0 and not mended.exists():
                    raise ConnectionError("flaky")
                notes.write(f"{name} {query}\n")
                return Answer("42", cost=0.001)

            return answer

        questions = [{"query": f"q{i}", "reference": "42"} for i in range(60)]
        models = {m: ask(m) for m in "abc"}
        return collect(questions, models, "exact", strategy="full", path=path)


def collect_and_tell(there: Connection, *paths: Path) -> None:
    """Collect, and say so when it has ended."""
    collect_at_ease(*paths)
    there.send("ended")


def route_and_tell(there: Connection, *job: Path) -> None:
    """Route a file, and say so when it has ended."""
    bulk.route(*job, engine="serial")
    there.send("ended")
