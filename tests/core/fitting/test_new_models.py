"""Models without a past: taken after a like one, and what to ask them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from avengers_core import Router, RouterArtifact, fit, load_records
from avengers_core.errors import ArtifactError
from avengers_core.fitting.probing import teaching

LIKE = {"price": (1e-6, 4e-6)}


@pytest.fixture(scope="module")
def artifact(make_records, embedder):
    return fit(make_records(200), embedder, n_clusters=4)


def expected(artifact, embedder, query="alpha beta", **options):
    router = Router(artifact, embedder, **options)
    return {c.model: c for c in router.route(query, alpha=1).candidates}


@pytest.mark.parametrize("scorer", ["calibrated", "reference"])
def test_a_new_model_is_expected_to_be_as_the_one_it_is_like(artifact, embedder, scorer):
    grown = artifact.add_model("new", like="good")
    assert grown.models == (*artifact.models, "new")
    for query in ("alpha beta", "zeta delta epsilon"):
        found = expected(grown, embedder, query, scorer=scorer)
        assert found["new"].expected_score == pytest.approx(found["good"].expected_score, abs=0.07)
        assert found["new"].expected_cost == pytest.approx(found["good"].expected_cost, rel=0.1)


def test_what_is_inferred_is_no_support_and_no_record(artifact, embedder):
    grown = artifact.add_model("new", like="good")
    found = expected(grown, embedder)
    assert found["new"].support == 0 < found["good"].support
    assert grown.n_records == artifact.n_records
    before = expected(artifact, embedder)
    for model, c in before.items():
        assert found[model].expected_score == pytest.approx(c.expected_score, abs=0.05)


def test_records_overrule_what_was_inferred(artifact, embedder, make_records):
    rows = [{**r, "records": {"new": 1}, "usages": {}} for r in make_records(600, seed=5)]
    grown = artifact.add_model("new", like="good")
    scores = [expected(grown, embedder)["new"].expected_score]
    for n in (60, 600):
        more = grown.add_model("new", rows[:n], embedder)
        scores.append(expected(more, embedder)["new"].expected_score)
    assert scores == sorted(scores)
    assert scores[-1] > 0.85
    assert expected(more, embedder)["new"].support > 0.5
    at_once = artifact.add_model("new", rows, embedder, like="good")
    assert at_once == more


@pytest.mark.parametrize("dataset", [{}, {"dataset": "asked apart"}])
def test_records_of_no_topic_of_the_others_overrule_it_too(
    artifact, embedder, make_records, dataset
):
    rows = make_records(200, seed=5)
    graded = [{"query": row["query"], "records": {"new": 0}, **dataset} for row in rows]
    grown = artifact.add_model("new", like="good").add_model("new", graded, embedder)
    of_topics = [{**row, "dataset": r["dataset"]} for row, r in zip(graded, rows, strict=True)]
    known = artifact.add_model("new", like="good").add_model("new", of_topics, embedder)
    for query in ("alpha beta", "zeta delta epsilon"):
        found = expected(grown, embedder, query)["new"].expected_score
        assert found < expected(artifact, embedder, query)["good"].expected_score / 2
        assert found == pytest.approx(
            expected(known, embedder, query)["new"].expected_score, abs=0.05
        )


@pytest.mark.parametrize("dataset", [{}, {"dataset": "asked apart"}])
def test_records_of_a_new_model_mean_the_same_added_or_in_an_update(
    embedder, make_records, dataset
):
    rows = [{**r, "records": {**r["records"], "good": 1}} for r in make_records(200)]
    grown = fit(rows, embedder, n_clusters=4).add_model("new", like="good")
    graded = [{"query": row["query"], "records": {"new": 0}, **dataset} for row in rows]
    added, updated = grown.add_model("new", graded, embedder), grown.update(graded, embedder)
    for query in ("alpha beta", "zeta delta epsilon"):
        one, other = (expected(a, embedder, query) for a in (added, updated))
        assert one["new"].expected_score < 0.4
        assert one["good"].expected_score > 0.9
        for model in grown.models:
            assert one[model].expected_score == pytest.approx(other[model].expected_score, abs=0.03)


def test_the_price_of_a_new_model(artifact, embedder):
    half, whole = (
        artifact.reprice({"good": (2e-6, 2e-6)}).add_model("new", like="good", price=price)
        for price in ((1e-6, 1e-6, 1e-7), None)
    )
    assert half.info.prices["new"].cached_input == 1e-7
    assert whole.info.prices["new"] == whole.info.prices["good"]
    costs = [expected(a, embedder)["new"].expected_cost for a in (half, whole)]
    assert costs[1] == pytest.approx(2 * costs[0], rel=0.02)


def test_the_like_model_may_go(artifact, embedder, tmp_path):
    grown = artifact.add_model("new", like="good", **LIKE)
    alone = grown.drop_models("good")
    assert expected(alone, embedder)["new"].support == 0
    alone.save(tmp_path / "a")
    loaded = RouterArtifact.load(tmp_path / "a")
    assert loaded == alone
    np.testing.assert_array_equal(loaded.statistics.inferred, alone.statistics.inferred)


def test_an_artifact_with_inference_is_updated_and_merged(artifact, embedder, make_records):
    grown = artifact.add_model("new", like="good")
    rows = make_records(50, seed=3, models=("good", "new"))
    updated = grown.update(rows, embedder)
    np.testing.assert_allclose(updated.statistics.inferred, grown.statistics.inferred)
    assert updated.statistics.n.sum() == pytest.approx(grown.statistics.n.sum() + 100)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "new"}, ValueError),
        ({"model": "new", "like": "nobody"}, ArtifactError),
        ({"model": "good", "like": "cheap"}, ArtifactError),
        ({"model": "new", "like": "good", "price": (1,)}, ValueError),
    ],
)
def test_what_cannot_be_added(artifact, arguments, error):
    with pytest.raises(error):
        artifact.add_model(**arguments)


def test_queries_that_teach_most_are_spread_as_the_queries_are(artifact, embedder, make_records):
    records = load_records(make_records(300, seed=8) + make_records(20, seed=8))
    chosen = artifact.probe(records, 40, embedder)
    assert len({r.query for r in chosen}) == 40
    assert {r.query for r in chosen} <= {r.query for r in records}
    labels, asked = (
        Counter(artifact.assign(embedder.embed([r.query for r in part])).tolist())
        for part in (records, chosen)
    )
    for cluster, count in labels.items():
        assert asked[cluster] >= 1 or count < len(records) / 20
    assert artifact.probe(records, 10, embedder)[9] == chosen[9]
    assert len(artifact.probe(records, 5000, embedder)) == len({r.query for r in records})


def test_what_is_asked_first_is_what_most_queries_are_like(artifact, embedder):
    queries = ["zeta delta epsilon", *(f"alpha beta gamma {i}" for i in range(30))]
    assert teaching(artifact, queries, 1, embedder) != [0]


@pytest.mark.parametrize(("queries", "n"), [([], 5), (["alpha"], 0), (["alpha"], 1.5)])
def test_nothing_to_choose(artifact, embedder, queries, n):
    with pytest.raises(ValueError, match=r"n must|no queries"):
        teaching(artifact, queries, n, embedder)
