"""Eligibility: each limit, its reason, and how far a model is from the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core.errors import NoEligibleModelError
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.eligibility import Eligibility, Fault, nobody

MODELS = ("a", "b", "c")
NAN = float("nan")


def limits(*, needs_cost=True, unavailable=None, **policy):
    call = RoutingCall.of(unavailable=unavailable, **policy)
    return eligibility_of(call, needs_cost=needs_cost, all_priced=False, least_support=0.0)


def eligibility_of(call, **known):
    return Eligibility(call, MODELS, min_support=0.5, knows_familiarity=True, **known)


def one(value):
    return np.array([[value]], dtype=np.float32)


def fault(eligibility, score=0.5, cost=0.01, support=1.0):
    """The fault of a model that is not ruled out by its name."""
    return Fault(eligibility.codes(one(score), one(cost), one(support))[0, 0])


def test_who_is_out_whatever_the_query():
    assert not limits().ruled_out.any()
    assert limits(models=["b"]).ruled_out.tolist() == [True, False, True]
    assert limits(models=[]).ruled_out.all()
    both = limits(models=["a", "b"], exclude=["b"], unavailable={"a": "no key", "z": "no"})
    everyone = np.full((2, 3), 0.5)
    codes = both.codes(everyone, everyone, everyone)
    assert codes.tolist() == [[Fault.UNAVAILABLE, Fault.EXCLUDED, Fault.NOT_ALLOWED]] * 2
    words = [both.explain(m, code, 0.5, 0.5, 0.5) for m, code in zip(MODELS, codes[0], strict=True)]
    assert words[0] == "no key"
    assert "exclude=" in words[1]
    assert "models=" in words[2]


@pytest.mark.parametrize(
    ("given_limits", "found", "expected", "values"),
    [
        ({}, {}, Fault.NONE, ()),
        ({}, {"support": 0.49}, Fault.LITTLE_SUPPORT, ("49%",)),
        ({}, {"support": 0.5}, Fault.NONE, ()),
        ({"min_support": 0.3}, {"support": 0.4}, Fault.NONE, ()),
        ({"min_support": 0.9}, {"support": 0.8}, Fault.LITTLE_SUPPORT, ("80%",)),
        ({"min_support": 0}, {"support": 0.0}, Fault.NONE, ()),
        ({"max_cost": 0.009}, {}, Fault.OVER_MAX_COST, ("$0.01", "max_cost=0.009")),
        ({"max_cost": 0.01}, {}, Fault.NONE, ()),
        # What single precision makes of 0.01 and 0.5.
        ({"max_cost": 0.01}, {"cost": 0.010000000707805157}, Fault.NONE, ()),
        ({"min_score": 0.5}, {"score": 0.4999999701976776}, Fault.NONE, ()),
        ({"min_score": 0.6}, {}, Fault.UNDER_MIN_SCORE, ("0.500", "min_score=0.6")),
        ({}, {"cost": NAN}, Fault.UNKNOWN_COST, ("alpha=1",)),
        ({"needs_cost": False}, {"cost": NAN}, Fault.NONE, ()),
        ({"max_cost": 1}, {"cost": NAN}, Fault.UNLIMITED_COST, ("max_cost=1",)),
        ({"needs_cost": False, "min_score": 0.6}, {"cost": NAN}, Fault.UNDER_MIN_SCORE, ("0.6",)),
        ({"max_cost": 0}, {"cost": 0.0}, Fault.NONE, ()),
        # Of several faults, the one that no limit can help.
        (
            {"max_cost": 1, "min_score": 0.9},
            {"score": 0.1, "cost": 9.0, "support": 0.0},
            Fault.LITTLE_SUPPORT,
            (),
        ),
        ({"max_cost": 1, "min_score": 0.9}, {"score": 0.1, "cost": 9}, Fault.OVER_MAX_COST, ()),
    ],
)
def test_who_is_out_for_a_query(given_limits, found, expected, values):
    eligibility = limits(**given_limits)
    found = {"score": 0.5, "cost": 0.01, "support": 1.0, **found}
    code = fault(eligibility, **found)
    assert code == expected
    cost = None if math.isnan(found["cost"]) else found["cost"]
    if expected:
        words = eligibility.explain("a", code, found["score"], cost, found["support"])
        assert all(value in words for value in values)


def test_limits_that_rule_nobody_out_are_known_to():
    def of(**policy):
        call = RoutingCall.of(**policy)
        return eligibility_of(call, needs_cost=True, all_priced=True, least_support=0.6)

    assert of().admits_all
    assert of(min_support=0.6).admits_all
    assert not of(min_support=0.7).admits_all
    assert not of(min_support=0.7).by_estimate
    for policy in ({"max_cost": 1}, {"min_score": 0.1}):
        assert of(**policy).by_estimate
        assert not of(**policy).admits_all
    for policy in ({"exclude": ["a"]}, {"models": ["b", "c"]}):
        assert not of(**policy).by_estimate
        assert not of(**policy).admits_all
        assert list(of(**policy).fixed_reasons) == ["a"]


def order(eligibility, *models):
    """Which of three (utility, score, cost, support) comes first."""
    columns = [np.array([column]) for column in zip(*models, strict=True)]
    return eligibility.nearest_first(*columns)[0].tolist()


def test_the_nearest_first():
    relaxed = limits(max_cost=0.01, min_score=0.8)
    dear, poor, both = (9, 0.8, 0.03, 1.0), (5, 0.4, 0.01, 1.0), (7, 0.4, 0.02, 1.0)
    assert order(relaxed, dear, poor, both) == [1, 2, 0]
    # Half of what is asked for lacks more than three tenths of what may be paid are over.
    half, over = (1, 0.1, 0.01, 1.0), (1, 0.2, 0.013, 1.0)
    assert order(limits(max_cost=0.01, min_score=0.2), half, over, both) == [1, 0, 2]
    guess, unknown = (9, 0.8, 0.01, 0.4), (9, 0.8, NAN, 1.0)
    assert order(relaxed, guess, dear, unknown)[0] == 1
    assert order(limits(), (1, 0.5, 0.1, 0.4), (2, 0.5, 0.1, 0.3), (3, 0.5, 0.1, 0.2)) == [0, 1, 2]
    same = (1, 0.5, 0.1, 0.4)
    assert order(limits(), same, same, same) == [0, 1, 2]
    assert order(limits(exclude=["a"]), poor, dear, both)[2] == 0


@given(st.floats(0, 1), st.floats(0, 10), st.floats(0, 1), st.floats(0, 10), st.floats(0, 1))
def test_who_meets_the_limits_has_no_fault_and_the_reverse(score, cost, support, most, least):
    eligibility = limits(max_cost=most, min_score=least)
    meets = support >= 0.5 and cost <= most * (1 + 1e-5) and score >= least - 1e-5
    values = [np.array([[v]]) for v in (score, cost, support)]
    assert (eligibility.codes(*values)[0, 0] == Fault.NONE) == meets


def test_the_error_groups_models_by_reason_and_says_what_to_do():
    reasons = {"a": "too expensive", "b": "too bad", "c": "too expensive"}
    error = nobody(reasons, relaxable=True)
    assert isinstance(error, NoEligibleModelError)
    assert "a, c: too expensive" in str(error)
    assert "b: too bad" in str(error)
    assert "relax" in str(error)
    assert "relax" not in str(nobody(reasons, relaxable=False))
