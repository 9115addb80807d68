"""Whether what somebody says in a conversation is a question of its own, or goes on with the last.

A logistic regression on the token vectors of WordLlama, whatever embedder the artifact has: the sum
of the vectors of "ok" or of "mach weiter" is short, that of a question long. Fitted by
``scripts/fit_turn_gate.py`` on the lists in ``scripts/turns.txt``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from math import exp, log1p, sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avengers_core.embedders.wordllama import WordLlamaEmbedder

Floats = npt.NDArray[np.floating]

GATE_FILE = Path(__file__).with_name("gate.json")

_MOST_CHARS = 500  # by then it is clear that something is asked


def own_share(turn: str) -> float:
    """How far a turn is a question of its own, in [0, 1]; 0 if it says nothing.

    With p the regression's probability, ``2 p - 0.5`` clipped: 0 below a quarter, 1 from three
    quarters on, so that only what is in doubt is decided on both, on the turn and on what was
    before.
    """
    features = gate_features(turn)
    if features is None:
        return 0.0
    offset, weights = _gate()
    evidence = float(features @ weights) + offset
    chance = 1 / (1 + exp(-min(max(evidence, -50.0), 50.0)))
    return min(max(2 * chance - 0.5, 0.0), 1.0)


def gate_features(turn: str) -> Floats | None:
    """(774,) what the gate looks at in a turn, or None if there is nothing.

    How much its tokens say, for the vectors of tokens that say much are long, and add up to a long
    one where they agree; and of what: all together, the first two and the last two.
    """
    rows = _embedder().token_vectors(turn[:_MOST_CHARS])
    n = len(rows)
    if n == 0:
        return None
    parts = [np.add.reduce(part, axis=0) for part in (rows, rows[:2], rows[-2:])]
    lengths = [sqrt(part @ part) for part in parts]
    each = np.sort(np.sqrt(np.einsum("ij,ij->i", rows, rows)))[::-1]
    sizes = (
        log1p(lengths[0]),
        log1p(n),
        lengths[0] / sqrt(n) / 10,
        log1p(each[0]),
        each.mean() / 10,
        each[:3].sum() / 50,
    )
    directions = (part / (length or 1.0) for part, length in zip(parts, lengths, strict=True))
    return np.concatenate([sizes, *directions])


@lru_cache(maxsize=1)
def _embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


@lru_cache(maxsize=1)
def _gate() -> tuple[float, Floats]:
    fitted = json.loads(GATE_FILE.read_text())
    return float(fitted["offset"]), np.array(fitted["weights"])
