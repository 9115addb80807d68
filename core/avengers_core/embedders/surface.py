"""Surface features of a text: what an embedding does not see, and what says much about difficulty.

An embedding knows the topic of a query, but not how long or how formal it is, whether it is code or
a list of options. Those tell apart benchmarks, and kinds of requests, of the same topic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log1p

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.common.lazy import cached_property
from avengers_core.embedders.tokens import BYTES_PER_TOKEN, MAX_CHARS, n_bytes

SURFACE_FEATURES = (
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
BEYOND_ASCII = SURFACE_FEATURES.index("share of bytes beyond ASCII")
# Less spread than this among the records is no difference worth noticing.
_LEAST_SPREAD = np.array([0.1, 0.1, 0.01, 0.005, 0.1, 0.01, 0.005, 0.1, 0.1, 0.1, 0.05])
_CLIP = 3.0
# A text without a known word that looks like the average one lies nowhere: its point stays zero.
_LEAST_NORM = np.array(1e-30, dtype=np.float32)

_DIGITS = b"0123456789"
_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HIGH = bytes(range(128, 256))
_OPTION = re.compile(rb"\(?[A-J][.)]")
_OPTION_LINE = re.compile(rb"\n" + _OPTION.pattern)
_RETURN = re.compile(rb"\breturn\b")


def surface(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """The :data:`SURFACE_FEATURES` of n texts: (n, S) float32; 3 to 12 µs a query."""
    if not texts:
        return np.empty((0, len(SURFACE_FEATURES)), dtype=np.float32)
    return np.array([_features_of(text) for text in texts], dtype=np.float32)


def beyond_ascii(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(n,) of :func:`surface` alone the share of bytes beyond ASCII, in a tenth of the time."""
    if all(map(str.isascii, texts)):
        return np.zeros(len(texts), dtype=np.float32)
    shares = [_share_beyond_ascii(seen, _raw(seen)) for seen in map(_seen, texts)]
    return np.array(shares, dtype=np.float32)


def tokens(features: Floats) -> Floats | float:
    """(n,) tokens of texts, from their features at four bytes a token; of one text, a number."""
    if len(features) == 1:
        return expm1(features.item(0)) / BYTES_PER_TOKEN
    estimate: Floats = np.expm1(features[:, 0]) / BYTES_PER_TOKEN
    return estimate


def _features_of(text: str) -> tuple[float, ...]:
    """The features named in :data:`SURFACE_FEATURES` of one text.

    Of a text longer than what is embedded, only the number of bytes is that of the whole.
    """
    # On bytes, counting by deletion and searching for fixed strings run at memory speed, which one
    # expression for all lettered options or code markers does not.
    seen = _seen(text)
    raw = _raw(seen)
    words, lines, n = raw.split(), raw.count(b"\n"), len(raw) or 1
    size = len(raw) if len(seen) == len(text) else n_bytes(text)
    options = int(_OPTION.match(raw) is not None)
    if lines:
        options += len(_OPTION_LINE.findall(raw))
    return (
        log1p(size),
        log1p(len(words)),
        1 - len(raw.translate(None, _DIGITS)) / n,
        raw.count(b"\\") / n,
        log1p(lines),
        1 - len(raw.translate(None, _UPPER)) / n,
        _share_beyond_ascii(seen, raw),
        log1p(options),
        1.0 if _has_code(seen, raw, lines) else 0.0,
        log1p(raw.count(b"?")),
        len(set(words)) / (len(words) or 1),
    )


def _seen(text: str) -> str:
    return text[:MAX_CHARS]


def _raw(seen: str) -> bytes:
    return seen.encode("utf-8", "replace")


def _share_beyond_ascii(seen: str, raw: bytes) -> float:
    return 0.0 if seen.isascii() else 1 - len(raw.translate(None, _HIGH)) / len(raw)


def _has_code(seen: str, raw: bytes, lines: int) -> bool:
    # A text is searched in two thirds of the time that its bytes take.
    return (
        "def " in seen
        or "import " in seen
        or "```" in seen
        or (lines > 0 and (";\n" in seen or "{\n" in seen))
        or ("return" in seen and _RETURN.search(raw) is not None)
    )


@dataclass(frozen=True, eq=False)
class Augment:
    """Puts embeddings and surface features into one space of unit vectors.

    A vector x and features f become ``[x, weight * z]``, normalised if it is not zero, where z is f
    standardised by the records' mean and spread and clipped to three spreads.

    Attributes:
        mean: (S,) of the features among the records.
        spread: (S,) standard deviation, or the least that counts.
        weight: of the features against the embedding.
    """

    mean: Floats
    spread: Floats
    weight: float

    @cached_property
    def _line(self) -> tuple[Floats, ...]:
        """Scale, shift and bounds: standardised and weighted, f is ``f * scale - shift``, clipped.

        The bounds are arrays, which are not converted with each call.
        """
        scale, bound = self.weight / self.spread, self.weight * _CLIP
        line = (scale, self.mean * scale, np.array(-bound), np.array(bound))
        return tuple(part.astype(np.float32) for part in line)

    @classmethod
    def of(cls, features: Floats, weight: float) -> Augment:
        """The standardisation that fits (n, S) features."""
        values = features.astype(np.float64)
        return cls(values.mean(axis=0), np.maximum(values.std(axis=0), _LEAST_SPREAD), weight)

    def __call__(self, vectors: Floats, features: Floats | None) -> npt.NDArray[np.float32]:
        """(n, d) unit vectors and (n, S) features, or None where unknown, to (n, d + S)."""
        if features is None:
            return _side_by_side(vectors, np.zeros((len(vectors), len(SURFACE_FEATURES))))
        # Every array operation counts where there is one query: a product and a difference
        # instead of (f - mean) / spread * weight, and no np.clip, which takes twice as long.
        scale, shift, least, most = self._line
        z = features * scale
        z -= shift
        np.maximum(z, least, out=z)
        np.minimum(z, most, out=z)
        points = _side_by_side(vectors, z)
        # Not by the product of one row with itself, which rounds in its own way: a query would then
        # lie elsewhere alone than among others, and so would the last one of a part of a file.
        norm = np.sqrt(np.einsum("ij,ij->i", points, points))
        points /= np.maximum(norm, _LEAST_NORM, out=norm)[:, None]
        return points


def _side_by_side(left: Floats, right: Floats) -> npt.NDArray[np.float32]:
    return np.concatenate((left, right), axis=1, dtype=np.float32)
