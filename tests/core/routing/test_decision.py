"""Decisions: one line, a table, HTML, plain types."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.candidates import Candidate, ClusterVote
from avengers_core.routing.decision.explaining import text_table, usd

BEST = Candidate("lab/best", 1.5, 0.9, 0.02, 1.0)
SECOND = Candidate("lab/second", 0.5, 0.4, None, 0.75)
VOTES = (ClusterVote(3, 0.8, 1200, ("math", "logic")), ClusterVote(0, 0.2, 7, ("code",)))


def decision(**changes):
    arguments = {
        "candidates": (BEST, SECOND),
        "ineligible": {"lab/dear": "expected cost $1 is over max_cost=0.1"},
        "clusters": VOTES,
        "alpha": 0.4,
        "scorer": "calibrated",
    }
    return RoutingDecision(**(arguments | changes))


def test_the_best_comes_first():
    d = decision(n=2)
    assert (d.model, d.models) == ("lab/best", ("lab/best", "lab/second"))
    assert (d.expected_score, d.expected_cost) == (0.9, 0.02)
    assert decision().models == ("lab/best",)
    assert decision(n=9).models == ("lab/best", "lab/second")


def test_a_candidate_is_known_by_its_name():
    assert decision().ranking == ("lab/best", "lab/second")
    assert decision().candidate("lab/second") == SECOND
    with pytest.raises(ValueError, match="lab/dear"):
        decision().candidate("lab/dear")


def test_among_other_candidates_it_says_as_much_of_the_query():
    told = {"n": 2, "basis": "unfamiliar", "prompt_tokens": 5, "relaxed": True, "cut": 3}
    told |= {"familiarity": 0.01, "question_share": 0.5}
    scores = {"lab/best": np.array([0.8, 1.0])}
    one = decision(**told, stayed=True, plausible=lambda: scores)
    other = one.among((SECOND,), {})
    assert other == decision(candidates=(SECOND,), ineligible={}, **told)
    assert other.plausible_scores == scores


def test_one_readable_line():
    expected = "lab/best  (score 0.900, cost $0.02, alpha 0.4, near math, logic)"
    assert str(decision()) == expected
    assert repr(decision()) == f"<RoutingDecision: {expected}>"
    assert str(decision(n=2)).startswith("lab/best > lab/second  (")
    assert str(decision(candidates=(SECOND,))).startswith("lab/second  (score 0.400, cost unknown")
    assert str(decision(relaxed=True)).endswith(", constraints relaxed)")
    assert "no text, overall means" in str(decision(basis="overall"))


def test_what_was_left_out_is_told_in_every_form():
    cut = decision(cut=1_234)
    assert cut.to_dict()["cut"] == pickle.loads(pickle.dumps(cut)).cut == 1_234
    for text in (str(cut), cut.explain(), cut._repr_html_()):
        assert "1,234" in text
    assert decision().to_dict()["cut"] == 0
    for text in (str(decision()), decision().explain()):
        assert "cut" not in text


def test_names_can_not_break_a_line_or_reach_the_terminal():
    odd = "x\x1b[31m\ny\u2028\x9b"
    told = decision(
        candidates=(BEST._replace(model=odd),),
        clusters=(ClusterVote(0, 1.0, 3, (odd,)),),
        ineligible={odd: odd},
    )
    assert str(told).isprintable()
    assert "x [31m y  " in str(told)
    lines = told.explain().split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 7
    assert told.model == odd


def test_the_table_lines_up():
    lines = decision(prompt_tokens=12_000).explain().splitlines()
    assert lines[0] == "lab/best at alpha 0.4 (scorer calibrated, prompt of 12,000 tokens)"
    head, best, second = lines[2:5]
    assert head.split() == ["model", "utility", "score", "cost", "support"]
    assert best.split() == ["lab/best", "1.5000", "0.900", "$0.02", "100%"]
    assert second.split() == ["lab/second", "0.5000", "0.400", "unknown", "75%"]
    assert len(head) == len(best) == len(second)
    assert lines[-2] == (
        "votes: 80% cluster 3 (math, logic; 1,200 records), 20% cluster 0 (code; 7 records)"
    )
    assert lines[-1] == "not eligible: lab/dear: expected cost $1 is over max_cost=0.1"


def test_the_table_says_what_was_out_of_the_ordinary():
    assert "constraints relaxed: the nearest model was taken" in decision(relaxed=True).explain()
    text = decision(basis="overall").explain()
    assert "no text to go by: decided on the artifact's overall means" in text
    assert "votes:" not in text


def test_html_is_escaped():
    vile = "<script>alert('x')</script> & co"
    page = decision(
        candidates=(BEST._replace(model=vile),),
        ineligible={vile: vile},
        clusters=(ClusterVote(0, 1.0, 1, (vile,)),),
    )._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 5  # heading, row, topic, and who is out, why
    assert "&amp; co" in page
    assert page.count("<tr>") == page.count("</tr>") == 2


def test_plain_types():
    content = json.loads(json.dumps(decision(n=2, prompt_tokens=5).to_dict(), allow_nan=False))
    assert content["models"] == ["lab/best", "lab/second"]
    assert content["candidates"][1] == {
        "model": "lab/second",
        "utility": 0.5,
        "expected_score": 0.4,
        "expected_cost": None,
        "support": 0.75,
    }
    assert content["clusters"][0] == {
        "cluster": 3,
        "weight": 0.8,
        "size": 1200,
        "topics": ["math", "logic"],
    }
    assert content["basis"] == "query"
    assert content["relaxed"] is False
    assert content["prompt_tokens"] == 5
    assert list(content["ineligible"]) == ["lab/dear"]


def test_equality_copies_and_pickles():
    whole = decision(n=2, plausible=lambda: {"lab/best": np.array([0.8, 1.0])})
    assert whole == decision(n=2)
    assert whole != decision(alpha=0.5)
    assert whole != "lab/best"
    for twin in (copy.copy(whole), copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        assert twin == whole
        assert str(twin) == str(whole)
        assert twin.standard_errors == whole.standard_errors == {"lab/best": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (None, "unknown"),
        (0, "$0"),
        (0.0, "$0"),
        (1.23e-7, "$1.23e-07"),
        (0.000123456, "$0.000123"),
        (0.25, "$0.25"),
        (1, "$1.00"),
        (1234.567, "$1234.57"),
    ],
)
def test_amounts(cost, text):
    assert usd(cost) == text


@given(st.lists(st.tuples(*3 * [st.text("abc |", max_size=9)]), max_size=5))
def test_columns_line_up(rows):
    lines = text_table(("one", "two", "three"), rows, left=(0, 1)).split("\n")
    assert len(lines) == len(rows) + 1
    widths = [max(len(r[i]) for r in [("one", "two", "three"), *rows]) for i in range(3)]
    for line, (a, b, c) in zip(lines[1:], rows, strict=True):
        expected = f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}"
        assert line == expected.rstrip()


def test_equal_decisions_have_the_same_hash():
    assert decision() == decision()
    assert len({decision(), decision(), decision(alpha=0.1)}) == 2


def test_a_decision_is_the_same_after_it_was_flat() -> None:
    whole = decision(n=2, prompt_tokens=5)
    again = RoutingDecision.of_flat(whole.flat())
    assert again == whole
    assert again.candidates == whole.candidates
    assert again.clusters == whole.clusters
    assert again.models == whole.models
