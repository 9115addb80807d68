"""Artifacts that earlier versions saved load, and decide as they did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avengers_core import Router

OLD = Path(__file__).parents[1] / "data" / "version_0_1"
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
