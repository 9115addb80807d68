"""The arguments of a call: their ranges, and the two ways to give alpha."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core.routing.calls import DEFAULT_ALPHA, Call, alpha_from_weights, make_call
from avengers_core.routing.eligibility import Constraints

NAN, INF = float("nan"), float("inf")
weights = st.floats(0, 100)


def test_defaults():
    call = make_call()
    assert call == Call(0.5, Constraints())
    assert (call.n, call.prompt_tokens, call.on_empty) == (1, None, "raise")


def test_everything_arrives():
    call = make_call(
        alpha=1,
        models=["a"],
        exclude=["b"],
        max_cost=0.1,
        min_score=0.2,
        n=3,
        prompt_tokens=0,
        unavailable={"c": "why"},
        on_empty="relax",
    )
    assert call == Call(1.0, Constraints(["a"], ["b"], 0.1, 0.2, {"c": "why"}), 3, 0, "relax")
    assert isinstance(call.alpha, float)


def test_names_may_come_from_an_iterator():
    call = make_call(models=(m for m in "ab"), exclude=iter(["b"]))
    assert call.constraints == Constraints(("a", "b"), ("b",))
    assert make_call(models="ab").constraints.models == "ab", "to be refused later"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -0.1}, r"alpha must lie in \[0, 1\], got -0.1"),
        ({"alpha": 1.1}, r"alpha must lie in \[0, 1\], got 1.1"),
        ({"alpha": NAN}, r"alpha must lie in \[0, 1\], got nan"),
        ({"n": 0}, "n must be a whole number, at least 1, got 0"),
        ({"prompt_tokens": -1}, "prompt_tokens must not be negative, got -1"),
        ({"on_empty": "shrug"}, 'on_empty must be "raise" or "relax", got \'shrug\''),
        ({"alpha": 0.5, "performance_weight": 1}, "give alpha, or .*, not both"),
        ({"alpha": 0.5, "cost_sensitivity": 0}, "give alpha, or .*, not both"),
        ({"performance_weight": 0, "cost_sensitivity": 0}, "nor both zero, got 0 and 0"),
        ({"performance_weight": -1, "cost_sensitivity": 3}, "must not be negative"),
        ({"performance_weight": 2}, "must not be negative"),
        ({"performance_weight": NAN}, "must not be negative"),
        ({"performance_weight": INF, "cost_sensitivity": 1}, "alpha must lie"),
    ],
)
def test_what_is_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_call(**arguments)


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="temperature"):
        make_call(temperature=1)


@given(weights, weights)
def test_only_the_ratio_of_the_weights_matters(pw, cs):
    if pw + cs < 1e-6:
        return
    alpha = alpha_from_weights(pw, cs)
    assert alpha == pytest.approx(pw / (pw + cs))
    assert alpha_from_weights(3 * pw, 3 * cs) == pytest.approx(alpha)
    assert make_call(performance_weight=pw, cost_sensitivity=cs).alpha == alpha


@given(st.floats(0, 1))
def test_one_weight_is_one_minus_the_other(weight):
    assert alpha_from_weights(weight) == pytest.approx(weight)
    assert alpha_from_weights(None, weight) == pytest.approx(1 - weight)


def test_no_weight_is_the_default():
    assert alpha_from_weights() == DEFAULT_ALPHA
    assert not math.isnan(DEFAULT_ALPHA)


def test_a_call_is_immutable():
    with pytest.raises(AttributeError):
        make_call().alpha = 0.1
