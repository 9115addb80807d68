"""From records to an artifact."""

from __future__ import annotations

import asyncio
import json
import logging

import numpy as np
import pytest

from avengers_core import (
    ArtifactError,
    EmbedderMismatchError,
    RecordError,
    Router,
    RouterArtifact,
    bulk,
    fit,
    load_records,
)
from avengers_core.artifact.statistics import Statistics
from avengers_core.embedders import CallableEmbedder
from avengers_core.fitting import fit as module
from avengers_core.fitting.probing import probe
from avengers_core.fitting.update import collect, update
from avengers_core.scanning.sampling import rank


def arrays(artifact):
    found = {"centroids": artifact.centroids, **artifact.statistics.arrays()}
    refined = artifact.refinement.arrays() if artifact.refinement else {}
    return {**found, **{f"refinement.{k}": v for k, v in refined.items()}}


def assert_close(one, other, tolerance=1e-9):
    assert one.models == other.models
    assert one.datasets == other.datasets
    for name, values in arrays(one).items():
        np.testing.assert_allclose(values, arrays(other)[name], atol=tolerance, err_msg=name)


def test_the_statistics_are_what_a_loop_over_the_records_gives(make_records, embedder):
    rows = make_records(80)
    artifact = fit(rows, embedder, n_clusters=4)
    vectors = embedder.embed([r["query"] for r in rows])
    distance = ((vectors[:, None, :] - artifact.centroids[None]) ** 2).sum(axis=2)
    expected = Statistics.zeros(4, 3, 2)
    for row, c in zip(rows, distance.argmin(axis=1), strict=True):
        length = len(row["query"].encode())
        expected.topics[c, artifact.datasets.index(row["dataset"])] += 1
        expected.query_length[c] += length
        for j, model in enumerate(artifact.models):
            usage = row["usages"][model]
            expected.n[c, j] += 1
            expected.squares[c, j] += 1
            expected.score[c, j] += row["records"][model]
            expected.n_cost[c, j] += 1
            expected.cost[c, j] += usage["cost"]
            expected.n_tokens[c, j] += 1
            expected.prompt_tokens[c, j] += usage["prompt_tokens"]
            expected.completion_tokens[c, j] += usage["completion_tokens"]
            expected.n_token_cost[c, j] += 1
            expected.token_cost[c, j] += usage["cost"]
            expected.token_length[c, j] += length
            expected.token_length_squared[c, j] += length**2
            expected.prompt_length[c, j] += length * usage["prompt_tokens"]
            expected.completion_length[c, j] += length * usage["completion_tokens"]
            expected.length[c, j] += length
            expected.length_squared[c, j] += length**2
            expected.length_cost[c, j] += length * usage["cost"]
    for name, values in expected.arrays().items():
        np.testing.assert_allclose(artifact.statistics.arrays()[name], values, err_msg=name)


def test_the_same_input_gives_the_same_bytes(make_records, embedder):
    one, other = (fit(make_records(200), embedder, n_clusters=10) for _ in range(2))
    assert one.checksum == other.checksum
    assert one == other
    assert fit(make_records(200), embedder, n_clusters=10, seed=1) != one


def test_the_same_bytes_where_the_clustering_is_parallel():
    # Many vectors of many dimensions: scikit-learn's threads each take a part.
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1500, 64)).astype(np.float32)
    embedder = CallableEmbedder(
        lambda texts: table[[int(t.split()[-1]) for t in texts]], id="test/table", dim=64
    )
    rows = [{"query": f"q {i}", "records": {"a": i % 2, "b": i % 3 % 2}} for i in range(1500)]
    one, other = (fit(rows, embedder, n_clusters=20, n_init=1) for _ in range(2))
    assert one.checksum == other.checksum


def test_fewer_distinct_queries_than_clusters(make_records, embedder, caplog):
    rows = [{**r, "query": f"word{i % 3}"} for i, r in enumerate(make_records(30))]
    artifact = fit(rows, embedder, n_clusters=10)
    assert artifact.n_clusters == 3
    assert artifact.n_records == 30
    assert caplog.text.count("only 3 distinct queries, so 3 clusters, not 10") == 1


