"""Which queries teach most about a model of which nothing is known yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact, check_artifact
from avengers_core.artifact.embedder import embedder_of
from avengers_core.artifact.estimation.process import kernel_of
from avengers_core.common.arrays import Floats
from avengers_core.common.ranges import check_whole
from avengers_core.errors import RecordError
from avengers_core.records.loading import Source, as_records
from avengers_core.records.record import Records

if TYPE_CHECKING:
    from avengers_core.embedders import EmbedderSpec


# Variance of one answer, right or wrong, about a logit, where one in four is wrong.
_NOISE = 1 / (0.75 * 0.25)


def probe(
    artifact: RouterArtifact,
    records: Records | Source,
    n: int = 50,
    embedder: EmbedderSpec | None = None,
) -> Records:
    """The n of some records whose queries teach most about a new model, the first the most.

    Ask it these, grade, and add what comes of it with :func:`avengers_core.add_model`. See
    :func:`avengers_core.fitting.probing.teaching`, which takes texts.

    Args:
        artifact: to which it is to be added.
        records: as for :func:`avengers_core.update`; a fair sample of what will be asked.
        n: how many, at least 1.
        embedder: as for :func:`avengers_core.update`.
    """
    check_artifact(artifact)
    loaded = as_records(records)
    if not loaded:
        why = loaded.problems[0].reason if loaded.problems else "none is given"
        raise RecordError(
            f"there is no record that can be used ({why}); of queries without results, "
            f"avengers_core.fitting.probing.teaching(artifact, texts) chooses"
        )
    rows = teaching(artifact, [record.query for record in loaded], n, embedder)
    return loaded.replace(loaded[row] for row in rows)


def teaching(
    artifact: RouterArtifact,
    queries: Sequence[str],
    n: int = 50,
    embedder: EmbedderSpec | None = None,
) -> list[int]:
    """The rows of the n queries that teach most about a new model, the first the most.

    One by one, the query is taken whose answer leaves the least uncertain how good the model is on
    all queries: the least mean posterior variance over the clusters, each weighed by its queries,
    of the Gaussian process by which the calibrated scorer tells what to expect. In a cluster they
    are drawn at random, the same for the same queries: those in its middle are easier than others.

    Source: greedy A-optimal design; Krause, Singh and Guestrin, Near-Optimal Sensor Placements in
    Gaussian Processes, 2008.

    Args:
        artifact: whose clusters.
        queries: what will be asked.
        n: how many, at least 1; fewer where there are fewer distinct queries.
        embedder: default, the one that the artifact names.

    Raises:
        ValueError: n is out of range, or there are no queries.
        EmbedderMismatchError: the embedder is not the artifact's.
    """
    check_whole("n", n, 1)
    if not queries:
        raise ValueError("there are no queries to choose from")
    row_of: dict[str, int] = {}
    for row, query in enumerate(queries):
        row_of.setdefault(query, row)
    vectors = embedder_of(artifact, embedder).embed(list(row_of))
    artifact.check_dimension(vectors)
    labels = artifact.assign(vectors)
    rows = list(row_of.values())
    waiting: list[list[int]] = [[] for _ in range(artifact.n_clusters)]
    for i in np.random.default_rng(0).permutation(len(rows)).tolist():
        waiting[labels[i]].append(rows[i])
    counts = np.bincount(labels, minlength=artifact.n_clusters)
    asked = _most_telling(kernel_of(artifact.centroids), counts, min(n, len(rows)))
    return [waiting[cluster].pop() for cluster in asked]


def _most_telling(kernel: Floats, counts: npt.NDArray[np.integer], n: int) -> list[int]:
    """The clusters in which to ask, one after the other.

    Args:
        kernel: (K, K) prior covariance.
        counts: (K,) queries of each cluster: its weight, and how often it can be asked.
        n: how many, at most all.
    """
    covariance, left = kernel.astype(np.float64), counts.copy()
    asked: list[int] = []
    for _ in range(n):
        spread = np.diag(covariance) + _NOISE
        gain = np.where(left > 0, (counts @ covariance**2) / spread, -np.inf)
        c = int(gain.argmax())
        covariance -= np.outer(covariance[:, c], covariance[:, c]) / spread[c]
        left[c] -= 1
        asked.append(c)
    return asked
