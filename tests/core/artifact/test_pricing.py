"""Costs at other prices than when the records were made."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from avengers_core import Router, RouterArtifact, evaluate, fit
from avengers_core.artifact.statistics import Statistics
from avengers_core.errors import ArtifactError
from avengers_core.records.prices import Price

PRICES = {"good": (3e-6, 15e-6), "cheap": (1e-7, 4e-7, 1e-8), "odd": (0.0, 0.0)}


def with_usages(rows, keep):
    """The rows with some fields of their usages; ``keep``: (row, model) -> names of fields."""
    return [
        {
            **row,
            "usages": {
                m: {k: u[k] for k in keep(i, m) if k in u} for m, u in row["usages"].items()
            },
        }
        for i, row in enumerate(rows)
    ]


COST, TOKENS = ("cost",), ("prompt_tokens", "completion_tokens")
KEEPS = {
    "both": lambda i, m: COST + TOKENS,
    "no cost": lambda i, m: TOKENS,
    "some without cost": lambda i, m: TOKENS + COST * (i % 3 > 0),
    "some without tokens": lambda i, m: COST + TOKENS * (i % 3 > 0),
}


def costs(artifact, prompt_tokens=None, **arguments):
    router = Router(artifact, **arguments)
    query = router.embed(["alpha beta"]).with_prompt_tokens(prompt_tokens)
    return router.scorer.features(query) @ router.scorer.cost_table


@pytest.fixture(scope="module")
def fitted(make_records, embedder):
    return {
        name: fit(with_usages(make_records(80), keep), embedder, n_clusters=4)
        for name, keep in KEEPS.items()
    }


def test_costs_are_tokens_times_price(make_records, embedder, fitted):
    rows = make_records(80)
    s = fitted["both"].reprice(PRICES)
    total = s.priced(s.statistics).cost.sum(axis=0)
    for j, model in enumerate(s.models):
        used = [row["usages"][model] for row in rows]
        expected = sum(Price(*PRICES[model]).cost(u[TOKENS[0]], u[TOKENS[1]]) for u in used)
        assert total[j] == pytest.approx(expected)


@pytest.mark.parametrize("scorer", ["calibrated", "reference"])
@pytest.mark.parametrize("name", ["no cost", "some without cost"])
def test_whether_records_had_a_cost_does_not_matter(fitted, embedder, name, scorer):
    known = costs(fitted["both"].reprice(PRICES), embedder=embedder, scorer=scorer)
    found = costs(fitted[name].reprice(PRICES), embedder=embedder, scorer=scorer)
    np.testing.assert_allclose(found, known, rtol=1e-6)


@pytest.mark.parametrize("name", KEEPS)
def test_fitting_at_prices_is_repricing(make_records, embedder, fitted, name):
    rows = with_usages(make_records(80), KEEPS[name])
    assert fit(rows, embedder, n_clusters=4, prices=PRICES) == fitted[name].reprice(PRICES)


def test_costs_without_tokens_change_with_the_others(fitted, embedder):
    some = fitted["some without tokens"]
    once, twice = (
        some.reprice({m: (k * p[0], k * p[1]) for m, p in PRICES.items()}) for k in (1, 2)
    )
    np.testing.assert_allclose(costs(twice, embedder=embedder), 2 * costs(once, embedder=embedder))


def test_models_without_tokens_keep_their_costs(make_records, embedder, caplog):
    rows = with_usages(make_records(60), lambda i, m: COST if m == "good" else COST + TOKENS)
    artifact = fit(rows, embedder, n_clusters=4)
    caplog.clear()
    new = artifact.reprice({"good": (1e-6, 1e-6), "cheap": (1e-6, 1e-6)})
    assert "good" in caplog.text  # whose price says little
    assert "odd" in caplog.text  # which has none
    before, after = artifact.statistics.cost, new.priced(new.statistics).cost
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])
    assert (after[:, 1] != before[:, 1]).all()


def test_prices_are_kept_and_can_be_changed_again(fitted, tmp_path):
    new = fitted["both"].reprice(PRICES)
    new.save(tmp_path / "a")
    loaded = RouterArtifact.load(tmp_path / "a")
    assert loaded == new != fitted["both"]
    assert loaded.info.prices["cheap"] == Price(1e-7, 4e-7, 1e-8)
    assert loaded.reprice({"good": (1e-6, 2e-6)}).info.prices["cheap"].cached_input == 1e-8
    assert set(loaded.drop_models("odd").info.prices) == {"good", "cheap"}


def test_new_records_count_at_the_artifact_s_prices(make_records, embedder, fitted):
    rows = make_records(60, seed=1)
    updated = fitted["both"].reprice(PRICES).update(rows, embedder)
    assert updated == fitted["both"].update(rows, embedder).reprice(PRICES)
    day = fit(rows, embedder, centroids=fitted["both"].reprice(PRICES))
    assert fitted["both"].reprice(PRICES).merge(day) == updated


def test_artifacts_at_other_prices_do_not_merge(fitted):
    one, other = (fitted["both"].reprice({"good": (p, p)}) for p in (1e-6, 2e-6))
    with pytest.raises(ArtifactError):
        one.merge(other)
    assert one.merge(other.reprice({"good": (1e-6, 1e-6)})).n_records == 160


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_evaluation_counts_at_the_artifact_s_prices(make_records, embedder, fitted, engine):
    rows = make_records(60, seed=2)
    prices = dict.fromkeys(PRICES, (2e-6, 8e-6))
    report = evaluate(Router(fitted["both"].reprice(prices), embedder), rows, engine=engine)
    used = [row["usages"]["good"] for row in rows]
    mean = np.mean([Price(2e-6, 8e-6).cost(u[TOKENS[0]], u[TOKENS[1]]) for u in used])
    assert report.row("good").mean_cost == pytest.approx(mean)


def test_prices_that_name_nobody_are_refused(fitted):
    with pytest.raises(ArtifactError):
        fitted["both"].reprice({"other": (1e-6, 1e-6)})


@pytest.mark.parametrize(
    "price", [(-1, 1), (1,), ("1", "2"), (True, 1), (float("nan"), 1), "1", (None, 1, 1)]
)
def test_prices_that_are_none_are_refused(fitted, price):
    with pytest.raises(ValueError, match="good"):
        fitted["both"].reprice({"good": price})


def test_prices_per_million_are_noticed(fitted, caplog):
    fitted["both"].reprice({"good": (3.0, 15.0)})
    assert "million" in caplog.text


def test_models_without_a_cost_are_noticed_at_load(make_records, embedder, tmp_path, caplog):
    rows = with_usages(make_records(60), lambda i, m: () if m == "odd" else COST)
    fit(rows, embedder, n_clusters=4).save(tmp_path / "a")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        RouterArtifact.load(tmp_path / "a")
    assert "odd" in caplog.text


def test_that_no_cost_is_known_of_anybody_is_noticed_too(make_records, embedder, tmp_path, caplog):
    fit(with_usages(make_records(60), lambda i, m: ()), embedder, n_clusters=4).save(tmp_path / "a")
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    caplog.clear()
    RouterArtifact.load(tmp_path / "a")
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_the_library_knows_list_prices(make_records, embedder):
    pytest.importorskip("genai_prices")
    name = "openai/gpt-4o-mini"
    records = make_records(30, models=(name, "in-house"))
    price = fit(records, embedder, n_clusters=2, prices="genai-prices").info.prices
    assert set(price) == {name}
    assert 0 < price[name].cached_input < price[name].input < price[name].output < 1e-5


def test_sums_without_tokens_of_older_versions_are_made_up_for(fitted):
    s = fitted["both"].statistics
    new = ("n_token_cost", "token_length", "token_length_squared", *("prompt_length",))
    old = {k: v for k, v in s.arrays().items() if k not in (*new, "completion_length")}
    made = Statistics.from_arrays(old)
    np.testing.assert_allclose(made.token_length, s.token_length)
    np.testing.assert_allclose(made.prompt_length, s.prompt_length, rtol=0.3)
    with pytest.raises(TypeError):
        Statistics.from_arrays({**old, "token_length": s.token_length})


def test_a_prompt_costs_no_more_than_the_call_that_it_is_part_of(make_records, embedder):
    # A model has four records, all on long texts, and the two longest cost ten times as much: a
    # line along length would have a short one cost less than nothing.
    rows = make_records(80)
    for i, row in enumerate(rows):
        row["query"] += " alpha" * (i % 20)
    longest = sorted(rows, key=lambda row: len(row["query"]))[-4:]
    for row, cost in zip(longest, (1, 1, 10, 10), strict=True):
        row["records"]["steep"], row["usages"]["steep"] = 1, {"cost": cost}
    artifact = fit(rows, embedder, n_clusters=2)
    steep = artifact.models.index("steep")
    info = artifact.info
    older = replace(artifact, info=info.model_copy(update={"cells": "held"}))
    priced = replace(artifact, info=info.model_copy(update={"input_prices": {"steep": 3.0}}))
    new, old, given = (costs(a, embedder=embedder)[0, steep] for a in (artifact, older, priced))
    assert old < 0 < new
    # A price that is given is no estimate.
    longer = costs(priced, 9, embedder=embedder)[0, steep]
    assert longer - given == pytest.approx(3.0 * (9 - len("alpha beta") / 4), rel=1e-3)
