"""Scorers against plain loops over the formulas, and against the published decisions."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avengers_core import Router, RouterArtifact, evaluate, fit, load_records, split_records
from avengers_core.artifact.artifact import ArtifactInfo
from avengers_core.artifact.estimation.inference import credible
from avengers_core.artifact.statistics import Statistics
from avengers_core.embedders import CachedEmbedder
from avengers_core.embedders.surface import surface
from avengers_core.records.outcomes import to_outcomes
from avengers_core.routing.queries import Queries
from avengers_core.routing.scoring import make_scorer

K, M, D = 5, 4, 6


def random_artifact(seed, ties=False):
    """Statistics of 5 clusters and 4 models, some of them without records somewhere."""
    rng = np.random.default_rng(seed)
    s = Statistics.zeros(K, M, 1)
    s.n[:] = rng.integers(1, 30, (K, M))
    s.n[rng.random((K, M)) < 0.15] = 0
    s.n[:, 0] = np.maximum(s.n[:, 0], 1)
    s.topics[:, 0] = s.n.max(axis=1)
    s.score[:] = s.n * (0.5 if ties else rng.uniform(size=(K, M)).round(1))
    s.n_cost[:] = s.n
    s.cost[:] = s.n * rng.uniform(0.001, 0.1, (K, M)).round(2)
    s.query_length[:] = s.size * 40
    return RouterArtifact(
        tuple("abcd"),
        ("d",),
        rng.normal(size=(K, D)).astype(np.float32),
        s,
        ArtifactInfo(embedder="none"),
    )


def unit(seed, n=8):
    x = np.random.default_rng(seed).normal(size=(n, D))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def means(artifact):
    s = artifact.statistics
    with np.errstate(invalid="ignore"):
        return s.score / s.n, s.cost / s.n


def min_max(values, flat, rounding=0.0):
    low, high = min(values), max(values)
    return [flat if high - low <= rounding * high else (v - low) / (high - low) for v in values]


def reference_scores(artifact, x, alpha, top_k, beta):
    """The published code, step by step for one query."""
    accuracy, cost = means(artifact)
    distance = [1 - float(np.dot(x, c.astype(np.float64))) for c in artifact.centroids]
    nearest = sorted(range(K), key=lambda c: distance[c])[:top_k]
    least = min(distance[c] for c in nearest)
    weights = [math.exp(-beta * (distance[c] - least)) for c in nearest]
    total = dict.fromkeys(range(M), 0.0)
    for c, w in zip(nearest, weights, strict=True):
        there = [m for m in range(M) if artifact.statistics.n[c, m] > 0]
        gain = min_max([accuracy[c, m] for m in there], 1.0)
        peak = max(cost[c, m] for m in there)
        save = [1 - (cost[c, m] / peak if peak > 0 else 0) for m in there]
        balance = [alpha * g + (1 - alpha) * s for g, s in zip(gain, save, strict=True)]
        for rank, i in enumerate(sorted(range(len(there)), key=lambda i: -balance[i])):
            total[there[i]] += w / sum(weights) / (rank + 1)
    return [total[m] for m in range(M)]


def paper_scores(artifact, x, alpha, top_k):
    accuracy, cost = means(artifact)
    distance = [1 - float(np.dot(x, c.astype(np.float64))) for c in artifact.centroids]
    nearest = sorted(range(K), key=lambda c: distance[c])[:top_k]
    total = [0.0] * M
    for c in nearest:
        there = [m for m in range(M) if artifact.statistics.n[c, m] > 0]
        gain = min_max([accuracy[c, m] for m in there], 1.0, 1e-9)
        loss = min_max([cost[c, m] for m in there], 0.0, 1e-9)
        for m, g, q in zip(there, gain, loss, strict=True):
            total[m] += (alpha * g + (1 - alpha) * (1 - q)) / top_k
    return total


def calibrated_scores(artifact, x, alpha, beta, m0):
    s = artifact.statistics
    overall_score = s.score.sum(axis=0) / s.n.sum(axis=0)
    overall_cost = s.cost.sum(axis=0) / s.n.sum(axis=0)
    score = (s.score + m0 * overall_score) / (s.n + m0)
    cost = (s.cost + m0 * overall_cost) / (s.n + m0)
    norms = np.linalg.norm(artifact.centroids, axis=1)
    weight = s.size * np.exp(beta * (artifact.centroids @ x / norms - 1))
    weight /= weight.sum()

    def typical_range(table):
        spread = sorted(zip(table.max(axis=1) - table.min(axis=1), s.size, strict=True))
        mass = 0.0
        for value, size in spread:
            mass += size
            if mass >= s.size.sum() / 2:
                return value
        raise AssertionError

    gain, loss = weight @ score, weight @ cost
    return alpha * gain / typical_range(score) - (1 - alpha) * loss / typical_range(cost)


def utilities(artifact, x, alpha, name, **options):
    scorer = make_scorer(artifact, name, **options)
    return scorer.features(Queries(x)) @ scorer.table(alpha)


seeds, alphas = st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.4, 0.53, 0.8, 1.0])


@given(seeds, alphas, st.integers(1, K + 2), st.floats(0.5, 20), st.booleans())
def test_reference_is_the_published_code(seed, alpha, top_k, beta, ties):
    artifact, x = random_artifact(seed, ties), unit(seed)
    found = utilities(artifact, x, alpha, "reference", top_k=top_k, beta=beta)
    expected = [reference_scores(artifact, row, alpha, top_k, beta) for row in x]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(seeds, alphas, st.integers(1, K))
@example(535, 0.0, 1)  # two costs that differ by rounding
def test_paper_is_the_formula(seed, alpha, top_k):
    artifact, x = random_artifact(seed), unit(seed)
    found = utilities(artifact, x, alpha, "paper", top_k=top_k)
    present = artifact.statistics.n > 0
    expected = np.array([paper_scores(artifact, row, alpha, top_k) for row in x])
    everywhere = present.all(axis=0)
    np.testing.assert_allclose(found[:, everywhere], expected[:, everywhere], atol=1e-9)


@given(seeds, alphas, st.floats(1, 30), st.floats(0, 20))
def test_calibrated_is_the_formula(seed, alpha, beta, m0):
    artifact, x = random_artifact(seed), unit(seed)
    if (artifact.statistics.n == 0).any() and m0 == 0:
        m0 = 1.0
    found = utilities(artifact, x, alpha, "calibrated", beta=beta, m0=m0)
    expected = [calibrated_scores(artifact, row, alpha, beta, m0) for row in x]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@given(seeds)
def test_expected_score_rises_and_cost_falls_with_alpha(seed):
    artifact, x = random_artifact(seed), unit(seed)
    scorer = make_scorer(artifact)
    features = scorer.features(Queries(x))
    score, cost = features @ scorer.score_table, features @ scorer.cost_table
    rows = np.arange(len(x))
    before = None
    for alpha in np.linspace(0, 1, 11):
        chosen = np.argmax(features @ scorer.table(alpha), axis=1)
        now = score[rows, chosen], cost[rows, chosen]
        if before is not None:
            assert (now[0] >= before[0] - 1e-5).all()
            assert (now[1] >= before[1] - 1e-5).all()
        before = now


def test_votes_sum_to_one_and_come_first(make_records, embedder):
    artifact = fit(make_records(), embedder, n_clusters=3)
    for name in ("calibrated", "reference", "paper"):
        scorer = make_scorer(artifact, name)
        features = scorer.features(Queries(embedder.embed(["alpha", "zeta delta"])))
        k = len(scorer.statistics.size)
        np.testing.assert_allclose(features[:, :k].sum(axis=1), 1, rtol=1e-5)
        assert features.shape[1] == scorer.score_table.shape[0] == scorer.table(0.5).shape[0]
        np.testing.assert_allclose(scorer.overall()[:, :k].sum(), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("guess", {}, r"'guess'.*\['calibrated', 'paper', 'reference'\]"),
        ("reference", {"top_k": 0}, r"top_k.*\b1\b.*\b0\b"),
        ("paper", {"top_k": 2.5}, r"top_k.*\b1\b.*\b2\.5\b"),
        ("reference", {"beta": -1}, r"beta.*\b0\b.*-1\b"),
        ("reference", {"beta": math.nan}, "beta.*nan"),
        ("calibrated", {"beta": math.inf}, "beta.*inf"),
        (
            "reference",
            {"temperature": 1},
            r"\['temperature'\].*\['top_k', 'beta'\]",
        ),
        ("calibrated", {"mix": 2}, r"mix.*\[0, 1\].*\b2\b"),
        ("calibrated", {"mix": math.nan}, r"mix.*\[0, 1\].*nan"),
        ("calibrated", {"m0": -1}, r"m0.*\b0\b.*-1\b"),
        ("calibrated", {"m0": math.nan}, r"m0.*\b0\b.*nan"),
    ],
)
def test_wrong_scorers_and_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_scorer(random_artifact(0), name, **options)


def test_a_long_prompt_costs_what_its_tokens_cost(make_records, embedder):
    prices = {"good": 1e-5, "cheap": 1e-6, "odd": 0.0}
    artifact = fit(make_records(), embedder, n_clusters=2, input_prices=prices)
    router = Router(artifact, embedder)
    short, long = (
        {c.model: c.expected_cost for c in router.route("alpha", prompt_tokens=t).candidates}
        for t in (100, 1100)
    )
    for model, price in prices.items():
        assert long[model] - short[model] == pytest.approx(1000 * price, rel=1e-3, abs=1e-9)


def test_options_of_the_artifact_hold_for_its_own_scorer_only():
    artifact = random_artifact(0)
    info = artifact.info.model_copy(
        update={"scorer": "reference", "scorer_options": {"top_k": 2, "beta": 5.0}}
    )
    artifact = dataclasses.replace(artifact, info=info)
    assert make_scorer(artifact).options == {"top_k": 2, "beta": 5.0}
    assert make_scorer(artifact, beta=1.0).options == {"top_k": 2, "beta": 1.0}
    assert make_scorer(artifact, "paper").options == {"top_k": 4}
    assert make_scorer(artifact, "calibrated").name == "calibrated"


@given(seeds, st.sampled_from(["reference", "paper", "calibrated"]))
def test_one_query_scores_as_it_does_among_many(seed, name):
    scorer, x = make_scorer(random_artifact(seed), name), unit(seed)
    together = scorer.features(Queries(x))
    alone = [scorer.features(Queries(row[None]))[0] for row in x]
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-7)


@given(seeds, st.floats(0, 1), st.sampled_from(["paper", "calibrated"]))
def test_linear_scorers_are_straight_lines_in_alpha(seed, alpha, name):
    scorer = make_scorer(random_artifact(seed), name)
    between = (1 - alpha) * scorer.table(0.0) + alpha * scorer.table(1.0)
    assert scorer.linear
    np.testing.assert_allclose(scorer.table(alpha), between, atol=1e-12)


def test_ends_of_alpha_are_the_best_and_the_cheapest():
    artifact, x = random_artifact(3), unit(3, n=50)
    scorer = make_scorer(artifact, "calibrated")
    features = scorer.features(Queries(x))
    best = (features @ scorer.table(1.0)).argmax(axis=1)
    cheapest = (features @ scorer.table(0.0)).argmax(axis=1)
    np.testing.assert_array_equal(best, (features @ scorer.score_table).argmax(axis=1))
    np.testing.assert_array_equal(cheapest, (features @ scorer.cost_table).argmin(axis=1))


def test_of_equally_good_models_the_cheaper_is_taken_at_alpha_one_too():
    rows = [
        {
            "query": f"question {i} of topic {i % 7}",
            "records": {"dear": 1.0, "cheap": 1.0, "weak": i % 2},
            "usages": {"dear": {"cost": 0.1}, "cheap": {"cost": 0.001}, "weak": {"cost": 1e-4}},
        }
        for i in range(60)
    ]
    router = Router(fit(rows, "tfidf", 5))
    assert {router.route("a question", alpha=a).model for a in (0.5, 0.999, 1.0)} == {"cheap"}
    assert router.route("a question", alpha=1.0, exclude=["cheap"]).model == "dear"


@given(seeds, st.sampled_from(["paper", "calibrated"]), st.floats(0.05, 1))
def test_costs_that_differ_by_rounding_alone_decide_nothing(seed, name, alpha):
    artifact, x = random_artifact(seed), unit(seed)
    s = artifact.statistics
    s.n[:] = s.n_cost[:] = np.maximum(s.n, 1)  # whom a cluster has not seen costs most in the paper
    for k, m in np.ndindex(s.cost.shape):
        s.cost[k, m] = sum([0.1] * int(s.n[k, m]))
    scorer = make_scorer(artifact, name)
    features = scorer.features(Queries(x))
    found = (features @ scorer.table(alpha)).argmax(axis=1)
    best = features @ scorer.table(1.0)
    chosen = best[np.arange(len(best)), found]
    np.testing.assert_allclose(chosen, best.max(axis=1), rtol=1e-5, atol=1e-5)


@given(seeds)
def test_expectations_are_means_over_the_records_where_there_is_no_shrinkage(seed):
    """A query to whom only one cluster matters is expected to fare as its records did."""
    artifact = random_artifact(seed)
    scorer = make_scorer(artifact, beta=1e4, m0=0)
    accuracy, cost = means(artifact)
    norms = np.linalg.norm(artifact.centroids, axis=1, keepdims=True)
    features = scorer.features(Queries(artifact.centroids / norms))
    seen = artifact.statistics.n > 0
    np.testing.assert_allclose((features @ scorer.score_table)[seen], accuracy[seen], rtol=1e-4)
    np.testing.assert_allclose((features @ scorer.cost_table)[seen], cost[seen], rtol=1e-4)


def test_support_is_the_share_of_votes_where_a_model_has_its_records():
    s = Statistics.zeros(2, 2, 1)
    s.n[:] = [[20, 20], [20, 0]]
    s.topics[:, 0] = 20
    s.score[:] = s.n / 2
    artifact = RouterArtifact(
        ("a", "b"), ("d",), np.eye(2, dtype=np.float32), s, ArtifactInfo(embedder="none")
    )
    for name, options in (("calibrated", {"beta": 200.0}), ("reference", {"beta": 200.0})):
        scorer = make_scorer(artifact, name, **options)
        support = scorer.features(Queries(np.eye(2, dtype=np.float32))) @ scorer.evidence_table
        np.testing.assert_allclose(support, [[1, 1], [1, 0]], atol=1e-6)
    between = np.array([[1.0, 1.0]]) / math.sqrt(2)
    scorer = make_scorer(artifact)
    support = scorer.features(Queries(between)) @ scorer.evidence_table
    np.testing.assert_allclose(support, [[1, 0.5]], atol=1e-5)


def test_a_handful_of_strays_is_no_evidence():
    s = Statistics.zeros(2, 2, 1)
    s.n[:] = [[1000, 900], [1000, 3]]
    s.topics[:, 0] = 1000
    artifact = RouterArtifact(
        ("a", "b"), ("d",), np.eye(2, dtype=np.float32), s, ArtifactInfo(embedder="none")
    )
    evidence = make_scorer(artifact).evidence_table[:2]
    assert evidence[:, 0].tolist() == [1, 1]
    assert evidence[0, 1] == 1
    assert evidence[1, 1] < 0.02


@pytest.fixture(scope="module")
def refined(make_records, embedder):
    prices = {"good": 1e-5, "cheap": 1e-6, "odd": 1e-5}
    rows = make_records(200)
    for row in rows[::3]:
        row["query"] += " 123 456?" * 20
    return fit(rows, embedder, n_clusters=4, input_prices=prices)


def test_features_of_texts_matter_only_to_the_refined(refined, embedder):
    texts = ["alpha beta", "alpha beta " + "1 + 2 = ? " * 40]
    vectors, known = embedder.embed(texts), surface(texts)
    plain = dataclasses.replace(refined, refinement=None)
    for artifact, name in ((plain, "calibrated"), (refined, "reference"), (refined, "paper")):
        scorer = make_scorer(artifact, name)
        np.testing.assert_array_equal(
            scorer.features(Queries(vectors, known)), scorer.features(Queries(vectors))
        )
    scorer = make_scorer(refined)
    assert scorer.needs_surface
    assert not np.allclose(
        scorer.features(Queries(vectors, known)), scorer.features(Queries(vectors)), atol=1e-3
    )


@pytest.mark.parametrize("prompt_tokens", [None, 0, 700])
@pytest.mark.parametrize(
    ("name", "options"),
    [("calibrated", {}), ("calibrated", {"beta": 60.0}), ("reference", {}), ("paper", {})],
)
def test_one_text_scores_as_it_does_among_many(refined, embedder, name, options, prompt_tokens):
    scorer = make_scorer(refined, name, **options)
    texts = ["alpha beta 12?", "zeta delta " + "1 + 2 = ? " * 40, "```\nreturn {\n", "\u65e5"]
    vectors = embedder.embed(texts)
    vectors[-1] = 0  # a text without a known token
    together = scorer.features(Queries(vectors, surface(texts), prompt_tokens))
    alone = [
        scorer.features(Queries(vector[None], surface([text]), prompt_tokens))[0]
        for vector, text in zip(vectors, texts, strict=True)
    ]
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)
    together = scorer.features(Queries(vectors, None, prompt_tokens))
    alone = [scorer.features(Queries(vector[None], None, prompt_tokens))[0] for vector in vectors]
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["calibrated", "reference", "paper"])
def test_the_cost_of_a_prompt_is_linear_in_its_tokens(refined, embedder, name):
    scorer = make_scorer(refined, name)
    texts = ["alpha beta", "zeta"]
    points = Queries(embedder.embed(texts), surface(texts))
    cost = [
        scorer.features(points.with_prompt_tokens(t)) @ scorer.cost_table for t in (0, 1000, 3000)
    ]
    prices = refined.token_prices()
    np.testing.assert_allclose(cost[1] - cost[0], np.tile(1000 * prices, (2, 1)), rtol=1e-3)
    np.testing.assert_allclose(cost[2] - cost[1], 2 * (cost[1] - cost[0]), rtol=1e-3)
    # Score and support do not depend on it.
    for table in (scorer.score_table, scorer.evidence_table):
        short, long = (scorer.features(points.with_prompt_tokens(t)) @ table for t in (0, 3000))
        np.testing.assert_allclose(short, long, rtol=1e-5)
    overall = [scorer.overall(t) @ scorer.cost_table for t in (0, 1000)]
    np.testing.assert_allclose(overall[1] - overall[0], [1000 * prices], rtol=1e-3)


def test_refined_expectation_is_the_mean_of_clusters_and_regression(refined, embedder):
    texts = ["alpha beta 12?", "zeta delta", "epsilon"]
    r = refined.refinement
    points = Queries(embedder.embed(texts), surface(texts))
    space = r.augment(points.vectors, points.surface)
    mix = 0.3
    clusters, both = (make_scorer(refined, mix=m) for m in (0.0, mix))
    by_clusters = clusters.features(points) @ clusters.score_table
    heard = mix * credible(refined.beliefs.told)
    expected = (1 - heard) * by_clusters + heard * r.linear(space)
    np.testing.assert_allclose(both.features(points) @ both.score_table, expected, atol=1e-4)
    assert make_scorer(refined).options["mix"] == r.hyperparameters.mix


def test_the_regression_of_a_handful_of_records_is_not_heard(make_records, embedder):
    # What it says of a model that was asked five times is their mean; the artifacts of versions
    # that heard it all the same still do.
    rows = make_records(300)
    for row in rows[5:]:
        del row["records"]["odd"]
    rows[:5] = [{**row, "records": {**row["records"], "odd": 1}} for row in rows[:5]]
    new = fit(rows, embedder, n_clusters=4)
    old = dataclasses.replace(new, info=new.info.model_copy(update={"cells": "smooth"}))
    points = Queries(embedder.embed(["zeta delta"]), surface(["zeta delta"]))
    r = new.refinement
    line = r.linear(r.augment(points.vectors, points.surface))
    heard = []
    for artifact in (old, new):
        scorers = [make_scorer(artifact, mix=mix) for mix in (0.0, 0.5)]
        by_clusters, both = (s.features(points) @ s.score_table for s in scorers)
        heard.append(((both - by_clusters) / (line - by_clusters))[0])
    odd, good = new.models.index("odd"), new.models.index("good")
    np.testing.assert_allclose(heard[0], 0.5, atol=1e-3)
    assert heard[1][odd] < 0.2
    assert heard[1][good] > 0.45


# -- the published decisions ---------------------------------------------------------------------

ALPHAS = ("0", "0.25", "0.4", "0.53", "0.8", "1")


@pytest.fixture(scope="module")
def published(shared):
    folder = shared / "reference"
    arrays = dict(np.load(folder / "reference_uiuc9.npz"))
    return arrays, json.loads((folder / "reference_uiuc9.json").read_text())


@pytest.fixture(scope="module")
def uiuc9(shared):
    return load_records(shared / "data" / "uiuc9.jsonl.gz")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The default embedder, which looks at each query once."""
    return CachedEmbedder("wordllama", tmp_path_factory.mktemp("vectors") / "vectors.sqlite")


