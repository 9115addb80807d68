"""TF-IDF and a truncated SVD: an embedder made of the records alone, no third-party weights."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.embedders.base import Vectors, as_texts
from avengers_core.errors import EmbedderError

# scikit-learn's default: words of two or more letters, digits or underscores, in lower case.
_TOKEN = re.compile(r"(?u)\b\w\w+\b")
_NO_TOKEN = (
    "no text has a token: TF-IDF needs words of at least two letters or digits. Use another "
    "embedder for such texts."
)
# An event loop may be blocked for this many characters (about 1 ms); more goes to a thread.
_INLINE_CHARACTERS = 4000


class TfidfEmbedder:
    """Latent semantic analysis: TF-IDF weights projected on their first singular vectors.

    Made by :meth:`fit` or :meth:`from_arrays`. Vectors equal those of scikit-learn's
    ``TfidfVectorizer`` and ``TruncatedSVD`` (scaled to length 1), which only fitting imports. A
    text without a known word gives zeros. Instances are immutable, thread-safe and picklable.

    Reference: Deerwester et al., Indexing by latent semantic analysis, JASIS 41 (1990).

    Args:
        vocabulary: V distinct words, in the order of ``idf``.
        idf: (V,) float32, inverse document frequency of each word.
        components: (dim, V) float32, the singular vectors.

    Raises:
        EmbedderError: shapes that do not fit each other, or NaN.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        idf: npt.NDArray[np.floating],
        components: npt.NDArray[np.floating],
    ) -> None:
        self._idf = np.ascontiguousarray(idf, dtype=np.float32)
        self._components = np.ascontiguousarray(components, dtype=np.float32)
        size = len(vocabulary)
        shapes = (self._idf.shape, self._components.shape)
        if shapes != ((size,), (len(self._components), size)) or 0 in self._components.shape:
            raise EmbedderError(
                f"expected idf of shape ({size},) and components of shape (dim, {size}) for a "
                f"vocabulary of {size} words, got {shapes[0]} and {shapes[1]}"
            )
        self._index = {word: i for i, word in enumerate(vocabulary)}
        if len(self._index) != size:
            raise EmbedderError("the vocabulary holds a word twice")
        if not (np.isfinite(self._idf).all() and np.isfinite(self._components).all()):
            raise EmbedderError("idf or components hold NaN or infinity")
        # A row per word, its weight multiplied in: a text is a weighted sum of a few rows.
        self._rows = np.ascontiguousarray((self._components * self._idf).T)
        self.dim = len(self._components)
        digest = hashlib.sha256("\n".join(vocabulary).encode())
        digest.update(self._idf.tobytes() + self._components.tobytes())
        self.id = f"tfidf-{self.dim}/{digest.hexdigest()[:16]}"

    @classmethod
    def fit(
        cls, texts: Sequence[str], dim: int = 256, max_features: int = 20_000, seed: int = 42
    ) -> TfidfEmbedder:
        """Learn words, weights and singular vectors from texts.

        Args:
            texts: n texts.
            dim: length of the vectors, at least 1; fewer where texts or words are fewer.
            max_features: number of words to keep, the most frequent ones, at least 1.
            seed: of the randomised SVD.

        Raises:
            EmbedderError: no text has a token.
            ValueError: an argument out of range.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        if dim < 1 or max_features < 1:
            raise ValueError(f"dim and max_features must be at least 1, got {dim}, {max_features}")
        texts = as_texts(texts)
        if not any(_TOKEN.search(text.lower()) for text in texts):
            raise EmbedderError(_NO_TOKEN)
        vectorizer = TfidfVectorizer(max_features=max_features, dtype=np.float32)
        weights = vectorizer.fit_transform(texts)
        svd = TruncatedSVD(min(dim, *weights.shape), random_state=seed)
        with np.errstate(divide="ignore", invalid="ignore"):
            svd.fit(weights)  # the share of variance explained, which is not used, may be 0 / 0
        # Directions beyond the rank of the texts are noise.
        kept = svd.singular_values_ > svd.singular_values_[0] * 1e-5
        return cls(list(vectorizer.get_feature_names_out()), vectorizer.idf_, svd.components_[kept])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`from_arrays` takes: ``vocabulary`` (uint8, words in UTF-8 separated by
        newlines), ``idf`` (V,) and ``components`` (dim, V), both float32."""
        words = "\n".join(self._index).encode()
        return {
            "vocabulary": np.frombuffer(words, dtype=np.uint8),
            "idf": self._idf,
            "components": self._components,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TfidfEmbedder:
        """Make the embedder of :meth:`to_arrays` again; the ``id`` is the same.

        Raises:
            EmbedderError: arrays are missing, of another type, or do not fit each other.
        """
        expected = {"vocabulary": np.uint8, "idf": np.float32, "components": np.float32}
        got = {name: array.dtype for name, array in arrays.items()}
        if got != expected:
            raise EmbedderError(
                f"expected the arrays {_types(expected)} of a TF-IDF embedder, got {_types(got)}"
            )
        try:
            words = arrays["vocabulary"].tobytes().decode()
        except UnicodeDecodeError as error:
            raise EmbedderError(f"the vocabulary is not UTF-8 ({error})") from None
        return cls(words.split("\n"), arrays["idf"], arrays["components"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed n texts.

        Returns:
            (n, dim) float32 unit rows.

        Raises:
            TypeError: not a list of texts.
        """
        texts = as_texts(texts)
        out = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            counts = Counter(_TOKEN.findall(text.lower()))
            known = [(i, n) for word, n in counts.items() if (i := self._index.get(word, -1)) >= 0]
            if known:
                indices, numbers = zip(*known, strict=True)
                np.dot(np.array(numbers, dtype=np.float32), self._rows[list(indices)], out=row)
        length = np.sqrt(np.add.reduce(out * out, axis=1, keepdims=True))
        np.divide(out, length, out=out, where=length > 0)
        return out

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`; few and short texts at once, more of them in a thread."""
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return self.embed(texts)
        return await asyncio.to_thread(self.embed, texts)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_arrays, (self.to_arrays(),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}, {len(self._index)} words>"


def _types(types: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({np.dtype(t)})" for name, t in sorted(types.items())) or "none"