def test_different_texts_with_one_vector(make_records):
    same = CallableEmbedder(lambda texts: np.ones((len(texts), 4)), id="test/same", dim=4)
    artifact = fit(make_records(20), same, n_clusters=5)
    assert artifact.n_clusters == 1
    assert artifact.n_records == 20


def test_one_record(embedder):
    artifact = fit([{"query": "q", "records": {"a": 1, "b": 0}}], embedder)
    assert artifact.n_clusters == 1
    assert Router(artifact, embedder).route("q").model == "a"


def test_one_model(make_records, embedder):
    artifact = fit(make_records(models=("only",)), embedder, n_clusters=2)
    assert Router(artifact, embedder).route("alpha", alpha=0.3).model == "only"


def test_a_model_without_costs_is_only_eligible_at_alpha_1(make_records, embedder, caplog):
    rows = make_records()
    for row in rows:
        del row["usages"]["odd"]
    artifact = fit(rows, embedder, n_clusters=2)
    assert "no record has a cost of ['odd']" in caplog.text
    router = Router(artifact, embedder)
    assert "its cost is unknown" in router.route("alpha", alpha=0.9).ineligible["odd"]
    assert not router.route("alpha", alpha=1).ineligible


def test_no_costs_at_all(make_records, embedder, caplog):
    rows = [{**r, "usages": {}} for r in make_records()]
    router = Router(fit(rows, embedder, n_clusters=2), embedder)
    decision = router.route("alpha", alpha=0.2)
    assert decision.expected_cost is None
    assert len(decision.candidates) == 3
    assert "scores alone decide" in caplog.text


def test_an_empty_cluster_does_not_vote(make_records, embedder):
    far = np.vstack([fit(make_records(), embedder, n_clusters=2).centroids, -np.ones(8) / 8**0.5])
    artifact = fit(make_records(), embedder, centroids=far)
    assert artifact.statistics.size.tolist()[2] == 0
    for scorer in ("calibrated", "reference", "paper"):
        votes = Router(artifact, embedder, scorer=scorer).route("alpha beta").clusters
        assert 2 not in [v.cluster for v in votes]


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        ([], {}, (RecordError, "records")),
        ([{"query": "q"}], {}, (RecordError, r"\b1 row ")),
        ([{"query": "q", "records": {"a": None}}], {}, (RecordError, r"\['a'\]")),
        (
            None,
            {"n_clusters": 0},
            (ValueError, r"n_clusters.*\b0\b"),
        ),
        (None, {"n_init": 0}, (ValueError, r"n_init.*\b0\b")),
        (None, {"models": ["nobody"]}, (RecordError, r"\['nobody'\]")),
        (None, {"scorer": "best"}, (ValueError, "'best'")),
        (None, {"scorer_options": {"top_k": 3}}, (ValueError, r"\['top_k'\]")),
        (None, {"input_prices": {"good": -1.0}}, (ValueError, r"input_prices.*\b0\b.*-1\.0")),
        (None, {"centroids": np.ones((2, 3))}, (ArtifactError, r"\(clusters, 8\).*\(2, 3\)")),
        (None, {"centroids": "artifact/"}, (ArtifactError, r"load.*'artifact/'")),
        (None, {"centroids": [[1.0], [1.0, 2.0]]}, (ArtifactError, "shape")),
    ],
)
def test_what_can_not_be_fitted(make_records, embedder, rows, options, expected):
    error, message = expected
    with pytest.raises(error, match=message):
        fit(make_records() if rows is None else load_records(rows), embedder, **options)


def test_queries_none_of_which_can_be_embedded(make_records):
    def short(texts):
        if max(map(len, texts)) > 5:
            raise ValueError("too long")
        return np.ones((len(texts), 2))

    with pytest.raises(RecordError, match=r"none of 60 queries.*too long"):
        fit(make_records(60), short)


def test_a_text_without_a_known_word_that_looks_like_all_others():
    """Its vector is zero, and so are its surface features, as they differ from the usual ones."""
    rows = [
        {"query": q, "records": {"a": i % 2, "b": 0}, "usages": {"a": {"cost": 0.1}}}
        for i, q in enumerate(["red cat", "big dog", "fat pig", "sad cow"] * 20)
    ]
    router = Router(fit(rows, "tfidf", n_clusters=2))
    decision = router.route("wet hen", alpha=1.0)
    assert decision.expected_score == pytest.approx(0.5, abs=0.1)
    assert decision.candidates[0].support == pytest.approx(1)


