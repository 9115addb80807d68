"""What an embedder is, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from avengers_core.errors import EmbedderError

Vectors: TypeAlias = npt.NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns texts into unit vectors; nothing needs to inherit from this.

    Attributes:
        id: names the vectors: two embedders with the same id give the same vectors. Artifacts and
            caches are bound to it.
        dim: length of a vector; 0 as long as it is not known (some endpoints and callables tell
            it with their first vectors).
    """

    @property
    def id(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed n texts.

        Returns:
            (n, dim) float32, rows of length 1; a text without anything to go by gives zeros.

        Raises:
            EmbedderError: there are no vectors, or not one of ``dim`` finite numbers per text.
        """
        ...

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`, without blocking the event loop for long."""
        ...


# What `resolve_embedder` takes: an embedder, its name, a callable, or an object of a framework.
EmbedderSpec: TypeAlias = "Embedder | str | Callable[[list[str]], Any] | Any"


def as_texts(texts: Sequence[str]) -> list[str]:
    """A list of texts that every tokenizer, hash and JSON encoder accepts.

    Surrogate pairs become the character that they stand for, lone surrogates U+FFFD.

    Raises:
        TypeError: one text instead of a list, or an item that is not a text.
    """
    if isinstance(texts, str):
        raise TypeError("expected a list of texts, got one text; put it in a list")
    return [t if isinstance(t, str) and t.isascii() else _encodable(t) for t in texts]


def _encodable(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"expected texts, got an item of type {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def as_unit_rows(values: Any, n: int, dim: int, source: str) -> Vectors:
    """Check what an embedder gave for n texts, and scale each row to length 1.

    Args:
        values: array-like that should be (n, dim).
        n: number of texts.
        dim: expected length of a vector; 0, any.
        source: who gave the values, for the message of an error.

    Returns:
        (n, dim) float32; rows of zeros stay zeros.

    Raises:
        EmbedderError: not numbers, another shape, NaN or infinity.
    """
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EmbedderError(
            f"{source} gave no rectangular array of numbers for {n} texts ({error})"
        ) from None
    if n == 0 and rows.size == 0:
        return np.zeros((0, dim), dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise EmbedderError(
            f"{source}: expected {n} vectors in an array of shape ({n}, {dim or 'dim'}), "
            f"got shape {rows.shape}"
        )
    if len(rows) != n:
        raise EmbedderError(f"{source}: expected {n} vectors, one per text, got {len(rows)}")
    if dim and rows.shape[1] != dim:
        raise EmbedderError(
            f"{source}: expected vectors of dimension {dim}, got dimension {rows.shape[1]}"
        )
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise EmbedderError(f"{source}: vector {bad} of {n} holds NaN or infinity")
    # Dividing by the largest entry first keeps the squares of very large or small numbers finite.
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    np.divide(rows, length, out=rows, where=length > 0)
    return rows.astype(np.float32)


def chunked(
    texts: Sequence[str], count: int, size: int, measure: Callable[[str], int] = len
) -> Iterator[list[str]]:
    """Cut into consecutive runs of at most ``count`` texts and, unless one text alone is longer,
    of at most ``size`` in sum of ``measure``."""
    chunk: list[str] = []
    total = 0
    for text in texts:
        weight = measure(text)
        if chunk and (len(chunk) == count or total + weight > size):
            yield chunk
            chunk, total = [], 0
        chunk.append(text)
        total += weight
    if chunk:
        yield chunk
