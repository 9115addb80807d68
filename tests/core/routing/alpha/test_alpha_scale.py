"""What an alpha means: mostly the root of the share of what can be spent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import Router, fit
from avengers_core.routing.scoring.alpha_scale import AlphaScale

ALPHAS = np.linspace(0, 1, 21)


def spent(gain, loss, size, weights):
    """The share of what can be spent beyond the cheapest that is spent at some weights of score."""
    least, most = loss.min(axis=1), loss[np.arange(len(loss)), gain.argmax(axis=1)]
    chosen = np.array([(w * gain - (1 - w) * loss).argmax(axis=1) for w in weights])
    total = np.take_along_axis(loss[None], chosen[..., None], axis=2)[..., 0] @ size
    return (total - least @ size) / ((most - least) @ size)


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 5), st.integers(0, 6))
def test_it_rises_from_0_to_1_and_back_again(seed, k, m, decades):
    rng = np.random.default_rng(seed)
    gain, loss = rng.uniform(size=(k, m)), 10 ** rng.uniform(-decades, 1, size=(k, m))
    scale = AlphaScale.of_costs(gain, loss, rng.uniform(1, 9, size=k))
    weights = np.array([scale.weight(a) for a in ALPHAS])
    assert (weights[0], weights[-1]) == (0, 1)
    assert (np.diff(weights) > 0).all()
    np.testing.assert_allclose(scale.alpha(weights), ALPHAS, atol=1e-9)


def test_money_is_spent_step_by_step_where_costs_are_decades_apart():
    rng = np.random.default_rng(0)
    loss = 10 ** (np.linspace(-3, 0, 6) + rng.normal(size=(200, 1)))
    gain = np.linspace(0.3, 0.8, 6) + rng.normal(0, 0.1, size=loss.shape)
    size = np.ones(len(loss))
    scale = AlphaScale.of_costs(gain, loss, size)
    by_costs = spent(gain, loss, size, [scale.weight(a) for a in ALPHAS])
    straight = spent(gain, loss, size, ALPHAS)
    assert np.diff(by_costs).max() < 0.2
    assert np.diff(straight).max() > 0.4


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_score_never_counts_less_than_alpha_says(seed, alpha):
    gain, loss = np.random.default_rng(seed).uniform(size=(2, 2, 3))
    assert AlphaScale.of_costs(gain, loss, np.ones(2)).weight(alpha) >= alpha - 1e-12


@pytest.mark.parametrize("loss", [np.zeros((3, 0)), np.ones((3, 2))])
def test_where_nothing_more_can_be_spent_alpha_is_the_weight(loss):
    scale = AlphaScale.of_costs(np.ones(loss.shape), loss, np.ones(3))
    assert [scale.weight(a) for a in ALPHAS] == pytest.approx(list(ALPHAS))


def test_in_artifacts_of_older_versions_alpha_is_the_weight(make_records, embedder):
    rows = make_records(150)
    for row in rows:  # the last model costs a thousand times as much
        list(row["usages"].values())[-1]["cost"] *= 1000
    artifact = fit(rows, embedder, n_clusters=4)
    info = artifact.info.model_copy(update={"alpha": "ranges"})
    older = Router(replace(artifact, info=info), embedder).engine.scorer
    newer = Router(artifact, embedder).engine.scorer
    weights = np.array([newer.scale.weight(a) for a in ALPHAS])
    assert (weights - ALPHAS).max() > 0.1
    for alpha, weight in zip(ALPHAS, weights, strict=True):
        np.testing.assert_array_equal(older.table(weight), newer.table(alpha))
