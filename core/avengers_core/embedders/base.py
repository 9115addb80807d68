"""What an embedder is, and the checks that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from avengers_core.common.plain import encodable
from avengers_core.embedders.tokens import MAX_CHARS
from avengers_core.errors import EmbedderError
from avengers_core.redaction import describe, masked_cause

Vectors: TypeAlias = npt.NDArray[np.float32]

# Above this many characters (some milliseconds) the work leaves the event loop.
_INLINE_CHARS = 5_000


@runtime_checkable
class Embedder(Protocol):
    """Texts in, unit vectors out.

    Safe to share between threads. The same text has the same vector whatever it is embedded
    together with.
    """

    @property
    def id(self) -> str:
        """Names the embedding space; two embedders with one id give the same vectors."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector. An embedder that does not know it yet embeds one word to see."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts.

        Args:
            texts: n texts, any of which may be empty or ill-formed Unicode; of a longer one, the
                first 100,000 characters count.

        Returns:
            (n, dim) float32, rows of L2 norm 1; the row of a text without content is zero.

        Raises:
            EmbedderError: it failed, or what came back is not one finite vector per text.
            TypeError: a single text was given, or something that is not a text.
        """
        ...

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed` without blocking the event loop."""
        ...


def close(embedder: Embedder) -> None:
    """Close the connections of an embedder that has a method for it."""
    if callable(closing := getattr(embedder, "close", None)):
        closing()


async def aclose(embedder: Embedder) -> None:
    """:func:`close`, from inside an event loop."""
    if callable(closing := getattr(embedder, "aclose", None)):
        await closing()
    else:
        close(embedder)


EmbedderSpec: TypeAlias = str | Embedder | Callable[[list[str]], Any] | Any
"""What :func:`avengers_core.embedders.resolve_embedder` makes an embedder of."""


def as_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list of strings of at most :data:`MAX_CHARS` characters, well-formed as by
    :func:`avengers_core.common.plain.encodable`.

    Raises:
        TypeError: a single text was given, or something that is not a text.
    """
    if isinstance(texts, str):
        raise TypeError("expected a list of texts, got one text; put it in a list")
    return [well_formed(text) for text in texts]


def well_formed(text: str) -> str:
    """A text of bounded length that can be encoded as UTF-8; see :func:`as_texts`."""
    if not isinstance(text, str):
        raise TypeError(f"expected a text, got {type(text).__name__}")
    return encodable(text[:MAX_CHARS])


async def embed_aside(embed: Callable[[list[str]], Vectors], texts: Sequence[str]) -> Vectors:
    """What ``embed`` makes of texts, in a thread where that takes milliseconds."""
    texts = as_texts(texts)
    if sum(map(len, texts)) <= _INLINE_CHARS:
        return embed(texts)
    return await asyncio.to_thread(embed, texts)


def as_rows(values: Any, n: int, dim: int | None, who: str) -> npt.NDArray[Any]:
    """Check what an embedder returned.

    Args:
        values: anything that numpy reads as an (n, dim) array of numbers.
        n: how many vectors there should be.
        dim: how long each should be; None when that is not known yet.
        who: the embedder, for the messages.

    Returns:
        (n, d) array of finite numbers.

    Raises:
        EmbedderError: another shape, not numbers, NaN or infinity.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            array = array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise EmbedderError(
            f"{who} returned {type(values).__name__}, which is no array of numbers with "
            f"one row per text ({describe(error)})"
        ) from masked_cause(error)
    if array.ndim != 2 or len(array) != n:
        raise EmbedderError(
            f"{who} must return one vector per text, shape ({n}, {dim or 'dim'}); "
            f"got shape {array.shape}"
        )
    if array.shape[1] == 0 or (dim is not None and array.shape[1] != dim):
        raise EmbedderError(
            f"{who} returned vectors of dimension {array.shape[1]}, expected {dim or 'at least 1'}"
        )
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise EmbedderError(f"{who} returned NaN or infinity in the vector of text {bad}")
    return array


def as_unit_rows(values: Any, n: int, dim: int | None, who: str) -> Vectors:
    """:func:`as_rows`, normalised: (n, d) float32, rows of L2 norm 1; zero rows stay zero."""
    rows = as_rows(values, n, dim, who).astype(np.float64)
    # Dividing by the largest entry first keeps the squares of huge and tiny numbers in range.
    rows /= _nonzero(np.abs(rows).max(axis=1))
    rows /= _nonzero(np.sqrt(np.einsum("ij,ij->i", rows, rows)))
    return rows.astype(np.float32)


def normalise(vector: Vectors) -> None:
    """Bring a vector of usual numbers to L2 norm 1, in place; a zero vector stays zero."""
    norm = np.sqrt(vector.dot(vector))
    if norm > 0:
        vector /= norm


def _nonzero(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    column[column == 0] = 1
    return column[:, None]