def test_a_model_that_nobody_knows_does_not_score_zero(make_records, embedder):
    records = load_records(make_records(), missing="zero")
    with pytest.raises(RecordError, match=r"\['nobody'\]"):
        fit(records, embedder, models=["good", "nobody"])


def test_models_can_be_chosen_and_ordered(make_records, embedder):
    artifact = fit(make_records(), embedder, n_clusters=2, models=["odd", "good"])
    assert artifact.models == ("odd", "good")


def test_arguments_of_no_effect_beside_centroids_are_told(make_records, embedder, caplog):
    rows = make_records(20)
    base = fit(rows, embedder, n_clusters=2, seed=7)
    given = {"n_clusters": 5, "seed": 3, "n_init": 2}

    def told(**options):
        caplog.clear()
        fit(rows, embedder, **options)
        return [name for name in given if any(name in text for text in caplog.messages)]

    assert told(centroids=base, **given) == list(given)
    assert told(centroids=base, n_init=2) == ["n_init"]
    assert told(centroids=base.centroids, refine=False, seed=3) == ["seed"]
    assert told(centroids=base.centroids, **given) == ["n_init"]
    assert told(centroids=base) == told(n_init=2, n_clusters=2) == []


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_the_size_of_parts_where_there_are_none(make_records, embedder, caplog, engine, tmp_path):
    rows, options = make_records(20), {"n_clusters": 2, "engine": engine, "part_bytes": 5000}
    fit(rows, embedder, **options)
    assert any("part_bytes" in text for text in caplog.messages)
    caplog.clear()
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fit(file, embedder, **options)
    assert bool(caplog.messages) is (engine == "memory")
    for size in (0, -1, 1.5, True, float("nan")):
        with pytest.raises(ValueError, match="part_bytes"):
            fit(file, embedder, engine=engine, part_bytes=size)


def test_centroids_of_another_artifact(make_records, embedder):
    base = fit(make_records(60, seed=1), embedder, n_clusters=3)
    other = fit(make_records(60, seed=2), embedder, centroids=base)
    np.testing.assert_array_equal(base.centroids, other.centroids)
    assert other.refinement.same_space(base.refinement)
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match=r"test/words.*test/foreign"):
        fit(make_records(), foreign, centroids=base)


def test_tfidf_lives_in_the_artifact(make_records, tmp_path):
    artifact = fit(make_records(), "tfidf", n_clusters=2)
    artifact.save(tmp_path)
    loaded = RouterArtifact.load(tmp_path)
    assert Router(loaded).route("alpha beta") == Router(artifact).route("alpha beta")


def test_without_refinement_it_is_smaller(make_records, embedder):
    plain = fit(make_records(), embedder, n_clusters=2, refine=False)
    assert plain.refinement is None
    assert plain.nbytes < fit(make_records(), embedder, n_clusters=2).nbytes


def test_beyond_the_sample_clusters_come_from_the_sample(make_records, embedder, monkeypatch):
    rows = make_records(300)
    monkeypatch.setattr(module, "MAX_SAMPLE", 100)
    artifact = fit(rows, embedder, n_clusters=4)
    assert artifact.n_records == 300
    ranks = [rank(r["query"], r["dataset"], 42) for r in rows]
    sample = [rows[i] for i in sorted(np.argsort(ranks)[:100])]
    np.testing.assert_array_equal(artifact.centroids, fit(sample, embedder, n_clusters=4).centroids)


# -- growing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("refine", [True, False])
def test_parts_add_up_to_the_whole(make_records, embedder, refine):
    rows = make_records(120)
    whole = fit(rows, embedder, n_clusters=5, refine=refine)
    parts = [fit(part, embedder, centroids=whole) for part in (rows[:17], rows[17:60], rows[60:])]
    assert_close(parts[0].merge(*parts[1:]), whole)
    assert_close(parts[0].update(rows[17:], embedder), whole)
    assert_close(collect(whole, rows, embedder).artifact, whole)


