"""More evidence for an artifact, without clustering again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from avengers_core.artifact.artifact import RouterArtifact, check_artifact
from avengers_core.artifact.embedder import embedder_of
from avengers_core.artifact.estimation.pricing import notice_prices, notice_unpriced
from avengers_core.artifact.merging import together
from avengers_core.errors import ArtifactError
from avengers_core.fitting.fit import Fitted, fit_records
from avengers_core.records.loading import Source
from avengers_core.records.names import meant, shown
from avengers_core.records.prices import as_price
from avengers_core.records.record import Records

if TYPE_CHECKING:
    from avengers_core.embedders import EmbedderSpec

LENT = 60.0
"""Records' worth of a like model that a new one begins with, over all clusters."""


def update(
    artifact: RouterArtifact,
    records: Records | Source,
    embedder: EmbedderSpec | None = None,
    **options: Any,
) -> RouterArtifact:
    """Add further records: exactly what a fit over all of them with these centroids gives.

    Args:
        artifact: stays as it is.
        records: what :func:`avengers_core.load_records` returns or takes.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes;
            default, the one that the artifact names.
        options: ``engine``, ``workers``, ``part_bytes``, ``strict``, ``excluded_models`` and
            ``excluded_datasets``, as for :func:`avengers_core.fit`.

    Raises:
        EmbedderMismatchError: the embedder is not the artifact's.
    """
    check_artifact(artifact)
    return artifact.merge(collect(artifact, records, embedder, **options).artifact)


def add_model(
    artifact: RouterArtifact,
    model: str,
    records: Records | Source | None = None,
    embedder: EmbedderSpec | None = None,
    *,
    like: str | None = None,
    price: Any = None,
    **options: Any,
) -> RouterArtifact:
    """Add one model, or more evidence of it, from records, from a like model, or both.

    Nothing else changes: the sizes of the clusters, which weigh their votes, stay.

    Args:
        artifact: stays as it is.
        model: the model; other models in the records are ignored.
        records: as for :func:`update`; a few hundred will do, or the fifty of
            :func:`avengers_core.probe`.
        embedder: as for :func:`update`.
        like: a model of the artifact that the new one is expected to be like, in every cluster,
            until records say otherwise: as if it had answered
            :data:`avengers_core.fitting.update.LENT` of its queries alike. That is inference,
            and counts for no support.
        price: of the new model, (input, output) or (input, output, cached input) in USD per
            token; default, that of ``like``.
        options: as for :func:`update`.

    Raises:
        ArtifactError: no record scores the model; or ``like`` is given, and there is no such
            model, or the model is in the artifact already.
        ValueError: neither records nor ``like``, or a price that is none.
    """
    if records is None and like is None:
        raise ValueError("give records of the model, or a model that it is like (like=)")
    if like is not None:
        artifact = take_after(artifact, model, like)
    if records is not None:
        found = collect(artifact, records, embedder, **options).artifact
        artifact = with_model(artifact, model, found)
    return artifact if price is None else at_price(artifact, model, price)


def at_price(artifact: RouterArtifact, model: str, price: Any) -> RouterArtifact:
    """An artifact with the price of one of its models; logs where tokens are wanting for it."""
    prices = {model: as_price(price, model)}
    column = artifact.statistics.select_models([artifact.models.index(model)])
    notice_prices(column, [model], prices)
    known = {**artifact.info.prices, **prices}
    notice_unpriced(artifact.statistics, artifact.models, known)
    return replace(artifact, info=artifact.info.model_copy(update={"prices": known}))


def take_after(artifact: RouterArtifact, model: str, like: str) -> RouterArtifact:
    """An artifact with a model more, of which it is expected what it knows of another.

    Raises:
        ArtifactError: there is no such other, or the model is there already.
    """
    if model in artifact.models:
        raise ArtifactError(f"{model!r} is in the artifact already; add its records alone")
    if like not in artifact.models:
        raise ArtifactError(
            f"no model {like!r} to be like{meant([like], artifact.models)}; "
            f"there are {shown(artifact.models, most=100)}"
        )
    column, info = artifact.models.index(like), artifact.info
    known = float(artifact.statistics.effective().n[:, column].sum())
    share = min(LENT / max(known, 1.0), 1.0)
    prices = {
        name: {**own, **({model: own[like]} if like in own else {})}
        for name, own in (("input_prices", info.input_prices), ("prices", info.prices))
    }
    return artifact.sums.lent(column, share).put_into(
        artifact, (*artifact.models, model), told=prices
    )


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
    return together(artifact, evidence, "skip")  # it was not run on the records before


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
