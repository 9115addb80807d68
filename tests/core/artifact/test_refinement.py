"""Surface features, clusters, moments and the refinement made of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from avengers_core import Router, fit, load_records
from avengers_core.artifact.clusters import assign, posterior, shrunk_means
from avengers_core.artifact.estimation.cells import expected_scores_of
from avengers_core.artifact.moments import MAX_RANK, Moments
from avengers_core.artifact.refinement import Hyperparameters
from avengers_core.embedders import CallableEmbedder
from avengers_core.embedders.surface import SURFACE_FEATURES, Augment, surface, tokens
from avengers_core.fitting.cross_validation import choose_hyperparameters

RNG = np.random.default_rng(0)


def unit(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


# -- surface ---------------------------------------------------------------------------------


def test_surface_features_of_a_known_text():
    text = "Is 42 = X? \\n\n(A) yes\n(B) no\n```def f"
    found = dict(zip(SURFACE_FEATURES, surface([text])[0].tolist(), strict=True))
    n = len(text)
    assert found["log bytes"] == pytest.approx(np.log1p(n))
    assert found["log words"] == pytest.approx(np.log1p(len(text.split())))
    assert found["share of digits"] == pytest.approx(2 / n)
    assert found["share of backslashes"] == pytest.approx(1 / n)
    assert found["log lines"] == pytest.approx(np.log1p(3))
    assert found["log question marks"] == pytest.approx(np.log1p(1))
    assert found["code marker"] == 1
    assert found["share of upper case"] == pytest.approx(4 / n)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(x):", 1),
        ("import os", 1),
        ("a ``` b", 1),
        ("x;\ny", 1),
        ("{\n", 1),
        ("a return b", 1),
        ("it returns; {so}", 0),
        ("defy;", 0),
    ],
)
def test_code_is_told_by_its_marks(text, code):
    assert surface([text])[0][SURFACE_FEATURES.index("code marker")] == code


@pytest.mark.parametrize(
    ("text", "options"), [("A) x\n(B) y\nC. z", 3), ("A) x B) y", 1), ("\nD.\nd.", 1), ("x", 0)]
)
def test_lettered_options_stand_at_the_start_of_a_line(text, options):
    assert surface([text])[0][SURFACE_FEATURES.index("log lettered options")] == pytest.approx(
        np.log1p(options)
    )


@given(st.lists(st.text(), max_size=5))
def test_surface_takes_any_text(texts):
    features = surface(texts)
    assert features.shape == (len(texts), len(SURFACE_FEATURES))
    assert np.isfinite(features).all()


def test_tokens_are_a_quarter_of_the_bytes():
    assert tokens(surface(["x" * 400])) == pytest.approx(100, rel=1e-5)
    np.testing.assert_allclose(tokens(surface(["x" * 400, "é"])), [100, 0.5], rtol=1e-5)


def test_augmented_vectors_are_unit_vectors_that_keep_the_embedding_in_front():
    features = RNG.normal(size=(20, len(SURFACE_FEATURES)))
    augment = Augment.of(features, 0.2)
    vectors = unit(RNG.normal(size=(20, 5)))
    points = augment(vectors, features)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    z = points[:, 5:] / points[:, :5].dot(np.ones(5))[:, None] * vectors.sum(axis=1)[:, None]
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    unknown = augment(vectors, None)
    np.testing.assert_array_equal(unknown[:, :5], vectors)
    assert not unknown[:, 5:].any()


@given(st.integers(1, 300), st.integers(0, 1000))
def test_a_query_has_the_same_point_alone_and_among_others(d, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(9, len(SURFACE_FEATURES)))
    vectors, augment = unit(rng.normal(size=(9, d))), Augment.of(features, 0.2)
    alone = [augment(vectors[i : i + 1], features[i : i + 1])[0] for i in range(9)]
    np.testing.assert_array_equal(augment(vectors, features), alone)


# -- clusters --------------------------------------------------------------------------------


def test_assign_is_the_nearest_centroid():
    vectors, centroids = RNG.normal(size=(50, 6)), RNG.normal(size=(7, 6)).astype(np.float32)
    distance = ((vectors[:, None] - centroids[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(assign(vectors, centroids), distance.argmin(axis=1))
    assert assign(vectors[:0], centroids).shape == (0,)


@given(st.floats(0.1, 200), st.integers(0, 1000))
def test_posterior_is_the_formula(beta, seed):
    rng = np.random.default_rng(seed)
    vectors, centroids = unit(rng.normal(size=(6, 4))), rng.normal(size=(5, 4)).astype(np.float32)
    size = np.array([0, 1, 5, 20, 100.0])
    cosine = vectors @ unit(centroids).T
    with np.errstate(divide="ignore"):
        log = np.log(size) + beta * cosine
    expected = np.exp(log - log.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = posterior(vectors, centroids, size, beta)
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(beta, 10) / 10)
    assert not found[:, 0].any()


def test_shrunk_means():
    total, n = np.array([[2.0, 0], [0, 0]]), np.array([[2.0, 0], [2, 0]])
    np.testing.assert_allclose(shrunk_means(total, n, 2), [[0.75, 0], [0.25, 0]])
    np.testing.assert_allclose(shrunk_means(total, n, 0), [[1, 0], [0, 0]])


# -- moments ---------------------------------------------------------------------------------


def test_the_map_is_ridge_regression_where_all_scores_are_known():
    vectors, scores = unit(RNG.normal(size=(200, 6))), RNG.uniform(size=(200, 3))
    found = Moments.collect(vectors, scores).spectrum().solve(ridge=5.0)
    expected = Ridge(alpha=5.0).fit(vectors, scores).predict(vectors)
    np.testing.assert_allclose(found(vectors), expected, atol=1e-6)


@given(st.integers(0, 100), st.integers(1, 29))
def test_moments_add_up_and_pack(seed, cut):
    rng = np.random.default_rng(seed)
    vectors, scores = rng.normal(size=(30, 4)), rng.uniform(size=(30, 2))
    scores[rng.random(scores.shape) < 0.3] = np.nan
    whole = Moments.collect(vectors, scores)
    one, two = (Moments.collect(vectors[s], scores[s]) for s in (slice(cut), slice(cut, None)))
    for name, values in (one + two).arrays().items():
        np.testing.assert_allclose(values, whole.arrays()[name], atol=1e-9)
    for name, values in (whole - two).arrays().items():
        np.testing.assert_allclose(values, one.arrays()[name], atol=1e-9)
    for name, values in Moments.from_arrays(whole.stored()).arrays().items():
        np.testing.assert_array_equal(values, whole.arrays()[name])


def test_a_model_without_records_is_predicted_as_nothing_known():
    vectors, scores = unit(RNG.normal(size=(50, 4))), RNG.uniform(size=(50, 2))
    scores[:, 1] = np.nan
    found = Moments.collect(vectors, scores).spectrum().solve(5.0)(vectors)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 1], 0)


def test_many_models_share_a_few_directions():
    m = MAX_RANK + 10
    vectors = unit(RNG.normal(size=(400, 40)))
    scores = 0.5 + vectors @ RNG.normal(size=(40, 3)) @ RNG.normal(size=(3, m))
    linear = Moments.collect(vectors, scores).spectrum().solve(1e-6)
    assert linear.directions.shape == (40, MAX_RANK)
    np.testing.assert_allclose(linear(vectors), scores, atol=1e-3)


# -- the settings ------------------------------------------------------------------------------


def halves(n, score_of):
    """Points in a half plane, clustered into two, and the scores of two models on them."""
    angle = RNG.uniform(0, np.pi, n)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    centroids = np.array([[1, 0.5], [-1, 0.5]], dtype=np.float32)
    return points, assign(points, centroids), score_of(points[:, 0]), centroids


def test_the_mix_leans_on_whoever_knows():
    def steps(x):
        return np.stack([(x > 0) * 1.0, (x <= 0) * 1.0], axis=1)

    def slope(x):
        return np.stack([0.5 + 0.5 * x, 0.5 - 0.5 * x], axis=1)

    points, labels, scores, centroids = halves(2000, slope)
    by_line = choose_hyperparameters(points, labels, scores, centroids, 0).mix
    points, labels, scores, centroids = halves(2000, steps)
    by_cluster = choose_hyperparameters(points, labels, scores, centroids, 0).mix
    assert by_line > 0.8
    assert by_cluster < by_line - 0.3


def test_nothing_to_mix():
    points, labels, scores, centroids = halves(100, lambda x: x[:, None])
    assert choose_hyperparameters(points, labels, scores, centroids, 0) == Hyperparameters()
    assert (
        choose_hyperparameters(points[:5], labels[:5], np.ones((5, 2)), centroids, 0)
        == Hyperparameters()
    )
    assert choose_hyperparameters(points, labels, np.ones((100, 2)), centroids, 0).mix == 0


def test_where_no_query_has_two_results_there_is_nothing_to_choose_by():
    points, labels, scores, centroids = halves(300, lambda x: np.stack([x > 0, x <= 0], axis=1))
    scores = np.where(np.arange(300)[:, None] % 2 == [0, 1], scores, np.nan)
    assert choose_hyperparameters(points, labels, scores, centroids, 0) == Hyperparameters()


def test_no_other_settings_predict_held_out_differences_better():
    points, labels, scores, centroids = halves(150, lambda x: np.stack([0.5 + 0.4 * x, x > 0.3], 1))
    scores = (RNG.random(scores.shape) < scores).astype(float)
    fold = np.random.default_rng(7).integers(5, size=len(points))

    @cache
    def means(f):
        kept = fold != f
        n = np.bincount(labels[kept], minlength=2)
        sums = [scores[kept][labels[kept] == c].sum(axis=0) for c in range(2)]
        counts = np.stack([n, n], axis=1).astype(float)
        return n.astype(float), expected_scores_of(np.stack(sums), counts, centroids)

    @cache
    def line(f, ridge):
        kept = fold != f
        return Ridge(alpha=ridge).fit(points[kept], scores[kept]).predict(points[fold == f])

    def error(beta, ridge, mix):
        total = 0.0
        for f in range(5):
            held = fold == f
            n, expected_there = means(f)
            near = posterior(points[held], centroids, n, beta) @ expected_there
            expected = (1 - mix) * near + mix * line(f, ridge)
            total += ((np.diff(expected) - np.diff(scores[held])) ** 2).sum()
        return total

    chosen = choose_hyperparameters(points, labels, scores, centroids, seed=7)
    others = [
        error(beta, ridge, mix)
        for beta in (10, 20, 40)
        for ridge in (10, 30, 100)
        for mix in (0, 0.25, 0.5, 0.75, 1, chosen.mix)
    ]
    assert error(chosen.beta, chosen.ridge, chosen.mix) <= min(others) + 1e-4


def test_the_scorer_takes_what_was_chosen(make_records, embedder):
    artifact = fit(make_records(100), embedder, n_clusters=3)
    chosen = artifact.refinement.hyperparameters
    options = Router(artifact, embedder).scorer.options
    assert options == {"beta": chosen.beta, "m0": chosen.m0, "mix": chosen.mix}
    assert Router(artifact, embedder, beta=33).scorer.options == {**options, "beta": 33}


def test_length_that_tells_the_models_apart_is_used():
    # The embedding sees nothing; long questions are for one model, short ones for the other.
    blind = CallableEmbedder(lambda texts: np.ones((len(texts), 4)), id="test/blind", dim=4)
    rows = [
        {"query": "word " * n, "records": {"short": int(n < 20), "long": int(n >= 20)}}
        for n in range(1, 41)
        for _ in range(5)
    ]
    router = Router(fit(rows, blind, n_clusters=4), blind)
    assert router.route("word " * 3, alpha=1).model == "short"
    assert router.route("word " * 38, alpha=1).model == "long"
    plain = Router(fit(rows, blind, n_clusters=4, refine=False), blind)
    assert len({plain.route("word " * n, alpha=1).model for n in (3, 38)}) == 1


def test_a_refinement_survives_dropping_and_adding_models(make_records, embedder):
    artifact = fit(make_records(100), embedder, n_clusters=3)
    dropped = artifact.drop_models(["odd"])
    direct = fit(make_records(100), embedder, n_clusters=3, models=["good", "cheap"])
    np.testing.assert_allclose(
        dropped.refinement.moments.cross, direct.refinement.moments.cross, atol=1e-9
    )
    grown = dropped.add_model("odd", load_records(make_records(100)), embedder)
    np.testing.assert_allclose(
        grown.refinement.linear.offset, artifact.refinement.linear.offset, atol=1e-9
    )


def test_repeated_queries_are_in_one_fold():
    rng = np.random.default_rng(0)
    distinct = rng.normal(size=(60, 8)).astype(np.float32)
    distinct /= np.linalg.norm(distinct, axis=1, keepdims=True)
    noise = rng.integers(2, size=(60, 3)).astype(np.float64)
    points, scores = np.tile(distinct, (10, 1)), np.tile(noise, (10, 1))
    labels = np.tile(np.arange(60), 10)
    found = choose_hyperparameters(points, labels, scores, distinct, 42)
    # Who has seen a held-out query in fitting knows its result, and sees no need to shrink.
    assert found.ridge == 100.0
