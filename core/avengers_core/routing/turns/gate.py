"""Whether what somebody says in a conversation is a question of its own, or goes on with the last.

A logistic regression on the tokens of WordLlama, whatever embedder the artifact has. It looks at
how much they say (the sum of the vectors of "ok" or of "mach weiter" is short, that of a question
long), of what, and at the tokens themselves and their pairs, hashed: "it", "das" and "ça" go on
with something. Fitted by ``scripts/fit_turn_gate.py`` on the lists in ``scripts/turns.txt``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from math import exp, log1p, sqrt
from operator import mul
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from avengers_core.common.arrays import Floats
from avengers_core.embedders.wordllama import WordLlamaEmbedder

GATE_FILE = Path(__file__).with_name("gate.json")
BUCKETS = 8_192
SIZES = 6

# By then it is clear that something is asked, unless it is the same over and over.
_MOST_CHARS, _MANY_WORDS = 200, 20
_EDGE = crc32(b"-1")  # in place of the token before the first; behind the last it is -1, too


class GateFeatures(NamedTuple):
    """What the gate looks at in a turn.

    Attributes:
        sizes: :data:`SIZES` numbers, of how many tokens there are and how much they say.
        total: (256,) the sum of its tokens' vectors, of which the direction counts.
        length: of that; 1 where it is zero.
        buckets: of :data:`BUCKETS`, into which its tokens and their pairs fall; each counts
            ``weight``.
        weight: so that all of them together have length 2.
    """

    sizes: tuple[float, ...]
    total: Floats
    length: float
    buckets: set[int]
    weight: float


def own_share(turn: str) -> float:
    """How far a turn is a question of its own, in [0, 1]; 0 if it says nothing.

    With p the regression's probability, ``2 p - 0.5`` clipped: 0 below a quarter, 1 from three
    quarters on, so that only what is in doubt is decided on both, on the turn and on what was
    before. It is 1 without a look at tokens for 200 characters with 20 different words: of 10,000
    such questions it is for all, of 19,000 such lists of follow-ups for all but 12.
    """
    seen = turn[:_MOST_CHARS]
    if len(seen) == _MOST_CHARS and len({*seen.split()}) >= _MANY_WORDS:
        return 1.0
    return _share_of(seen)


@lru_cache(maxsize=1024)  # a conversation asks of its earlier turns again and again
def _share_of(turn: str) -> float:
    features = gate_features(turn)
    if features is None:
        return 0.0
    gate = _gate()
    evidence = sum(map(mul, features.sizes, gate.sizes)) + gate.offset
    evidence += float(features.total @ gate.direction) / features.length
    evidence += sum([gate.buckets[bucket] for bucket in features.buckets]) * features.weight
    chance = 1 / (1 + exp(-min(max(evidence, -50.0), 50.0)))
    return min(max(2 * chance - 0.5, 0.0), 1.0)


def gate_features(turn: str) -> GateFeatures | None:
    """What the gate looks at in a turn, or None if it has no token."""
    embedder, text = _embedder(), turn[:_MOST_CHARS]
    tokens, total, length = embedder.summed(text)
    if not tokens:
        return None
    norm, n = _norms(), len(tokens)
    each = sorted([norm[token] for token in tokens], reverse=True)
    sizes = (
        log1p(length),
        log1p(n),
        length / sqrt(n) / 10,
        log1p(each[0]),
        sum(each) / n / 10,
        sum(each[:3]) / 50,
    )
    if (lower := text.lower()) != text:
        tokens = embedder.token_ids(lower)
    buckets = _buckets(tokens)
    return GateFeatures(sizes, total, length or 1.0, buckets, 2 / sqrt(len(buckets)))


def _buckets(tokens: Sequence[int]) -> set[int]:
    """Those into which tokens and their pairs fall, the edges among these.

    The hash of a pair, ``b"12 34"``, goes on from that of its first, ``b"12"``.
    """
    found: set[int] = set()
    before = _EDGE
    for alone, behind in map(_hashed, tokens):
        found.add(alone % BUCKETS)
        found.add(crc32(behind, before) % BUCKETS)
        before = alone
    found.add(crc32(b" -1", before) % BUCKETS)
    return found


@cache  # no more than the vocabulary has
def _hashed(token: int) -> tuple[int, bytes]:
    """The hash of a token, and what is hashed of it behind another."""
    return crc32(b"%d" % token), b" %d" % token


class _Gate(NamedTuple):
    sizes: list[float]
    direction: Floats
    buckets: list[float]
    offset: float


def write_gate(meaning: Floats, buckets: Floats, offset: float) -> None:
    """Write the weights of a fitted gate: three digits, and one byte a bucket.

    Args:
        meaning: of sizes and direction, side by side.
        buckets: of these.
        offset: the regression's.
    """
    scale = float(np.abs(buckets).max()) / 127
    small = np.round(buckets / scale).astype(np.int8)
    fitted = {
        "offset": round(offset, 3),
        "meaning": [round(float(w), 3) for w in meaning],
        "scale": scale,
        "buckets": base64.b64encode(small.tobytes()).decode(),
    }
    GATE_FILE.write_text(json.dumps(fitted) + "\n")


@lru_cache(maxsize=1)
def _embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


@lru_cache(maxsize=1)
def _norms() -> list[float]:
    return _embedder().token_norms()


@lru_cache(maxsize=1)
def _gate() -> _Gate:
    fitted = json.loads(GATE_FILE.read_text())
    small = np.frombuffer(base64.b64decode(fitted["buckets"]), dtype=np.int8)
    buckets = (small * fitted["scale"]).tolist()
    sizes, direction = fitted["meaning"][:SIZES], np.array(fitted["meaning"][SIZES:])
    return _Gate(sizes, direction, buckets, float(fitted["offset"]))
