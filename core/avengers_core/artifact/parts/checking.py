"""Whether the parts of an artifact fit each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from avengers_core.artifact.parts.arrays import out_of_range
from avengers_core.records.names import fault_of_name, shown

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

# Of a mean of unit vectors it is 1.
_LARGEST = 1e3


def fault_of(artifact: RouterArtifact) -> str | None:
    """What does not fit, or holds NaN or negative counts, in words, or None."""
    if artifact.centroids.ndim != 2 or 0 in artifact.centroids.shape:
        return f"centroids must be (clusters, dim), got {artifact.centroids.shape}"
    if fault := out_of_range(artifact.centroids, _LARGEST):
        return f"centroids: {fault}"
    if not artifact.models:
        return "an artifact needs at least one model"
    for kind, names in (("model", artifact.models), ("dataset", artifact.datasets)):
        if len(set(names)) < len(names):
            return f"{kind} names repeat: {shown(_repeated(names))}"
        if fault := next(filter(None, map(fault_of_name, names)), None):
            return f"{kind} names: {fault}"
    if fault := artifact.statistics.check(
        artifact.n_clusters, len(artifact.models), len(artifact.datasets)
    ):
        return f"statistics: {fault}"
    if artifact.refinement is not None and (fault := artifact.refinement.check(artifact)):
        return f"refinement: {fault}"
    if artifact.familiarity is not None and (
        fault := artifact.familiarity.check(artifact.n_clusters)
    ):
        return f"familiarity: {fault}"
    return None


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
