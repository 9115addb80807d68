"""Eligibility: each constraint, its reason, and how far a model is from the limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core.errors import NoEligibleModelError
from avengers_core.routing.decision import Candidate
from avengers_core.routing.eligibility import Constraints, nobody

KNOWN = ("a", "b", "c")
NAN = float("nan")


def candidate(score=0.5, cost=0.01, support=1.0):
    return Candidate("a", 0.0, score, cost, support)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"models": "a"}, "models must be a list of model ids, got the text 'a'"),
        ({"exclude": "a"}, "exclude must be a list"),
        ({"models": ["a", "x"]}, r"has no model \['x'\]; it has \['a', 'b', 'c'\]"),
        ({"exclude": ["y", "x"]}, r"has no model \['x', 'y'\]"),
        ({"max_cost": -0.1}, "max_cost must be USD a call, not negative, got -0.1"),
        ({"max_cost": NAN}, "max_cost must be USD"),
        ({"min_score": 1.5}, r"min_score must lie in \[0, 1\], got 1.5"),
        ({"min_score": NAN}, "min_score must lie"),
    ],
)
def test_what_no_call_can_demand(limits, message):
    with pytest.raises(ValueError, match=message):
        Constraints(**limits).check(KNOWN)


def test_what_a_call_can_demand():
    for limits in ({}, {"max_cost": 0}, {"max_cost": math.inf}, {"min_score": 0}, {"models": []}):
        Constraints(**limits).check(KNOWN)
    # Whoever is unavailable need not be in the artifact.
    Constraints(unavailable={"elsewhere": "no key"}).check(KNOWN)


def test_who_is_out_whatever_the_query():
    assert Constraints().ruled_out(KNOWN) == {}
    assert Constraints(models=["b"]).ruled_out(KNOWN) == {
        "a": "not among models=",
        "c": "not among models=",
    }
    assert Constraints(models=[]).ruled_out(KNOWN).keys() == set(KNOWN)
    both = Constraints(models=["a", "b"], exclude=["b"], unavailable={"a": "no key", "z": "no"})
    assert both.ruled_out(KNOWN) == {
        "a": "no key",
        "b": "named in exclude=",
        "c": "not among models=",
    }


@pytest.mark.parametrize(
    ("limits", "found", "fault"),
    [
        ({}, candidate(), None),
        ({}, candidate(support=0.49), r"no records near this query \(support 49%\)"),
        ({}, candidate(support=0.5), None),
        ({"max_cost": 0.009}, candidate(), r"expected cost \$0.01 is over max_cost=0.009"),
        ({"max_cost": 0.01}, candidate(), None),
        # What single precision makes of 0.01 and 0.5.
        ({"max_cost": 0.01}, candidate(cost=0.010000000707805157), None),
        ({"min_score": 0.5}, candidate(score=0.4999999701976776), None),
        ({"min_score": 0.6}, candidate(), r"expected score 0.500 is under min_score=0.6"),
        ({}, candidate(cost=None), "its cost is unknown: no record has one; alpha=1 leaves"),
        ({"needs_cost": False}, candidate(cost=None), None),
        ({"max_cost": 1}, candidate(cost=None), "can not be held to max_cost=1"),
        (
            {"needs_cost": False, "min_score": 0.6},
            candidate(cost=None),
            "expected score 0.500 is under min_score=0.6",
        ),
        ({"max_cost": 0}, candidate(cost=0.0), None),
    ],
)
def test_who_is_out_for_a_query(limits, found, fault):
    reason = Constraints(**limits).fault(found)
    if fault is None:
        assert reason is None
    else:
        import re

        assert re.search(fault, reason)


def test_the_first_fault_is_the_one_that_no_limit_can_help():
    all_wrong = candidate(score=0.1, cost=9.0, support=0.0)
    limits = Constraints(max_cost=1, min_score=0.9)
    assert "no records near" in limits.fault(all_wrong)
    assert "max_cost" in limits.fault(all_wrong._replace(support=1.0))


costs = st.none() | st.floats(0, 10)


@given(st.floats(0, 1), costs, st.floats(0, 1), st.floats(0, 10), st.floats(0, 1))
def test_who_violates_nothing_has_no_fault_and_the_reverse(score, cost, support, most, least):
    limits = Constraints(max_cost=most, min_score=least, needs_cost=False)
    found = candidate(score, cost, support)
    violation = limits.violation(found)
    assert violation >= 0
    if limits.fault(found) is None:
        assert violation < 0.1 or most < 1e-3 or least < 1e-3
    if violation == 0:
        assert limits.fault(found) is None


def test_violations_are_relative_and_add_up():
    limits = Constraints(max_cost=0.01, min_score=0.8)
    assert limits.violation(candidate(score=0.8, cost=0.01)) == 0
    assert limits.violation(candidate(score=0.8, cost=0.03)) == pytest.approx(2)
    assert limits.violation(candidate(score=0.4, cost=0.02)) == pytest.approx(1.5)
    assert limits.violation(candidate(score=0.8, cost=0.01, support=0.3)) == pytest.approx(0.2)
    assert limits.violation(candidate(cost=None)) == math.inf
    assert Constraints(max_cost=0).violation(candidate(cost=0.0)) == 0


def test_what_is_a_guess():
    assert not Constraints().is_guess(candidate())
    assert Constraints().is_guess(candidate(support=0.4))
    assert Constraints().is_guess(candidate(cost=None))
    assert Constraints(max_cost=1, needs_cost=False).is_guess(candidate(cost=None))
    assert not Constraints(needs_cost=False).is_guess(candidate(cost=None))


def test_the_error_groups_models_by_reason_and_says_what_to_do():
    error = nobody({"a": "too dear", "b": "too bad", "c": "too dear"}, out=())
    assert isinstance(error, NoEligibleModelError)
    assert str(error) == (
        "no model is eligible. a, c: too dear; b: too bad. Loosen a constraint, or pass "
        'on_empty="relax" to take the nearest model.'
    )
    assert "relax" not in str(nobody({"a": "too dear"}, out="abc"))
