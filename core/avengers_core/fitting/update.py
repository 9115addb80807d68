"""More evidence for an artifact, without clustering again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.embedder import embedder_of
from avengers_core.errors import ArtifactError
from avengers_core.fitting.fit import Fitted, fit_records
from avengers_core.records.loading import Source
from avengers_core.records.record import Records

if TYPE_CHECKING:
    from avengers_core.embedders import EmbedderSpec


def update(
    artifact: RouterArtifact,
    records: Records | Source,
    embedder: EmbedderSpec | None = None,
    **options: Any,
) -> RouterArtifact:
    """See :meth:`RouterArtifact.update`."""
    return artifact.merge(collect(artifact, records, embedder, **options).artifact)


def add_model(
    artifact: RouterArtifact,
    model: str,
    records: Records | Source,
    embedder: EmbedderSpec | None = None,
    **options: Any,
) -> RouterArtifact:
    """See :meth:`RouterArtifact.add_model`."""
    return with_model(artifact, model, collect(artifact, records, embedder, **options).artifact)


def with_model(artifact: RouterArtifact, model: str, collected: RouterArtifact) -> RouterArtifact:
    """An artifact with what :func:`collect` has found of one model, and of no other.

    Raises:
        ArtifactError: it has found nothing of it.
    """
    if model not in collected.models or not collected.select_models([model]).statistics.n.any():
        raise ArtifactError(
            f"no record has a score of {model!r}; they have {list(collected.models)}"
        )
    evidence = collected.select_models([model]).without_records()
    return artifact.merge_one(evidence, missing="skip")  # it was not run on the records before


def collect(
    artifact: RouterArtifact,
    records: Records | Source,
    embedder: EmbedderSpec | None = None,
    **options: Any,
) -> Fitted:
    """The statistics of further records under an artifact's centroids, as an artifact.

    What a missing result means is what it meant when the artifact was fitted.

    Args:
        artifact: whose centroids.
        records: as for :func:`avengers_core.fit`.
        embedder: default, the one that the artifact names.
        options: ``engine``, ``workers``, ``part_bytes``, ``strict``, ``excluded_models`` and
            ``excluded_datasets``, as for :func:`avengers_core.fitting.fit.fit_records`.

    Raises:
        RecordError: there are no records.
        EmbedderMismatchError: the embedder is not the artifact's.
    """
    return fit_records(
        records,
        embedder_of(artifact, embedder),
        centroids=artifact,
        refine=artifact.refinement is not None,
        missing=artifact.info.missing,
        **options,
    )
