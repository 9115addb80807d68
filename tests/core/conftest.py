"""Made-up records, and the real ones where they are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avengers_core import Report, Router, evaluate, fit
from avengers_core.embedders import CallableEmbedder

SHARED = Path(__file__).parents[3] / "shared"
MODELS = ("good", "cheap", "odd")


def word_vectors(texts: list[str]) -> np.ndarray:
    """(n, 8) hashed counts of words: deterministic, quick, and similar for similar texts."""
    out = np.zeros((len(texts), 8))
    for row, text in zip(out, texts, strict=True):
        for word in text.split():
            row[sum(word.encode()) % 8] += 1
        row[0] += 0.1
    return out


@pytest.fixture(scope="session")
def embedder() -> CallableEmbedder:
    """Eight dimensions, no files."""
    return CallableEmbedder(word_vectors, id="test/words", dim=8)


@pytest.fixture(scope="session")
def make_records() -> Callable[..., list[dict[str, Any]]]:
    """n rows of three models and two datasets, the same for the same seed."""

    def make(n: int = 60, seed: int = 0, models: tuple[str, ...] = MODELS) -> list[dict[str, Any]]:
        return json.loads(text(n, seed, models))  # hundreds of tests want the same

    @cache
    def text(n: int, seed: int, models: tuple[str, ...]) -> str:
        rng = np.random.default_rng(seed)
        words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
        rows = []
        for i in range(n):
            topic = i % 2
            text = " ".join(rng.choice(words[3 * topic : 3 * topic + 3], 5))
            rows.append(
                {
                    "query": f"{text} {i}",
                    "records": {m: int(rng.random() < 0.3 + 0.2 * topic) for m in models},
                    "usages": {
                        m: {
                            "cost": float(0.001 * (j + 1) * rng.uniform(0.5, 1.5)),
                            "prompt_tokens": int(rng.integers(5, 50)),
                            "completion_tokens": int(rng.integers(5, 50)),
                        }
                        for j, m in enumerate(models)
                    },
                    "dataset": ("greek", "other")[topic],
                    "index": i,
                }
            )
        return json.dumps(rows)

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real records and reference output; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("no shared data beside the project")
    return SHARED


# Two datasets; "a" solves x, "b" solves y and costs ten times as much.
_TOY = [
    *({"query": f"x{i}", "records": {"a": 1, "b": 0}, "dataset": "x"} for i in range(4)),
    *({"query": f"y{i}", "records": {"a": 0, "b": 1}, "dataset": "y"} for i in range(2)),
    {"query": "y2", "records": {"a": 1, "b": 1}, "dataset": "y"},
]


@pytest.fixture(scope="session")
def toy_rows() -> list[dict[str, Any]]:
    """Seven records small enough to count by hand."""
    return [{**r, "usages": {"a": {"cost": 1.0}, "b": {"cost": 10.0}}} for r in _TOY]


@pytest.fixture(scope="session")
def toy_router(toy_rows: list[dict[str, Any]]) -> Router:
    """Its clusters are the toy's datasets, so at alpha 1 it makes no mistake."""
    embedder = CallableEmbedder(
        lambda texts: np.array([[t[0] == "x", t[0] == "y"] for t in texts], dtype=float),
        id="test/letters",
        dim=2,
    )
    artifact = fit(toy_rows, embedder, n_clusters=2, refine=False)
    return Router(artifact, embedder, scorer="reference")


@pytest.fixture(scope="session")
def toy_report(toy_router: Router, toy_rows: list[dict[str, Any]]) -> Report:
    """The toy's router on its own records, at both ends of alpha."""
    return evaluate(toy_router, toy_rows, [0.0, 1.0])


@pytest.fixture(scope="session")
def rows(make_records):
    return make_records(240)


@pytest.fixture(scope="session")
def folder(tmp_path_factory, rows):
    """The rows as plain, compressed and Parquet files, with two bad rows among them."""
    path = tmp_path_factory.mktemp("logs")
    lines = [json.dumps(r) for r in rows]
    plain = [*lines[:60], '{"query": "cut', "", *lines[60:100]]
    (path / "1.jsonl").write_text("\ufeff" + "\r\n".join(plain))
    (path / "2.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[100:160]).encode()))
    table = [
        {**r, "records": json.dumps(r["records"]), "usages": json.dumps(r["usages"])}
        for r in rows[160:200]
    ]
    table.append({**table[0], "records": '{"good": 7}'})
    pq.write_table(pa.Table.from_pylist(table), path / "3.parquet", row_group_size=13)
    pq.write_table(pa.Table.from_pylist(rows[200:]), path / "4.parquet", row_group_size=50)
    return path


@pytest.fixture(scope="session")
def in_memory(rows):
    return fit(rows, n_clusters=6)


@pytest.fixture(scope="session")
def decisions():
    """Reads back what a job of routing wrote."""

    def read(written):
        return [
            json.loads(line) for file in written.files for line in file.read_bytes().splitlines()
        ]

    return read
