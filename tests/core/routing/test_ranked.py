"""Decisions as views of the rows of a ranking."""

from __future__ import annotations

import copy
import pickle

import pytest

from avengers_core import Router, fit
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.ranked import decided
from avengers_core.routing.ranking import Ranking

QUERIES = ["alpha beta gamma", "zeta delta", "nothing known"]


@pytest.fixture(scope="module")
def router(make_records, embedder):
    return Router(fit(make_records(120), embedder, n_clusters=4), embedder)


@pytest.fixture
def decisions(router):
    features = router.scorer.features(router.embed(QUERIES))
    return decided(router.engine, features, 0.4, RoutingCall.of(exclude=["good"], n=2))


def test_each_is_what_its_row_says(router, decisions):
    assert decisions == router.route_batch(QUERIES, alpha=0.4, exclude=["good"], n=2)
    for d in decisions:
        assert d.model == d.candidates[0].model
        assert d.ranking == tuple(c.model for c in d.candidates)
        assert [d.candidate(model) for model in d.ranking] == list(d.candidates)
        with pytest.raises(ValueError, match="good"):
            d.candidate("good")
        assert (d.alpha, d.scorer, d.n) == (0.4, "calibrated", 2)
        assert set(d.ineligible) == {"good"}
        assert 0 <= d.familiarity <= 1


def test_what_nobody_asks_for_is_not_written_out(decisions, monkeypatch):
    written = []

    def candidates(ranking, row):
        written.append(row)
        return whole(ranking, row)

    whole = Ranking.candidates
    monkeypatch.setattr(Ranking, "candidates", candidates)
    assert [d.model for d in decisions] != []
    assert written == []
    assert decisions[1].candidates is decisions[1].candidates
    assert written == [1]


def test_copies_and_pickles_are_written_out(decisions):
    d = decisions[0]
    for twin in (copy.copy(d), copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
        assert type(twin) is RoutingDecision
        assert twin == d
        assert twin.standard_errors == d.standard_errors
