"""TF-IDF and SVD fitted on the user's own texts: an embedder without anybody's weights."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.common.ranges import check_whole
from avengers_core.embedders.base import Vectors, as_texts, embed_aside, normalise
from avengers_core.errors import EmbedderError

ID_PREFIX = "tfidf/"

# scikit-learn's default: words of two characters or more.
_TOKEN = re.compile(r"(?u)\b\w\w+\b")
_NEGLIGIBLE = 1e-5


class TfidfEmbedder:
    """Latent semantic analysis: TF-IDF of words, projected on the leading singular vectors.

    Fitted with scikit-learn (:meth:`fit`), used without it. The weight of a word is
    (1 + log count) x idf, as with ``TfidfVectorizer(sublinear_tf=True)``. A text none of whose
    words was seen in fitting has a zero vector.

    Args:
        vocabulary: V distinct words, in the order of the rows below.
        idf: (V,) inverse document frequencies.
        components: (V, dim) projection.

    Raises:
        EmbedderError: they do not fit each other.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        idf: npt.NDArray[np.float32],
        components: npt.NDArray[np.float32],
    ) -> None:
        self._vocabulary = tuple(vocabulary)
        self._idf = _frozen(idf)
        self._components = _frozen(components)
        self._index = {word: i for i, word in enumerate(self._vocabulary)}
        _check(self._index, self._vocabulary, self._idf, self._components)
        self.dim = self._components.shape[1]
        digest = hashlib.sha256()
        for name, array in sorted(self.to_arrays().items()):
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        self.id = f"{ID_PREFIX}{digest.hexdigest()[:16]}"

    @classmethod
    def fit(
        cls, texts: Sequence[str], dim: int = 256, max_features: int = 20_000, seed: int = 42
    ) -> TfidfEmbedder:
        """Fit on texts; the same texts and seed give the same embedder on the same machine.

        Args:
            texts: what to learn words and directions from.
            dim: length of the vectors; fewer where the texts have fewer independent directions.
            max_features: how many words to keep, the most frequent ones; each costs
                4 x (dim + 1) bytes in the artifact.
            seed: of the randomised SVD.

        Raises:
            EmbedderError: no text has a word.
            ValueError: an argument out of range.
        """
        check_whole("dim", dim, 1)
        check_whole("max_features", max_features, 1)
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.utils.extmath import randomized_svd

        texts = as_texts(texts)
        vectorizer = TfidfVectorizer(max_features=max_features, sublinear_tf=True, dtype=np.float32)
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise EmbedderError(
                f"TF-IDF cannot be fitted: none of the {len(texts)} texts has a word of two "
                f"characters or more ({error})"
            ) from None
        # What TruncatedSVD does, which refuses a single word.
        size = min(dim, *weights.shape)
        _, singular, directions = randomized_svd(weights, size, n_iter=5, random_state=seed)
        # Directions without weight are noise: duplicates leave fewer than there are texts.
        kept = singular > _NEGLIGIBLE * singular[0]
        return cls(
            vectorizer.get_feature_names_out().tolist(),
            vectorizer.idf_,
            directions[kept].T,
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as arrays: ``vocabulary`` (UTF-8 lines), ``idf`` and ``components``."""
        words = "\n".join(self._vocabulary).encode()
        return {
            "vocabulary": np.frombuffer(words, dtype=np.uint8),
            "idf": self._idf,
            "components": self._components,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TfidfEmbedder:
        """The embedder that :meth:`to_arrays` was called on.

        Raises:
            EmbedderError: an array is missing, or they do not fit each other.
        """
        try:
            words = np.asarray(arrays["vocabulary"], dtype=np.uint8).tobytes().decode()
            return cls(words.split("\n"), arrays["idf"], arrays["components"])
        except KeyError as error:
            raise EmbedderError(f"the array {error} of a TF-IDF embedder is missing") from None
        except ValueError as error:
            raise EmbedderError(f"the arrays of a TF-IDF embedder are damaged: {error}") from None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`avengers_core.embedders.Embedder.embed`."""
        texts = as_texts(texts)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for text, vector in zip(texts, vectors, strict=True):
            self._project(text, vector)
        return vectors

    def _project(self, text: str, out: Vectors) -> None:
        known = self._index
        counts = Counter(known[w] for w in _TOKEN.findall(text.lower()) if w in known)
        if not counts:
            return
        words = np.fromiter(counts.keys(), dtype=np.intp, count=len(counts))
        count = np.fromiter(counts.values(), dtype=np.float32, count=len(counts))
        weights = (1 + np.log(count)) * self._idf[words]
        np.matmul(weights, self._components.take(words, axis=0), out=out)
        normalise(out)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`, in a thread where it would hold the event loop for milliseconds."""
        return await embed_aside(self.embed, texts)

    def __reduce__(self) -> tuple[Any, ...]:
        return TfidfEmbedder.from_arrays, (self.to_arrays(),)

    def __repr__(self) -> str:
        return f"TfidfEmbedder(id={self.id!r}, words={len(self._vocabulary)}, dim={self.dim})"


def _frozen(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    array = np.array(values, dtype=np.float32, order="C")
    array.setflags(write=False)
    return array


def _check(
    index: dict[str, int],
    vocabulary: tuple[str, ...],
    idf: npt.NDArray[np.float32],
    components: npt.NDArray[np.float32],
) -> None:
    size = len(vocabulary)
    if len(index) != size:
        raise EmbedderError("the vocabulary of a TF-IDF embedder has a word twice")
    if idf.shape != (size,) or components.ndim != 2 or components.shape[0] != size:
        raise EmbedderError(
            f"the arrays of a TF-IDF embedder do not fit each other: {size} words, "
            f"idf {idf.shape}, components {components.shape}"
        )
    if components.shape[1] == 0 or not (np.isfinite(idf).all() and np.isfinite(components).all()):
        raise EmbedderError("the arrays of a TF-IDF embedder hold NaN, infinity, or no dimension")
