"""Fixtures that the tests of both plugins share: a server, and a router whose picks are plain."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from avengers_core import Router, fit
from avengers_core.embedders import CallableEmbedder

# `--import-mode=importlib` keeps tests/ off the path, and the tests share this one module.
_spec = importlib.util.spec_from_file_location(
    "stub_server", Path(__file__).with_name("stub_server.py")
)
assert _spec is not None
assert _spec.loader is not None
if "stub_server" not in sys.modules:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["stub_server"] = _module
    _spec.loader.exec_module(_module)
from stub_server import StubServer  # noqa: E402

EASY, HARD = "test/easy", "test/hard"
MODELS = (EASY, HARD, "test/spare")
# At alpha 0.5: the easy model on words of EASY_WORDS, the hard one on those of HARD_WORDS.
EASY_WORDS = ("capital", "hello", "colour")
HARD_WORDS = ("prove", "theorem", "integral")


def keyword_vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(n, 3) counts of easy and of hard words, and a constant for texts with neither."""
    rows = []
    for text in texts:
        words = text.lower()
        easy = sum(words.count(word) for word in EASY_WORDS)
        hard = sum(words.count(word) for word in HARD_WORDS)
        rows.append((float(easy), float(hard), 0.0 if easy or hard else 1.0))
    return np.array(rows, dtype=np.float32)


def keyword_embedder() -> CallableEmbedder:
    """An embedder that only sees the words of ``EASY_WORDS`` and ``HARD_WORDS``."""
    return CallableEmbedder(keyword_vectors, id="test/keywords", dim=3)


def keyword_records() -> list[dict[str, Any]]:
    """All models answer easy questions; hard ones only the dear model, and half the spare one."""
    scores = {"easy": (1.0, 1.0, 1.0), "hard": (0.0, 1.0, 0.5)}
    costs = (0.001, 0.02, 0.01)
    records = []
    for kind, words in (("easy", EASY_WORDS), ("hard", HARD_WORDS)):
        for i in range(30):
            records.append(
                {
                    "query": f"{words[i % 3]} {i}",
                    "records": dict(zip(MODELS, scores[kind], strict=True)),
                    "usages": {m: {"cost": c} for m, c in zip(MODELS, costs, strict=True)},
                    "dataset": kind,
                    "index": i,
                }
            )
    return records


@pytest.fixture(scope="session")
def router() -> Router:
    """Sends easy questions to ``test/easy``, hard ones to ``test/hard``; then ``test/spare``."""
    prices = {EASY: 1e-7, HARD: 2e-6, "test/spare": 1e-6}
    return Router(
        fit(keyword_records(), keyword_embedder(), n_clusters=2, input_prices=prices),
        embedder=keyword_embedder(),
    )


@pytest.fixture(scope="session")
def _server() -> Iterator[StubServer]:
    with StubServer() as running:
        yield running


@pytest.fixture
def server(_server: StubServer) -> Iterator[StubServer]:
    """The stub server, with nothing in its memory."""
    _server.reset()
    yield _server
    _server.reset()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer's environment holds."""
    for name in (
        "AVENGERS_ARTIFACT",
        "AVENGERS_BASE_URL",
        "AVENGERS_API_KEY",
        "OPENROUTER_API_KEY",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
