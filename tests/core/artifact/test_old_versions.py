"""Artifacts that earlier versions saved load, and decide as they did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avengers_core import Router

DATA = Path(__file__).parents[1] / "data"
OLD = DATA / "version_0_1"
JOINT = DATA / "version_0_1_joint"
DECISIONS = json.loads((OLD / "decisions.json").read_text())


@pytest.mark.parametrize("scorer", ["calibrated", "reference", "paper"])
def test_an_artifact_of_version_0_1_decides_as_it_did(scorer: str) -> None:
    router = Router.load(OLD / "artifact", scorer=scorer)
    cases = [case for case in DECISIONS if case["scorer"] == scorer]
    assert len(cases) == 60
    for case in cases:
        decision = router.route(
            case["query"], alpha=case["alpha"], prompt_tokens=case["prompt_tokens"]
        )
        assert decision.model == case["model"]
        assert sorted(decision.ineligible) == case["ineligible"]
        expected = {model: numbers for model, *numbers in case["candidates"]}
        for c in decision.candidates:
            found = [c.expected_score, c.expected_cost]
            assert found == pytest.approx(expected[c.model], rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("kind", ["refined", "clusters"])
def test_an_artifact_that_told_no_topics_apart_decides_as_it_did(kind: str) -> None:
    router = Router.load(JOINT / kind)
    for case in json.loads((JOINT / f"{kind}.json").read_text()):
        decision = router.route(case["query"], alpha=case["alpha"])
        assert decision.model == case["model"]
        expected = {model: numbers for model, *numbers in case["candidates"]}
        for c in decision.candidates:
            found = [c.expected_score, c.expected_cost]
            assert found == pytest.approx(expected[c.model], rel=1e-4, abs=1e-6)


def test_what_is_learnt_is_added_to_it() -> None:
    old = Router.load(JOINT / "refined").artifact
    both = old.merge(old)
    assert both.refinement
    assert old.refinement
    assert both.refinement.asked.n.sum() == 2 * old.refinement.asked.n.sum()


def test_what_it_is_of_stays_what_it_was() -> None:
    old = Router.load(OLD / "artifact").artifact
    assert (old.info.cells, old.info.alpha) == ("separate", "ranges")
    first = old.models[0]
    for grown in (
        old.update([{"query": "hello", "dataset": old.datasets[0], "records": {first: 1.0}}]),
        old.add_model("new/model", like=first, price=(1e-6, 1e-6)),
        old.select_models([first]),
        old.faded(0.5),
    ):
        assert (grown.info.cells, grown.info.alpha) == ("separate", "ranges")
