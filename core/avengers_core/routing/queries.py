"""Queries as a scorer sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.embedders.surface import BEYOND_ASCII, SURFACE_FEATURES

_N_FEATURES = len(SURFACE_FEATURES)


class Queries:
    """n queries: what their embedder and their texts say of them.

    Args:
        vectors: (n, d) unit vectors.
        surface: (n, S) the :data:`~avengers_core.embedders.surface.SURFACE_FEATURES` of the texts,
            or None where they are not known.
        prompt_tokens: tokens of each query's whole prompt, one number for all or (n,), or None for
            the query alone.
        beyond_ascii: (n,) share of the texts' bytes beyond ASCII, or None where only vectors are
            known; default, what the surface features say.

    Attributes:
        vectors: as given, like the others.

    Raises:
        ValueError: the surface features are not those of n texts.
    """

    def __init__(
        self,
        vectors: Floats,
        surface: Floats | None = None,
        prompt_tokens: int | npt.NDArray[np.integer] | None = None,
        beyond_ascii: Floats | None = None,
    ) -> None:
        self.vectors, self.surface, self.prompt_tokens = vectors, surface, prompt_tokens
        self.beyond_ascii = beyond_ascii
        if surface is not None:
            if surface.shape != (len(vectors), _N_FEATURES):
                raise ValueError(
                    f"expected surface features of shape {(len(vectors), _N_FEATURES)}, got "
                    f"{surface.shape}"
                )
            self.beyond_ascii = surface[:, BEYOND_ASCII]

    def check(self, dim: int) -> None:
        """Raise ValueError unless these are vectors of this length."""
        shape = self.vectors.shape
        if len(shape) != 2 or shape[1] != dim:
            raise ValueError(
                f"expected vectors of shape (n, {dim}), or what Router.embed() returns, got {shape}"
            )

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice) -> Queries:
        """Some of the queries."""
        tokens = self.prompt_tokens
        return Queries(
            self.vectors[rows],
            None if self.surface is None else self.surface[rows],
            tokens if tokens is None or isinstance(tokens, int) else tokens[rows],
            None if self.beyond_ascii is None else self.beyond_ascii[rows],
        )

    def mixed(self, weights: Sequence[float]) -> Queries:
        """One query that is about what these are about, each as far as its weight says.

        Args:
            weights: n of them, together 1.
        """
        by = np.array(weights, dtype=np.float32)
        vector = by @ self.vectors
        norm = float(np.linalg.norm(vector))
        surface = None if self.surface is None else (by @ self.surface)[None, :]
        foreign = None if self.beyond_ascii is None else (by @ self.beyond_ascii)[None]
        return Queries((vector / (norm or 1.0))[None, :], surface, self.prompt_tokens, foreign)

    def with_prompt_tokens(self, prompt_tokens: int | None) -> Queries:
        """The same queries in prompts of this length; None leaves them as they are."""
        if prompt_tokens is None:
            return self
        return Queries(self.vectors, self.surface, prompt_tokens, self.beyond_ascii)


def texts_of(queries: Iterable[str]) -> Sequence[str]:
    """Several texts as a sequence; raises TypeError for one."""
    if isinstance(queries, str):
        raise TypeError("expected a list of queries, got one text; use route() for one")
    return queries if isinstance(queries, Sequence) else list(queries)


def with_text(queries: Iterable[str]) -> list[str]:
    """Those that are not blank; raises TypeError for what is no text."""
    try:
        return [query for query in queries if query.strip()]
    except AttributeError:
        odd = next(query for query in queries if not isinstance(query, str))
        raise TypeError(f"expected a text to route, got {type(odd).__name__}") from None
