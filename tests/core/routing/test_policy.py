"""Settings of routing, and what calls say instead."""

from __future__ import annotations

import pytest

from avengers_core import Router, fit
from avengers_core.routing.policy import Policy


@pytest.fixture(scope="module")
def router(make_records, embedder):
    return Router(fit(make_records(150), embedder, n_clusters=4), embedder)


def nobody():
    return {}


def test_nothing_given_is_the_routers_own_default(router):
    assert router.route("alpha", **Policy().arguments(router, nobody)).alpha == 0.5


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
    policy.check(router)
    assert policy.alpha_for(router, nobody) == pytest.approx(alpha)


@pytest.mark.parametrize("target", [{"cost": 0.0015}, {"score": 0.3}, {"saving": 0.2}])
def test_targets_are_met_within_the_limits(router, target):
    (name, value), limits = next(iter(target.items())), {"exclude": ("odd",)}
    policy = Policy(**{f"target_{name}": value}, **limits)
    policy.check(router)
    assert policy.alpha_for(router, nobody) == router.alpha_for(**target, **limits)


def test_who_can_answer_nothing_is_asked_for_only_where_there_is_a_target(router):
    asked = []

    def unavailable():
        asked.append(1)
        return {"good": "gone"}

    Policy(alpha=0.4).arguments(router, unavailable)
    assert not asked
    found = Policy(target_score=0.3).alpha_for(router, unavailable)
    assert found == router.alpha_for(score=0.3, unavailable={"good": "gone"})
    assert asked


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 0.5, "target_cost": 0.1}, "give one of alpha.*got alpha, target_cost"),
        ({"alpha": 0.5, "cost_sensitivity": 0.1}, "give one of alpha"),
        ({"target_score": 0.5, "target_cost": 0.1}, "give one of alpha"),
        ({"alpha": 2}, "alpha must lie in"),
        ({"performance_weight": -1}, "must not be negative"),
        ({"target_saving": 1}, r"target_saving must lie in \[0, 1\), got 1"),
        ({"target_score": 1.1}, "target_score must lie in"),
        ({"target_cost": -1}, "target_cost must be USD"),
        ({"exclude": ("nobody",)}, "no model"),
        ({"max_cost": -1}, "max_cost"),
    ],
)
def test_what_no_call_could_have(router, given, message):
    with pytest.raises(ValueError, match=message):
        Policy(**given).check(router)


def test_a_calls_own_settings_go_first():
    policy = Policy(target_saving=0.5, max_cost=0.1, exclude=("a",))
    assert policy.overlaid({}) == policy
    assert policy.overlaid({"max_cost": None}) == policy._replace(max_cost=None)
    assert policy.overlaid({"alpha": 0.9}) == Policy(alpha=0.9, max_cost=0.1, exclude=("a",))
    assert policy.overlaid({"target_cost": 1.0}).target == ("cost", 1.0)
