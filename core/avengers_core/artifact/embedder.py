"""The embedder that an artifact was fitted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avengers_core.embedders.base import Embedder, EmbedderSpec
from avengers_core.embedders.resolve import resolve_embedder
from avengers_core.embedders.tfidf import TfidfEmbedder
from avengers_core.errors import EmbedderError, EmbedderMismatchError

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact


def embedder_of(artifact: RouterArtifact, spec: EmbedderSpec | None = None) -> Embedder:
    """The embedder that made the vectors an artifact's centroids are means of.

    Args:
        artifact: the artifact.
        spec: anything that :func:`resolve_embedder` takes; default, made from the name that the
            artifact has for it, or from the arrays stored with it.

    Raises:
        EmbedderMismatchError: the embedder is another one, or the arrays are those of another.
        EmbedderError: it cannot be made from its name (it was a callable, say), or the arrays
            are damaged.
    """
    if spec is None:
        return _stored(artifact) if artifact.embedder_arrays else _named(artifact)
    embedder = resolve_embedder(spec)
    if embedder.id != artifact.info.embedder:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {artifact.info.embedder!r}, got "
            f"{embedder.id!r}. Vectors of different embedders cannot be compared: pass the "
            f"artifact's own, or fit again with this one."
        )
    return embedder


def _stored(artifact: RouterArtifact) -> Embedder:
    fitted = TfidfEmbedder.from_arrays(artifact.embedder_arrays)
    if fitted.id != artifact.info.embedder or fitted.dim != artifact.dim:
        raise EmbedderMismatchError(
            f"the artifact was fitted with the embedder {artifact.info.embedder!r} in "
            f"{artifact.dim} dimensions, and holds the arrays of {fitted.id!r} in {fitted.dim}"
        )
    return fitted


def _named(artifact: RouterArtifact) -> Embedder:
    name = artifact.info.embedder
    try:
        return resolve_embedder(name)
    except (EmbedderError, ValueError) as error:
        raise EmbedderError(
            f"the artifact was fitted with the embedder {name!r}, which cannot be made from its "
            f"name ({error}). Pass it with embedder=."
        ) from error
