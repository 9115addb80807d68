"""Records of logs that say with what chance their model was chosen."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avengers_core import Router, fit, load_records
from avengers_core.fitting.update import LENT
from avengers_core.importers import import_records
from avengers_core.records.outcomes import LEAST_PROPENSITY, to_outcomes


def row(score=1, model="a", query="alpha", **more):
    return {"query": query, "records": {model: score}, **more}


@pytest.mark.parametrize("propensity", [1, 1.0, 0.25, 1e-9, None])
def test_chances_are_read(propensity):
    record = load_records([json.dumps(row(propensity=propensity)).encode()])[0]
    assert record.propensity == propensity


@pytest.mark.parametrize("propensity", [0, -0.1, 1.1, "0.5", True, float("nan")])
def test_what_is_no_chance_is_a_problem(propensity):
    records = load_records([row(propensity=propensity)])
    assert len(records) == 0
    assert "propensity" in records.problems[0].reason


def test_the_least_chosen_stand_for_the_others():
    records = load_records([row(propensity=p) for p in (1, 0.5, 0.001, None)])
    expected = [1, 2, 1 / LEAST_PROPENSITY, 1]
    np.testing.assert_allclose(to_outcomes(records).weights, expected)


def logged(chances):
    """Right on the short queries, which "a" was seldom asked, and wrong on the long ones."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(400):
        long = i % 2
        a_is_asked = rng.random() < (0.9 if long else 0.1)
        chance = 0.9 if long == a_is_asked else 0.1
        model, score = ("a", 1 - long) if a_is_asked else ("b", 0.5)
        own = {"propensity": chance} if chances else {}
        rows.append(row(score, model, f"alpha {'beta ' * 9 * long}{i}", **own))
    return rows


def test_scores_are_as_if_the_model_had_been_asked_all(embedder):
    def expected(rows):
        router = Router(fit(rows, embedder, n_clusters=1, refine=False), embedder)
        return {c.model: c.expected_score for c in router.route("alpha beta", alpha=1).candidates}

    assert expected(logged(chances=True))["a"] == pytest.approx(0.5, abs=0.08)
    assert expected(logged(chances=False))["a"] < 0.3


@pytest.mark.parametrize("refine", [True, False])
def test_chances_that_are_all_alike_change_nothing(make_records, embedder, refine):
    rows = make_records(60)
    plain = fit(rows, embedder, n_clusters=4, refine=refine)
    alike = fit([{**r, "propensity": 0.25} for r in rows], embedder, n_clusters=4, refine=refine)
    for alpha in (0, 0.5, 1):
        one, other = (Router(a, embedder).route("alpha beta", alpha=alpha) for a in (plain, alike))
        assert [c.model for c in one.candidates] == [c.model for c in other.candidates]
        for c, d in zip(one.candidates, other.candidates, strict=True):
            assert c[1:] == pytest.approx(d[1:], rel=1e-4)


def test_chances_that_are_alike_in_each_topic_change_nothing(embedder):
    rng = np.random.default_rng(1)
    rows, usual = [], {"easy": "a", "hard": "b"}
    for i in range(600):
        dataset = ("easy", "hard")[i % 2]
        follows = bool(rng.random() < 0.9)
        model = "a" if (usual[dataset] == "a") == follows else "b"
        chance = 0.9 if follows else 0.1
        right = rng.random() < {"easy": 0.9, "hard": 0.3}[dataset]
        rows.append(row(right, model, f"alpha {i}", dataset=dataset, propensity=chance))
    plain = [{k: v for k, v in r.items() if k != "propensity"} for r in rows]
    with_chances, without = (fit(r, embedder, n_clusters=1) for r in (rows, plain))
    assert with_chances.statistics.worth.max() < 0.5
    np.testing.assert_allclose(with_chances.beliefs.scores, without.beliefs.scores, atol=1e-9)
    assert with_chances.info.trust == without.info.trust


@pytest.fixture(scope="module")
def weighted(embedder):
    return fit(logged(chances=True), embedder, n_clusters=3)


def test_sums_with_chances_add_up_and_are_kept(weighted, embedder, tmp_path):
    rows = logged(chances=True)
    parts = [fit(part, embedder, centroids=weighted) for part in (rows[:150], rows[150:])]
    merged = parts[0].merge(parts[1])
    np.testing.assert_allclose(merged.statistics.squares, weighted.statistics.squares)
    asked = weighted.refinement.asked
    np.testing.assert_allclose(merged.refinement.asked.squares, asked.squares)
    weighted.save(tmp_path / "a")
    loaded = type(weighted).load(tmp_path / "a")
    assert loaded == weighted
    np.testing.assert_allclose(loaded.refinement.asked.squares, asked.squares)
    np.testing.assert_allclose(loaded.beliefs.scores, weighted.beliefs.scores)


def test_what_a_log_with_chances_lends_a_new_model_is_overruled_by_its_records(weighted, embedder):
    grown = weighted.add_model("new", like="b")
    for sums in (grown.statistics, grown.refinement.statistics, grown.refinement.asked):
        assert sums.n[..., -1].sum() == pytest.approx(LENT, rel=0.2)
        np.testing.assert_array_equal(sums.squares[..., -1], sums.n[..., -1])
    own = [row(1, "new", f"alpha {'beta ' * 9 * (i % 2)}{i}") for i in range(120)]
    decision = Router(grown.add_model("new", own, embedder), embedder).route("alpha beta", alpha=1)
    found = {c.model: c.expected_score for c in decision.candidates}
    assert found["b"] == pytest.approx(0.5, abs=0.1)
    assert found["new"] > 0.7


def test_where_weights_are_known_by_cluster_alone_they_are_as_before(weighted):
    arrays = weighted.refinement.arrays()
    del arrays["asked.squares"]
    r = type(weighted.refinement).from_arrays(arrays)
    found, before = r.effective().asked.n, weighted.refinement.asked.n
    np.testing.assert_allclose(found, before * r.statistics.worth[:, None])


def test_imported_results_with_a_chance_are_rows_of_their_own(tmp_path):
    table = tmp_path / "log.csv"
    table.write_text("question,llm,grade,p\nWhy?,a,1,0.25\nWhy?,b,0,0.75\nHow?,a,1,\nHow?,b,1,\n")
    mapping = {"query": "question", "model": "llm", "score": "grade", "propensity": "p"}
    records = load_records(import_records(table, mapping=mapping))
    assert [(r.propensity, len(r.scores)) for r in records] == [(0.25, 1), (0.75, 1), (None, 2)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_have_a_column_for_it(tmp_path, kind):
    columns = {"query": ["Why?", "How?"], "records.a": [1.0, 0.0], "propensity": [0.25, None]}
    file = tmp_path / f"log.{kind}"
    if kind == "csv":
        file.write_text("query,records.a,propensity\nWhy?,1,0.25\nHow?,0,\n")
    else:
        pq.write_table(pa.table(columns), file)
    assert [record.propensity for record in load_records(file)] == [0.25, None]
