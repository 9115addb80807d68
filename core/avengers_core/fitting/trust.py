"""How far to believe what is inferred of a model where it was kept from, by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign, posterior, ratio, sums_of_cells
from avengers_core.artifact.estimation.cells import compared, doubted, lacking, told
from avengers_core.artifact.estimation.inference import Inference, sigmoid
from avengers_core.artifact.refinement import Refinement
from avengers_core.common.arrays import Floats
from avengers_core.records.outcomes import Outcomes

TRUST = 0.5
"""What is believed where nothing tells; chosen on training rows, see docs/research.md."""
# Results of a topic and a model stand and fall together; of so many such pairs that is worth.
_WORTH = 16.0
# Root mean square error of what is inferred of a pair that was held back, where few tell, and of
# how many pairs that is worth; sets of records have .08 to .2.
_ERROR, _ERROR_WORTH = 0.12, 8.0
# Results of which the mean says as much of a pair as they do of chance.
_FEW = 10.0
# Share of their usual records that models lack by chance alone, without being kept from anything.
_BY_CHANCE = 0.2
# A fifth of what each model knows is hidden at a time.
_FOLDS = 5


class Trust(NamedTuple):
    """How far to believe what is inferred of a model where it was kept from.

    Attributes:
        share: that is true of what sets it apart, in [0, 1].
        error: by how much its mean score on a topic is off then, root mean square, beyond what
            chance makes of few records; 0 where it is not known.
    """

    share: float = TRUST
    error: float = 0.0


def choose_trust(
    vectors: Floats, features: Floats, outcomes: Outcomes, refinement: Refinement, seed: int
) -> Trust:
    """How far to believe what is inferred of models on topics that they are kept from.

    Each model is kept from a fifth of the topics it knows at a time, so that what it does there
    is inferred, and the share found by least squares that the results held back bear out. The
    fewer topics there are and the less they agree, the nearer it is to :data:`TRUST`.

    Args:
        vectors: (n, d) unit vectors of the queries.
        features: (n, 11) their surface features.
        outcomes: n records.
        refinement: without records.
        seed: of the folds.

    Returns:
        What is usual where models lack few records, or nothing can be held back.
    """
    r = refinement
    if r.asked is None:
        return Trust()
    points = r.augment(vectors, features)
    labels = assign(points, r.centroids)
    groups = compared(r.asked.collect(points, labels, outcomes).effective(), r.centroids)
    size = np.bincount(labels, minlength=len(r.centroids)).astype(np.float64)
    of_groups = size @ groups.shares
    if (of_groups @ lacking(groups.n, of_groups)).mean() < _BY_CHANCE * len(labels):
        return Trust()
    scores, topic = outcomes.scores, outcomes.dataset
    t, m = len(outcomes.datasets), scores.shape[1]
    fold = np.random.default_rng(seed).permuted(np.tile(np.arange(m) % _FOLDS, (t, 1)), axis=1)
    # By name, so that the order in which records name them does not matter.
    fold = fold[np.ix_(_ranks(outcomes.datasets), _ranks(outcomes.models))]
    weights = posterior(points, r.centroids, size, r.hyperparameters.beta)
    agreement, strength, beyond_in, apart_in = (np.zeros((t, m)) for _ in range(4))
    for f in range(_FOLDS):
        hidden = (fold == f)[topic] & ~np.isnan(scores)
        shown = replace(outcomes, scores=np.where(hidden, np.nan, scores))
        groups = compared(r.asked.collect(points, labels, shown).effective(), r.centroids)
        if not groups.n.any():
            continue
        worth = told(groups.n, groups.topics, of_groups)
        found = Inference.of(groups.total, groups.n, groups.where, roughly=True, told=worth)
        inferred = sigmoid(found.logits)
        typical = doubted(inferred, lacking(groups.n, of_groups), 0.0)
        apart = weights @ (groups.shares @ (inferred - typical))
        beyond = scores - weights @ (groups.shares @ typical)
        apart, beyond = (np.where(hidden, a, 0.0) for a in (apart, beyond))
        agreement += sums_of_cells(apart * beyond, topic, t)
        strength += sums_of_cells(apart**2, topic, t)
        apart_in += sums_of_cells(apart, topic, t)
        beyond_in += sums_of_cells(beyond, topic, t)
    if not strength.any():
        return Trust()
    share = agreement.sum() / strength.sum()
    pairs = strength.sum() ** 2 / (strength**2).sum()
    share = float(np.clip((pairs * share + _WORTH * TRUST) / (pairs + _WORTH), 0.0, 1.0))
    return Trust(share, _error(outcomes, beyond_in - share * apart_in))


def _error(outcomes: Outcomes, away: Floats) -> float:
    """Root mean square error of what was inferred of a model on a topic, beyond chance.

    A part of it is that of the model's level, which the topics that were left tell, and the fewer
    there are the worse; that part is taken out.

    Args:
        outcomes: n records.
        away: (T, M) sums of scores less what was inferred.
    """
    topic, t = outcomes.dataset, len(outcomes.datasets)
    known = ~np.isnan(outcomes.scores)
    scores = np.where(known, outcomes.scores, 0.0)
    n, total, squares = (sums_of_cells(v, topic, t) for v in (known, scores, scores**2))
    mean = ratio(total, n)
    of_chance = ratio(ratio(squares, n) - mean**2, np.maximum(n - 1, 1.0))
    weight = np.where(n > 1, n / (n + _FEW), 0.0)
    left = weight.sum(axis=0) * (1 - 1 / _FOLDS)
    beyond = float((weight * (ratio(away, n) ** 2 - of_chance)).sum())
    pairs = float((weight * (1 + 1 / (left + 1))).sum())
    found = (beyond + _ERROR_WORTH * _ERROR**2) / (pairs + _ERROR_WORTH)
    return float(np.sqrt(np.clip(found, 0.0, 1.0)))


def _ranks(names: Sequence[str]) -> npt.NDArray[np.intp]:
    """The place of each name among all, in alphabetical order."""
    return np.argsort(np.argsort(np.array(names)))
