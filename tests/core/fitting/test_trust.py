"""How far what is inferred of a model where it was kept from is believed."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.moments import Moments
from avengers_core.artifact.refinement import Hyperparameters, Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.embedders.surface import SURFACE_FEATURES, Augment
from avengers_core.fitting.trust import Trust, choose_trust
from avengers_core.records.outcomes import Outcomes

TOPICS, MODELS, EACH = 12, 6, 60


def trust(skills, known, topic=None, order=range(MODELS), each=EACH):
    """Of records of TOPICS topics, a cluster each, on which models score as is given."""
    rng = np.random.default_rng(0)
    dataset = np.repeat(np.arange(TOPICS), each)
    vectors = np.eye(TOPICS)[dataset] + 0.01 * rng.normal(size=(len(dataset), TOPICS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = (rng.random((len(dataset), MODELS)) < skills[dataset]).astype(float)
    scores[~known[dataset]] = np.nan
    none = np.full(scores.shape, np.nan)
    names = tuple(f"topic {t}" for t in range(TOPICS))
    if topic is not None:
        dataset, names = np.zeros_like(dataset), (topic,)
    scores = scores[:, order]
    outcomes = Outcomes(
        [""] * len(dataset),
        tuple("abcdef"[i] for i in order),
        names,
        dataset,
        scores,
        none,
        none,
        none,
        np.full(len(dataset), np.nan),
    )
    features = np.zeros((len(dataset), len(SURFACE_FEATURES)), dtype=np.float32)
    augment = Augment.of(features, 0.2)
    points = augment(vectors.astype(np.float32), features)
    centroids = np.stack([points[t * each : (t + 1) * each].mean(axis=0) for t in range(TOPICS)])
    empty = Statistics.zeros(TOPICS, MODELS, len(names)), Moments.zeros(points.shape[1], MODELS)
    asked = Asked.of(points, outcomes, TOPICS)
    r = Refinement(augment, centroids.astype(np.float32), *empty, Hyperparameters(), asked)
    return choose_trust(vectors.astype(np.float32), features, outcomes, r, 0)


HALF = np.random.default_rng(1).random((TOPICS, MODELS)) < 0.6
LEVEL = np.linspace(0.3, 0.7, TOPICS)[:, None]


def test_who_is_better_everywhere_is_believed_to_be_better_where_nobody_looked():
    alike = LEVEL + np.linspace(-0.3, 0.3, MODELS)
    apart = LEVEL + np.random.default_rng(2).permuted(
        np.tile(np.linspace(-0.3, 0.3, MODELS), (TOPICS, 1)), axis=1
    )
    found = [trust(skills, HALF) for skills in (alike, apart)]
    assert found[0].share > 0.65 > Trust().share > found[1].share
    assert 0 < found[0].error < 0.1
    assert 0.15 < found[1].error < 0.35


@pytest.mark.parametrize("known", [np.ones_like(HALF), HALF])
def test_where_nothing_tells_it_is_what_is_usual(known):
    alike = LEVEL + np.linspace(-0.3, 0.3, MODELS)
    assert trust(alike, known, "all one") == Trust()


def test_who_was_kept_from_nothing_tells_nothing():
    assert trust(LEVEL + np.linspace(-0.3, 0.3, MODELS), np.ones_like(HALF)) == Trust()


def test_few_records_do_not_make_inference_worse():
    # A fifth of the records: that what was held back is known worse is no error of inference.
    alike = LEVEL + np.linspace(-0.3, 0.3, MODELS)
    assert trust(alike, HALF, each=12).error < 0.12


def test_the_order_of_models_does_not_matter():
    alike = LEVEL + np.linspace(-0.3, 0.3, MODELS)
    assert trust(alike, HALF, order=[3, 0, 5, 1, 4, 2]) == pytest.approx(trust(alike, HALF))
