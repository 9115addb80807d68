"""Surface features of a text: what an embedding does not see, and what says much about difficulty.

An embedding knows the topic of a query, but not how long or how formal it is, whether it is code or
a list of options. Those tell apart benchmarks, and kinds of requests, of the same topic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

NAMES = (
    "log bytes",
    "log words",
    "share of digits",
    "share of backslashes",
    "log lines",
    "share of upper case",
    "share of bytes beyond ASCII",
    "log lettered options",
    "code marker",
    "log question marks",
    "share of distinct words",
)
# Less spread than this among the records is no difference worth noticing.
_LEAST_SPREAD = np.array([0.1, 0.1, 0.01, 0.005, 0.1, 0.01, 0.005, 0.1, 0.1, 0.1, 0.05])
_CLIP = 3.0
_CHARS_PER_TOKEN = 4.0

_DIGITS = b"0123456789"
_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HIGH = bytes(range(128, 256))
_OPTION = re.compile(rb"^\(?[A-J][.)]", re.MULTILINE)
_CODE = re.compile(rb"def |import |\breturn\b|```|;\n|\{\n")


def surface(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """The features named in :data:`NAMES` of n texts: (n, 11) float32; about 10 µs a query."""
    return np.array([_features(text) for text in texts], dtype=np.float32).reshape(-1, len(NAMES))


def tokens(features: Floats) -> Floats:
    """(n,) tokens of texts, estimated from their features at four bytes a token."""
    estimate: Floats = np.expm1(features[:, 0].astype(np.float64)) / _CHARS_PER_TOKEN
    return estimate


def _features(text: str) -> tuple[float, ...]:
    # On bytes, counting by deletion runs at memory speed.
    raw = text.encode("utf-8", "replace")
    n = len(raw) or 1
    words = raw.split()
    counts = (
        len(raw),
        len(words),
        raw.count(b"\n"),
        len(_OPTION.findall(raw)),
        raw.count(b"?"),
    )
    log_bytes, log_words, log_lines, log_options, log_questions = map(math.log1p, counts)
    return (
        log_bytes,
        log_words,
        1 - len(raw.translate(None, _DIGITS)) / n,
        raw.count(b"\\") / n,
        log_lines,
        1 - len(raw.translate(None, _UPPER)) / n,
        1 - len(raw.translate(None, _HIGH)) / n,
        log_options,
        1.0 if _CODE.search(raw) else 0.0,
        log_questions,
        len(set(words)) / (len(words) or 1),
    )


@dataclass(frozen=True, eq=False)
class Augment:
    """Puts embeddings and surface features into one space of unit vectors.

    A vector x and features f become ``[x, weight * z]``, normalised, where z is f standardised by
    the records' mean and spread and clipped to three spreads.

    Attributes:
        mean: (11,) of the features among the records.
        spread: (11,) standard deviation, or the least that counts.
        weight: of the features against the embedding.
    """

    mean: Floats
    spread: Floats
    weight: float

    @classmethod
    def of(cls, features: Floats, weight: float) -> Augment:
        """The standardisation that fits (n, 11) features."""
        values = features.astype(np.float64)
        return cls(values.mean(axis=0), np.maximum(values.std(axis=0), _LEAST_SPREAD), weight)

    def __call__(self, vectors: Floats, features: Floats | None) -> npt.NDArray[np.float32]:
        """(n, d) unit vectors and (n, 11) features, or None where unknown, to (n, d + 11)."""
        n, d = vectors.shape
        out = np.zeros((n, d + len(NAMES)), dtype=np.float32)
        out[:, :d] = vectors
        if features is not None:
            z = (features - self.mean) / self.spread
            np.clip(z, -_CLIP, _CLIP, out=z)
            out[:, d:] = self.weight * z
            out /= np.sqrt(np.einsum("ij,ij->i", out, out))[:, None]
        return out