def test_published_centers_and_labels_give_all_10800_published_decisions(published, uiuc9):
    arrays, report = published
    by_name = {f"{r.dataset}|{r.index}": r for r in uiuc9}
    train = uiuc9.replace(by_name[name] for name in arrays["train_index"].tolist())
    outcomes = to_outcomes(train, report["models"])
    statistics = Statistics.collect(outcomes, arrays["train_labels"].astype(np.int64), 25)
    info = ArtifactInfo(embedder="wordllama/l2_supercat-256")
    artifact = RouterArtifact(
        outcomes.models, outcomes.datasets, arrays["cluster_centers"], statistics, info
    )
    options = {"top_k": report["top_k"], "beta": report["beta"]}
    router = Router(artifact, scorer="reference", **options)
    vectors = router.embed([by_name[name].query for name in arrays["test_index"].tolist()])
    compared = 0
    for alpha in ALPHAS:
        chosen = router.route_vectors(vectors, alpha=float(alpha))
        np.testing.assert_array_equal(chosen, arrays[f"decisions_{alpha}"])
        compared += len(chosen)
    assert compared == 10_800


def test_split_fit_and_evaluation_give_the_published_accuracies_and_costs(published, uiuc9, kept):
    _, report = published
    train, test = split_records(uiuc9, report["train_ratio"], report["seed"])
    artifact = fit(train, kept, n_clusters=report["n_clusters"], seed=report["seed"], refine=False)
    options = {"top_k": report["top_k"], "beta": report["beta"]}
    router = Router(artifact, kept, "reference", **options)
    found = evaluate(router, test, map(float, ALPHAS))
    for alpha in ALPHAS:
        expected, row = report["results"][alpha], found.at(float(alpha))
        assert row.dataset_mean == pytest.approx(expected["accuracy_dataset_mean"], abs=1e-12)
        assert row.query_mean == pytest.approx(expected["accuracy_query_mean"], abs=1e-12)
        assert row.total_cost == pytest.approx(expected["total_cost"], rel=1e-9)
        shares = {m: n / len(test) for m, n in expected["selection"].items()}
        assert {m: s for m, s in row.shares.items() if s} == pytest.approx(shares)


def test_calibrated_beats_both_on_held_out_records(uiuc9, kept):
    train, test = split_records(uiuc9, 0.7, 3)
    artifact = fit(train, kept, n_clusters=25, n_init=1)
    aiq = {
        name: evaluate(Router(artifact, kept, name), test, [0.5], average="query").aiq
        for name in ("calibrated", "reference", "paper")
    }
    assert aiq["calibrated"] > max(aiq["reference"], aiq["paper"]) + 0.005
