"""A router whose picks are plain: it only sees a few easy and a few hard words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core import Router, fit
from avengers_core.embedders import CallableEmbedder

EASY, HARD, SPARE = MODELS = ("test/easy", "test/hard", "test/spare")
# Words of EASY_WORDS go to EASY; those of HARD_WORDS to HARD, at alphas under 0.2 to EASY.
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
    """The cheap model is best at easy questions, the expensive one at hard ones."""
    costs = (0.001, 0.02, 0.01)
    kinds = (
        ("easy", EASY_WORDS, (1.0, 0.7, 0.8)),
        ("hard", HARD_WORDS, (0.0, 1.0, 0.5)),
    )
    return [
        {
            "query": f"{words[i % 3]} {i}",
            "records": dict(zip(MODELS, scores, strict=True)),
            "usages": {m: {"cost": c} for m, c in zip(MODELS, costs, strict=True)},
            "dataset": kind,
            "index": i,
        }
        for kind, words, scores in kinds
        for i in range(300)
    ]


@lru_cache(maxsize=1)
def keyword_router() -> Router:
    """Sends easy questions to EASY and hard ones to HARD; SPARE comes second for both."""
    prices = {EASY: 1e-7, HARD: 2e-6, SPARE: 1e-6}
    artifact = fit(keyword_records(), keyword_embedder(), n_clusters=2, input_prices=prices)
    return Router(artifact, embedder=keyword_embedder())