def test_updates_keep_the_rule_for_missing_results(make_records, embedder):
    rows = make_records(60)
    for i, row in enumerate(rows):
        if i % 3 == 0:
            row["records"]["odd"] = None
        if i >= 30:
            del row["records"]["cheap"]
    whole = fit(load_records(rows, missing="zero"), embedder, n_clusters=3)
    first = fit(load_records(rows[:30], missing="zero"), embedder, centroids=whole)
    assert_close(first.update(rows[30:], embedder), whole)
    assert first.update(rows[30:], embedder).statistics.n.sum() == 3 * 60


def test_vectors_of_another_length_are_refused(make_records, embedder):
    base = fit(make_records(), embedder, n_clusters=3)
    longer = CallableEmbedder(lambda t: np.ones((len(t), 9)), id="test/words")
    message = r"\b9\b.*\b8\b"
    for attempt in (
        lambda: base.update(make_records(), longer),
        lambda: fit(make_records(), longer, centroids=base),
        lambda: Router(base, longer).route("alpha"),
        lambda: Router(base, longer).route_batch(["alpha", ""]),
        lambda: Router(base, longer).embed(["alpha"]),
        lambda: asyncio.run(Router(base, longer).aroute("alpha")),
    ):
        with pytest.raises(EmbedderMismatchError, match=message):
            attempt()


def test_parts_with_other_models_and_datasets_add_up(make_records, embedder):
    first = make_records(40, models=("a", "b"))
    second = [{**r, "dataset": "new"} for r in make_records(40, seed=1, models=("c", "b"))]
    whole = fit([*first, *second], embedder, n_clusters=3)
    one, two = (fit(part, embedder, centroids=whole) for part in (first, second))
    assert_close(one.merge(two), whole)


@pytest.mark.parametrize("missing", ["skip", "zero"])
def test_a_model_that_only_some_parts_know_is_missing_in_the_others(
    make_records, embedder, missing
):
    rows = [make_records(30, seed=s, models=m) for s, m in enumerate(("ab", "cb", "d"))]
    everything = load_records([*rows[0], *rows[1], *rows[2]], missing=missing)
    whole = fit(everything, embedder, n_clusters=3)
    parts = [load_records(part, missing=missing) for part in rows]
    one, two, three = (fit(part, embedder, centroids=whole) for part in parts)
    assert_close(one.merge(two, three), whole)
    assert_close(one.merge(two).update(rows[2], embedder), whole)
    assert whole.statistics.n.sum() == {"skip": 30 * 5, "zero": 90 * 4}[missing]


def test_a_day_on_which_a_model_has_no_result_is_added(make_records, embedder, tmp_path):
    day = [{**r, "records": {**r["records"], "odd": None}} for r in make_records(30, seed=1)]
    whole = fit([*make_records(), *day], embedder, n_clusters=3)
    base = fit(make_records(), embedder, centroids=whole)
    assert_close(base.update(day, embedder), whole)
    assert_close(base.merge(fit(day, embedder, centroids=whole)), whole)
    nothing = [{**r, "records": dict.fromkeys(r["records"])} for r in day]
    grown = base.update(nothing, embedder)
    assert (grown.n_records, grown.n_unanswered) == (base.n_records, 30)
    np.testing.assert_array_equal(grown.statistics.n, base.statistics.n)
    file = tmp_path / "day.jsonl"
    file.write_text("\n".join(map(json.dumps, day)))
    added = bulk.fit(file, embedder, centroids=whole, engine="serial").artifact
    assert_close(base.merge(added), whole)


def test_missing_results_must_mean_the_same_to_be_added(make_records, embedder):
    zero = fit(load_records(make_records(), missing="zero"), embedder, n_clusters=3)
    skip = fit(make_records(), embedder, centroids=zero)
    with pytest.raises(ArtifactError, match=r"missing=.*'zero'.*'skip'"):
        zero.merge(skip)


