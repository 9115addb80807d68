"""Where in a log a model has become better or worse: alarms that are hardly ever false."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.arrays import Ints
from avengers_core.learning.calls import Calls, topics_of
from avengers_core.learning.evidence import Change, find_change

# Alarms of one log that are told apart; of nested ones the narrowest with the most evidence.
_MOST = 20


@dataclass(frozen=True)
class Alarm:
    """A model whose scores have changed.

    Attributes:
        model: its id.
        topic: the dataset that the clusters are mostly made of where it changed; None: everywhere.
        cluster: the cluster, if it was found in one; else None.
        before: mean score before the change.
        after: and after.
        since: when it most likely changed, seconds since 1970 UTC.
        since_call: and at which of the log's graded calls, from 1.
        seen: when the evidence sufficed.
        seen_call: and at which call.
        n_before: scores of the model there before the change.
        n_after: and after.
        p: the chance of as much evidence, ever, in a log without any change, is at most this.
    """

    model: str
    topic: str | None
    cluster: int | None
    before: float
    after: float
    since: float
    since_call: int
    seen: float
    seen_call: int
    n_before: int
    n_after: int
    p: float

    @property
    def where(self) -> str:
        """In words."""
        if self.cluster is not None:
            return f"in cluster {self.cluster} ({self.topic})"
        return "everywhere" if self.topic is None else f"on {self.topic}"


class _Stream(NamedTuple):
    model: int
    topic: int | None
    cluster: int | None
    rows: Ints
    share: float


def find_alarms(calls: Calls, artifact: RouterArtifact, false_alarm: float) -> tuple[Alarm, ...]:
    """Models whose scores have changed, overall, on a topic or in a cluster.

    Each of the three levels has a third of the chance of a false alarm, each model in each topic or
    cluster an equal share of that (Bonferroni), see :mod:`avengers_core.learning.evidence`. However
    often it is looked, the chance that any alarm is ever raised without a change is at most
    ``false_alarm``. A change of what is asked inside a cluster is a change, too.

    Args:
        calls: n calls, all of them with a score.
        artifact: whose models, clusters and topics are meant.
        false_alarm: in (0, 1).
    """
    found: list[tuple[float, Alarm]] = []
    _, topic = topics_of(artifact)
    for stream in _streams(calls, artifact, topic):
        limit = -np.log(false_alarm * stream.share)
        change = find_change(stream.rows, calls.score[stream.rows], len(calls), limit)
        if change.seen_at is not None:
            found.append((change.log_evidence, _alarm(calls, artifact, stream, change)))
    found.sort(key=lambda item: -item[0])
    return tuple(alarm for _, alarm in found[:_MOST])


def _streams(calls: Calls, artifact: RouterArtifact, topic: Ints) -> Iterator[_Stream]:
    m, d, k = len(artifact.models), len(artifact.datasets), artifact.n_clusters
    label = artifact.assign(calls.queries.vectors)
    for j, model in enumerate(artifact.models):
        if model not in calls.models:
            continue
        rows = np.flatnonzero(calls.answered == calls.models.index(model))
        yield _Stream(j, None, None, rows, 1 / (3 * m))
        for t in np.unique(topic[label[rows]]).tolist():
            yield _Stream(j, t, None, rows[topic[label[rows]] == t], 1 / (3 * m * d))
        for c in np.unique(label[rows]).tolist():
            yield _Stream(j, int(topic[c]), c, rows[label[rows] == c], 1 / (3 * m * k))


def _alarm(calls: Calls, artifact: RouterArtifact, stream: _Stream, change: Change) -> Alarm:
    seen = change.seen_at or len(calls)
    return Alarm(
        model=artifact.models[stream.model],
        topic=None if stream.topic is None else artifact.datasets[stream.topic],
        cluster=stream.cluster,
        before=change.before,
        after=change.after,
        since=float(calls.time[min(change.since, len(calls) - 1)]),
        since_call=change.since,
        seen=float(calls.time[seen - 1]),
        seen_call=seen,
        n_before=change.n_before,
        n_after=change.n_after,
        p=float(min(1.0, np.exp(-change.log_evidence) / stream.share)),
    )
