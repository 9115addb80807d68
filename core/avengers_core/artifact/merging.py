"""Artifacts of the same clusters put together: shards, days, machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from avengers_core.errors import ArtifactError

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.artifact.sums import Sums
    from avengers_core.records.record import Missing


def together(one: RouterArtifact, other: RouterArtifact, missing: Missing) -> RouterArtifact:
    """The sums of both; models and datasets are the union, in order of appearance.

    Args:
        one: whose clusters and information stay.
        other: with the same clusters.
        missing: what a model has scored in records of the other artifact that do not know it:
            nothing (``"skip"``), or 0.

    Raises:
        ArtifactError: the two do not go together; the message says why.
    """
    _check(one, other)
    models = tuple(dict.fromkeys((*one.models, *other.models)))
    datasets = tuple(dict.fromkeys((*one.datasets, *other.datasets)))
    a, b = (_widened(artifact, models, datasets, missing) for artifact in (one, other))
    prices = {
        name: {**getattr(one.info, name), **getattr(other.info, name)}
        for name in ("input_prices", "prices")
    }
    return (a + b).put_into(one, models, datasets, prices)


def _check(one: RouterArtifact, other: RouterArtifact) -> None:
    mine, others = one.info, other.info
    if mine.embedder != others.embedder:
        raise ArtifactError(
            f"cannot merge artifacts of different embedders: "
            f"{mine.embedder!r} and {others.embedder!r}"
        )
    if mine.missing != others.missing:
        raise ArtifactError(
            f"cannot merge an artifact in which a missing result counts as 0 with one in "
            f"which it is unknown: fit both with the same missing=, got {mine.missing!r} and "
            f"{others.missing!r}"
        )
    if not np.array_equal(one.centroids, other.centroids):
        raise ArtifactError(
            f"cannot merge artifacts with different centroids "
            f"({one.centroids.shape} and {other.centroids.shape}): fit one, and make the "
            f"others from it with update(), or with fit(..., centroids=artifact)"
        )
    r, s = one.refinement, other.refinement
    if (r is None) != (s is None) or (r and s and not r.same_space(s)):
        raise ArtifactError(
            "cannot merge: one artifact has another refinement than the other, or none"
        )
    for name in ("input_prices", "prices"):
        ours, theirs = getattr(mine, name), getattr(others, name)
        if differing := [m for m, price in ours.items() if theirs.get(m, price) != price]:
            raise ArtifactError(
                f"cannot merge: the {name} of {differing} differ between the artifacts; "
                f"reprice() one of them first"
            )


def _widened(
    artifact: RouterArtifact, models: Sequence[str], datasets: Sequence[str], missing: Missing
) -> Sums:
    """An artifact's sums with other columns, for models and datasets that it has not seen."""
    at, topics = _places(models, artifact.models), _places(datasets, artifact.datasets)
    return artifact.sums.select_models(at, missing).select_datasets(topics)


def _places(wanted: Sequence[str], known: Sequence[str]) -> list[int | None]:
    place = {name: i for i, name in enumerate(known)}
    return [place.get(name) for name in wanted]
