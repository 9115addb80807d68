"""Settings of routing, and what calls say instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import Router, fit
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.policy import Policy, PolicyArguments, alpha_from_weights

NAN, INF = float("nan"), float("inf")
weights = st.floats(0, 100)


@pytest.fixture(scope="module")
def router(make_records, embedder):
    return Router(fit(make_records(150), embedder, n_clusters=4), embedder)


def nobody():
    return {}


def test_nothing_given_is_the_routers_own_default(router):
    assert router.decide("alpha", RoutingCall(Policy().settled(router, nobody))).alpha == 0.5


@pytest.mark.parametrize(
    ("given", "alpha"),
    [
        ({"alpha": 0.3}, 0.3),
        ({"performance_weight": 3, "cost_sensitivity": 1}, 0.75),
        ({"cost_sensitivity": 0.2}, 0.8),
    ],
)
def test_ways_to_give_alpha(router, given, alpha):
    policy = Policy(**given)
    policy.check(router.models)
    assert policy.settled(router, nobody).alpha == pytest.approx(alpha)


@pytest.mark.parametrize("target", [{"cost": 0.0015}, {"score": 0.3}, {"saving": 0.2}])
def test_targets_are_met_within_the_limits(router, target):
    (name, value), limits = next(iter(target.items())), {"exclude": ("odd",)}
    policy = Policy(**{f"target_{name}": value}, **limits)
    policy.check(router.models)
    settled = policy.settled(router, nobody)
    assert settled.alpha == router.alpha_for(**target, **limits)
    assert settled.target is None
    assert settled.limits == policy.limits


def test_who_can_answer_nothing_is_asked_for_only_where_there_is_a_target(router):
    asked = []

    def unavailable():
        asked.append(1)
        return {"good": "gone"}

    Policy(alpha=0.4).settled(router, unavailable)
    assert not asked
    found = Policy(target_score=0.3).settled(router, unavailable).alpha
    assert found == router.alpha_for(score=0.3, unavailable={"good": "gone"})
    assert asked


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"alpha": 0.5, "target_cost": 0.1}, "alpha, target_cost"),
        ({"alpha": 0.5, "cost_sensitivity": 0.1}, "alpha, cost_sensitivity"),
        ({"target_score": 0.5, "target_cost": 0.1}, "target_cost, target_score"),
        ({"alpha": 2}, "2"),
        ({"alpha": -0.1}, "-0.1"),
        ({"alpha": NAN}, "nan"),
        ({"alpha": "much"}, "much"),
        ({"performance_weight": -1}, "-1"),
        ({"performance_weight": 2}, "2"),
        ({"performance_weight": 0, "cost_sensitivity": 0}, "0 and 0"),
        ({"performance_weight": INF, "cost_sensitivity": 1}, "inf"),
        ({"target_saving": 1}, "target_saving"),
        ({"target_score": 1.1}, "target_score"),
        ({"target_cost": -1}, "target_cost"),
        ({"exclude": ("nobody",)}, "nobody"),
        ({"models": ("good", "x", "w")}, "'w', 'x'"),
        ({"models": "good"}, "good"),
        ({"exclude": "good"}, "good"),
        ({"models": 7}, "models.*7"),
        ({"max_cost": -0.1}, "max_cost.*-0.1"),
        ({"max_cost": NAN}, "max_cost"),
        ({"max_cost": INF}, "max_cost"),
        ({"max_cost": "cheap"}, "max_cost.*cheap"),
        ({"min_score": 1.5}, "min_score.*1.5"),
        ({"min_score": NAN}, "min_score"),
        ({"min_support": 1.5}, "min_support.*1.5"),
        ({"on_empty": "shrug"}, "shrug"),
    ],
)
def test_what_no_call_could_have(router, given, named):
    with pytest.raises(ValueError, match=named):
        Policy(**given).check(router.models)
    with pytest.raises(ValueError, match=named):
        router.route("alpha", **given)


def test_what_a_call_can_demand(router):
    for limits in ({}, {"max_cost": 0}, {"max_cost": 1e9}, {"min_score": 0}, {"models": []}):
        Policy(**limits).check(router.models)
    # Whoever is unavailable need not be in the artifact.
    router.route("alpha", unavailable={"elsewhere": "no key"})


@pytest.mark.parametrize("given", [{"n": 0}, {"n": 1.5}, {"prompt_tokens": -1}])
def test_what_is_out_of_range_of_a_call(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))}.*{next(iter(given.values()))}"):
        RoutingCall.of(**given)


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match=r"temperature.*alpha"):
        RoutingCall.of(temperature=1)


def test_names_may_come_from_an_iterator():
    policy = RoutingCall.of(models=(m for m in "ab"), exclude=iter(["b"])).policy
    assert (policy.models, policy.exclude) == (("a", "b"), ("b",))


def test_names_may_come_from_what_has_changed_since_the_last_call(router):
    allowed = {"first": "good", "second": "cheap"}
    live = allowed.values()
    assert set(router.route("alpha", models=live).ranking) == {"good", "cheap"}
    del allowed["second"]
    assert router.route("alpha", models=live).ranking == ("good",)


def test_the_arguments_are_the_fields():
    assert tuple(PolicyArguments.__annotations__) == Policy._fields


@given(weights, weights)
def test_only_the_ratio_of_the_weights_matters(pw, cs):
    if pw + cs < 1e-6:
        return
    alpha = alpha_from_weights(pw, cs)
    assert alpha == pytest.approx(pw / (pw + cs))
    assert alpha_from_weights(3 * pw, 3 * cs) == pytest.approx(alpha)
    assert Policy(performance_weight=pw, cost_sensitivity=cs).own_alpha == alpha


@given(st.floats(0, 1))
def test_one_weight_is_one_minus_the_other(weight):
    assert alpha_from_weights(weight) == pytest.approx(weight)
    assert alpha_from_weights(None, weight) == pytest.approx(1 - weight)


def test_targets_may_be_given_to_the_router(router):
    assert router.route("alpha", target_score=0.3).alpha == router.alpha_for(score=0.3)


def test_a_calls_own_settings_go_first():
    policy = Policy(target_saving=0.5, max_cost=0.1, exclude=("a",))
    assert policy.overlaid({}) == policy
    assert policy.overlaid({"max_cost": None}) == policy._replace(max_cost=None)
    assert policy.overlaid({"alpha": 0.9}) == Policy(alpha=0.9, max_cost=0.1, exclude=("a",))
    assert policy.overlaid({"target_cost": 1.0}).target == ("cost", 1.0)