def test_prices_are_merged_and_must_agree(make_records, embedder):
    first = make_records(30, models=("a", "b"))
    whole = fit(first, embedder, n_clusters=3, input_prices={"a": 1e-6})
    other = fit(
        make_records(30, models=("c",)), embedder, centroids=whole, input_prices={"c": 2e-6}
    )
    assert whole.merge(other).info.input_prices == {"a": 1e-6, "c": 2e-6}
    assert other.merge(whole).info.input_prices == {"a": 1e-6, "c": 2e-6}
    assert whole.merge(other).drop_models(["c"]).info.input_prices == {"a": 1e-6}
    costlier = fit(first, embedder, centroids=whole, input_prices={"a": 3e-6})
    with pytest.raises(ArtifactError, match=r"input_prices.*\['a'\]"):
        whole.merge(costlier)


def test_the_embedder_may_be_given_as_to_fit(make_records):
    def words(texts):
        return [[float(len(t)), float(t.count("a")), 1.0] for t in texts]

    base = fit(make_records(40), words, n_clusters=3)
    assert base.update(make_records(40, seed=1), words).n_records == 80
    with pytest.raises(EmbedderMismatchError, match="'wordllama/"):
        base.update(make_records(40), "wordllama")


def test_a_model_is_added_to_an_artifact_in_which_missing_is_zero(make_records, embedder):
    base = fit(load_records(make_records(100), missing="zero"), embedder, n_clusters=4)
    grown = base.add_model("new", make_records(50, seed=9, models=("new",)), embedder)
    assert grown.statistics.n[:, -1].sum() == 50  # it was not run on the hundred
    assert_close(grown.drop_models(["new"]), base)


def test_a_model_is_added_without_touching_the_others(make_records, embedder):
    base = fit(make_records(100), embedder, n_clusters=4)
    extra = [{**r, "records": {**r["records"], "new": 1}} for r in make_records(50, seed=9)]
    grown = base.add_model("new", extra, embedder)
    assert grown.models == (*base.models, "new")
    assert grown.n_records == base.n_records
    assert_close(grown.drop_models(["new"]), base)
    assert grown.statistics.n[:, 3].sum() == 50
    with pytest.raises(ArtifactError, match="'other'"):
        base.add_model("other", extra, embedder)


def test_what_does_not_fit_together_is_refused(make_records, embedder):
    base = fit(make_records(), embedder, n_clusters=3)
    other = fit(make_records(seed=5), embedder, n_clusters=3)
    with pytest.raises(ArtifactError, match="centroids"):
        base.merge(other)
    plain = fit(make_records(), embedder, n_clusters=3, refine=False)
    with pytest.raises(ArtifactError, match=r"refinement|centroids"):
        fit(make_records(), embedder, centroids=base.centroids, refine=False).merge(base)
    assert plain.refinement is None
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match="'test/words'"):
        base.update(make_records(), foreign)
    with pytest.raises(ArtifactError, match="nobody"):
        base.drop_models(["nobody"])
    with pytest.raises(ArtifactError):
        base.drop_models(base.models)


def test_nothing_is_logged_on_an_ordinary_fit(make_records, embedder, caplog):
    with caplog.at_level(logging.WARNING):
        fit(make_records(), embedder, n_clusters=3)
    assert not caplog.records


def test_without_records_the_first_reason_is_given():
    with pytest.raises(RecordError, match=r"\b2 rows.*line 1: .*score"):
        fit([{"query": "q", "records": {"m": 2}}, {"query": "q"}], "tfidf")


def test_few_distinct_queries_are_told_once(embedder, caplog):
    rows = [
        {"query": f"word{i % 60} text{i % 60}", "records": {"a": i % 2, "b": 1}} for i in range(120)
    ]
    fit(rows, embedder, n_clusters=100)
    assert caplog.text.count("distinct queries") == 1


@pytest.mark.parametrize("models", ["good", "", [], ()])
def test_models_that_are_no_list_or_name_none_are_refused(make_records, models):
    with pytest.raises(ValueError, match="models"):
        fit(make_records(40), "tfidf", 2, models=models)


@pytest.mark.parametrize("given", ["a folder", None, 3])
def test_what_is_no_artifact_is_refused_by_its_class(make_records, given):
    artifact = fit(make_records(40), "tfidf", 2)
    for use in (update, probe):
        with pytest.raises(TypeError, match="RouterArtifact"):
            use(given, make_records(40))
    with pytest.raises(TypeError, match="RouterArtifact"):
        artifact.merge(given)
