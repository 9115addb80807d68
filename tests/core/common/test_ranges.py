"""Absurd numbers are refused, or said to be, before the work."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from avengers_core import Router, bulk, evaluate, fit, load_records
from avengers_core.collecting import collect
from avengers_core.common.ranges import check_number, check_whole
from avengers_core.embedders import CallableEmbedder, OpenAIEmbedder
from avengers_core.evaluation.studies.studies import Setting, settings_for
from avengers_core.fitting.clustering import cluster
from avengers_core.learning import learn, watch
from avengers_core.records.splitting import split_records


def unasked(_texts):
    pytest.fail("the work has begun")


NOBODY = CallableEmbedder(unasked, id="test/unasked", dim=2)
ROWS = [{"query": f"q{i}", "records": {"a": 1}} for i in range(9)]


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (lambda: fit(ROWS, NOBODY, seed=-1), "seed"),
        (lambda: fit(ROWS, NOBODY, seed=2**32), "seed"),
        (lambda: fit(ROWS, NOBODY, 2.5), "n_clusters"),
        (lambda: fit(ROWS, NOBODY, n_init=0), "n_init"),
        (lambda: bulk.fit(ROWS, NOBODY, workers=10_000), "workers"),
        (lambda: bulk.fit(ROWS, NOBODY, workers=0), "workers"),
        (lambda: split_records(load_records(ROWS), seed=-1), "seed"),
        (lambda: collect(["q"], {"m": unasked}, "exact", concurrency=100_000), "concurrency"),
        (lambda: collect(["q"], {"m": unasked}, "exact", seed=-1), "seed"),
        (lambda: collect(["q"], {"m": unasked}, "exact", max_usd=float("inf")), "max_usd"),
        (lambda: collect(["q"], {"m": unasked}, "exact", max_usd="much"), "max_usd"),
        (lambda: fit(ROWS, NOBODY, n_init=10**30), "n_init"),
        (lambda: fit(ROWS, NOBODY, scorer_options={"beta": -1}), "beta"),
        (lambda: fit(ROWS, NOBODY, scorer_options={"mix": "all"}), "mix"),
        (lambda: fit(ROWS, NOBODY, input_prices={"a": True}), "input_prices"),
        (lambda: split_records(load_records(ROWS), "half"), "train_ratio"),
        (lambda: watch("nowhere.sqlite", false_alarm=True), "false_alarm"),
        (lambda: learn("nowhere.sqlite", false_alarm=2), "false_alarm"),
        (lambda: OpenAIEmbedder("m", timeout=1e308), "timeout"),
        (lambda: OpenAIEmbedder("m", max_retries=-1), "max_retries"),
        (lambda: OpenAIEmbedder("m", batch_size=2.5), "batch_size"),
        (lambda: settings_for("beta", load_records(ROWS), Setting(), range(10**9)), "experiments"),
        (lambda: settings_for("beta", load_records(ROWS), Setting(), [-1]), "seed"),
    ],
)
def test_a_number_out_of_range_is_refused_before_the_work(work, name):
    with pytest.raises(ValueError, match=name):
        work()


def test_numbers_of_an_evaluation(toy_router, toy_rows, toy_report):
    with pytest.raises(ValueError, match="alphas"):
        evaluate(toy_router, toy_rows, (i / 1e7 for i in range(10**7)))
    for alphas in ([True], [0.5, "1"], [float("nan")]):
        with pytest.raises(ValueError, match="alpha"):
            evaluate(toy_router, toy_rows, alphas)
    with pytest.raises(ValueError, match="average"):
        evaluate(toy_router, toy_rows, average="many")
    for wrong in ({"resamples": 10**9}, {"resamples": 0}, {"level": 1.5}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            toy_report.intervals(**wrong)


def test_generators_of_seeds_count_for_every_value(toy_rows):
    made = settings_for("beta", load_records(toy_rows), Setting(), iter([1, 2]), [1.0, 2.0])
    assert [(s.value, s.seed) for s in made] == [(1.0, 1), (1.0, 2), (2.0, 1), (2.0, 2)]


def test_more_clusters_than_queries_are_said_to_be_too_many_before_the_work(caplog):
    said = []

    def embed(texts):
        said.append(caplog.text)
        return np.array([[1.0, int(t[1:])] for t in texts])

    artifact = fit(ROWS, CallableEmbedder(embed, id="test/e", dim=2), 100_000, refine=False)
    assert artifact.n_clusters == len(ROWS)
    assert "only 9 distinct queries" in said[0]
    assert caplog.text.count("distinct") == 1


def test_much_work_is_said_to_be_before_it(caplog, monkeypatch):
    monkeypatch.setattr("avengers_core.fitting.plan._MUCH", 9 * 4 * 9)
    embedder = CallableEmbedder(lambda t: np.eye(9)[: len(t)], id="test/eye", dim=9)

    def told():
        return [r for r in caplog.records if "k-means" in r.getMessage()]

    for n_init in (9, 10):
        assert not told()
        fit(ROWS, embedder, 4, n_init=n_init, refine=False)
    (record,) = told()
    assert record.args == (10, 9, 4)
    assert record.levelno == logging.WARNING


def test_a_cluster_for_each_of_many_vectors_takes_no_search():
    vectors = np.arange(5000, dtype=np.float32).repeat(2).reshape(-1, 2) % 4000
    assert cluster(vectors, 10**9, 0, 10**9).tolist() == vectors[:4000].tolist()


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 0, 4])
def test_what_is_no_whole_number_in_the_range(value):
    with pytest.raises(ValueError, match=r"\bn\b.*\b1\b.*\b3\b"):
        check_whole("n", value, 1, 3)
    check_whole("n", np.int64(3), 1, 3)


@pytest.mark.parametrize("value", [True, "1", b"1", None, 1j, float("nan"), -1, 1.5, [1]])
def test_what_is_no_number_in_the_range(value):
    with pytest.raises(ValueError, match=r"\bx\b.*\[0, 1\]"):
        check_number("x", value, 0, 1)
    for good in (0, 1, 0.5, np.float32(1), np.int64(0)):
        check_number("x", good, 0, 1)


def test_a_number_as_text_is_told_to_be_one():
    with pytest.raises(ValueError, match=r"text '0\.9'"):
        check_number("alpha", "0.9", 0, 1)


def test_ends_that_are_not_inside():
    inside = {"least": [1], "most": [0], "both": [], "": [0, 1]}
    for which, accepted in inside.items():
        for end in (0, 1):
            if end in accepted:
                check_number("x", end, 0, 1, inside=which)
            else:
                with pytest.raises(ValueError, match=r"\bx\b.*[\[(]0, 1[\])]"):
                    check_number("x", end, 0, 1, inside=which)
    with pytest.raises(ValueError, match=r"\bx\b.*\b0\b.*\b0\b"):
        check_number("x", 0, inside="least")
    with pytest.raises(ValueError, match=r"\bx\b.*\binf\b"):
        check_number("x", float("inf"))


ABSURD = (-1, float("nan"), True, "many", [1])
NAMES = (
    *("n", "top_k", "beta", "alpha", "min_score", "min_support", "min_familiarity", "max_cost"),
    *("target_saving", "target_score", "target_cost", "performance_weight", "prompt_tokens"),
)


@pytest.mark.parametrize("name", NAMES)
def test_absurd_numbers_of_a_router(toy_router, name):
    def work(value):
        if name in ("beta", "top_k"):
            Router(toy_router.artifact, toy_router.embedder, "reference", **{name: value})
        else:
            toy_router.route("q", **{name: value})

    for value in ABSURD:
        with pytest.raises(ValueError, match=name):
            work(value)


@pytest.mark.parametrize("value", [-1, "many", {"a": -1}, {"a": True}, {"a": float("inf")}])
def test_absurd_numbers_of_cached_tokens(toy_router, value):
    with pytest.raises(ValueError, match="cached_tokens"):
        toy_router.route("q", cached_tokens=value)


def test_workers_where_one_process_does_the_work_are_refused():
    for engine in ("memory", "serial"):
        with pytest.raises(ValueError, match="workers"):
            bulk.fit(ROWS, NOBODY, engine=engine, workers=2)


def test_prices_of_nobody_are_said_to_be(caplog):
    embedder = CallableEmbedder(lambda t: np.eye(9)[: len(t)], id="test/eye", dim=9)
    known = {"prices": {"a": (1e-6, 1e-6)}, "input_prices": {"a": 1e-6}}
    fit(ROWS, embedder, 2, refine=False, **known)
    assert "name" not in caplog.text
    unknown = {"prices": {"b": (1e-6, 1e-6)}, "input_prices": {"c": 1e-6}}
    fit(ROWS, embedder, 2, refine=False, **unknown)
    assert "prices name none of the models 'a'" in caplog.text.replace("[", "").replace("]", "")
    assert "'c'" in caplog.text
