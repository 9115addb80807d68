"""More evidence for an artifact, without clustering again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.embedder import embedder_of
from avengers_core.artifact.sums import Sums
from avengers_core.embedders.surface import surface
from avengers_core.errors import ArtifactError
from avengers_core.fitting.fit import columns_of, embed_distinct
from avengers_core.records.record import Records, Source, as_records

if TYPE_CHECKING:
    from avengers_core.embedders import EmbedderSpec


def update(
    artifact: RouterArtifact, records: Records | Source, embedder: EmbedderSpec | None = None
) -> RouterArtifact:
    """See :meth:`RouterArtifact.update`."""
    return artifact.merge(collect(artifact, records, embedder))


def add_model(
    artifact: RouterArtifact,
    model: str,
    records: Records | Source,
    embedder: EmbedderSpec | None = None,
) -> RouterArtifact:
    """See :meth:`RouterArtifact.add_model`."""
    records = as_records(records)
    if not any(r.scores.get(model) is not None for r in records):
        raise ArtifactError(f"no record has a score of {model!r}; they have {list(records.models)}")
    extra = collect(artifact, records, embedder)
    evidence = extra.select_models([model]).without_records()
    return artifact.merge_one(evidence, missing="skip")  # it was not run on the records before


def collect(
    artifact: RouterArtifact, records: Records | Source, embedder: EmbedderSpec | None = None
) -> RouterArtifact:
    """The statistics of further records under an artifact's centroids, as an artifact.

    What a missing result means is what it meant when the artifact was fitted.

    Raises:
        RecordError: there are no records.
        EmbedderMismatchError: the embedder is not the artifact's.
    """
    encoder = embedder_of(artifact, embedder)
    records = as_records(records)
    records = Records(
        records, records.problems, missing=artifact.info.missing, order=records.models
    )
    outcomes = columns_of(records, None, artifact)
    vectors, row = embed_distinct(encoder, outcomes.queries)
    artifact.check_dimension(vectors)
    empty = artifact.emptied(outcomes.models, outcomes.datasets)
    features = surface(outcomes.queries) if artifact.refinement else None
    return Sums.collect(empty, vectors[row], features, outcomes).put_into(empty)
