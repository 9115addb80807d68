"""What a log says of its router."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from avengers_core import RecordError, Router, RouterArtifact
from avengers_core.embedders import CallableEmbedder
from avengers_core.learning import watch
from avengers_core.learning.reading import LoggedCall

Month = Callable[..., list[LoggedCall]]


def test_promises_are_compared_with_what_came(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0)
    seen = watch(calls, Router(artifact, topics))
    whole, *models = seen.promises
    assert whole.calls == seen.calls == len(calls)
    assert sum(p.calls for p in models) == len(calls)
    assert whole.score == pytest.approx(np.mean([c.score for c in calls]))
    assert abs(whole.promised_score - whole.score) < 0.05
    assert not whole.off
    big = next(p for p in models if p.model == "big")
    assert big.cost == pytest.approx(0.004)
    assert big.promised_cost == pytest.approx(0.004, rel=0.01)
    assert len(seen.periods) == 30
    json.dumps(seen.to_dict(), allow_nan=False)


def test_the_logs_own_promises_count(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = [call._replace(promised_score=0.99) for call in month(artifact, 0, range(10))]
    seen = watch(calls, Router(artifact, topics))
    assert seen.promises[0].promised_score == pytest.approx(0.99)
    assert seen.promises[0].off
    assert seen.fit_anew


@pytest.mark.parametrize(("n", "off"), [(1, False), (2, False), (5, False), (40, True)])
def test_a_few_scores_that_are_alike_are_not_surely_off(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month, n: int, off: bool
) -> None:
    # Five right answers in a row come every other time where 0.88 are promised.
    calls = [c._replace(promised_score=0.88, score=1.0) for c in month(artifact, 0, [0])[:n]]
    whole = watch(calls, Router(artifact, topics)).promises[0]
    assert whole.error > 0
    assert whole.off is off


@pytest.mark.parametrize(("share", "anew"), [(0.05, False), (0.4, True)])
def test_many_queries_unlike_the_records_call_for_a_fit(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month, share: float, anew: bool
) -> None:
    rng = np.random.default_rng(0)
    calls = [
        call._replace(familiarity=0.01 if rng.random() < share else 0.5)
        for call in month(artifact, 0, range(10))
    ]
    seen = watch(calls, Router(artifact, topics))
    assert seen.unlike == pytest.approx(share, abs=0.05)
    assert bool(seen.fit_anew) is anew


def test_the_page_is_self_contained(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = [c._replace(familiarity=0.5) for c in month(artifact, 0, range(10, 24), worse=True)]
    seen = watch(calls, Router(artifact, topics))
    assert seen.alarms
    page = seen.to_html()
    assert page.count("<svg") == 4
    assert "<script" not in page
    assert "src=" not in page
    assert "algebra" in page


def test_costs_that_nobody_knows_have_no_column(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(10))
    known, unknown = (
        str(watch(log, Router(artifact, topics)))
        for log in (calls, [c._replace(cost=None) for c in calls])
    )
    assert "$" in known
    assert "$" not in unknown
    assert "reprice" in unknown
    assert "reprice" not in known


def test_an_empty_log_says_nothing(artifact: RouterArtifact, topics: CallableEmbedder) -> None:
    with pytest.raises(RecordError):
        watch([], Router(artifact, topics))


@pytest.mark.parametrize("chance", [0.0, 1.0, -1.0])
def test_a_chance_out_of_range_is_refused(artifact: RouterArtifact, chance: float) -> None:
    with pytest.raises(ValueError, match="false_alarm"):
        watch([], artifact, false_alarm=chance)


def with_vectors(
    calls: list[LoggedCall], topics: CallableEmbedder, **other: object
) -> list[LoggedCall]:
    """The calls as a log has them that keeps no texts."""
    return [
        call._replace(question=None, vector=vector, surface=np.zeros(11, np.float32), **other)
        for call, vector in zip(calls, topics.embed([str(c.question) for c in calls]), strict=True)
    ]


def test_vectors_of_another_embedder_are_left_out(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(10))
    other = with_vectors(calls[:100], topics, embedder="test/other")
    own = with_vectors(calls[100:], topics, embedder=topics.id)
    router = Router(artifact, topics)
    seen = watch([*other, *own], router)
    assert (seen.calls, seen.left_out) == (len(own), len(other))
    assert watch(own, router).left_out == 0
    with pytest.raises(RecordError, match="test/topics"):
        watch(other, router)


def test_what_another_embedder_made_of_a_text_is_made_anew(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(10))
    other = [c._replace(embedder="test/other", vector=np.ones(3, np.float32)) for c in calls]
    router = Router(artifact, topics)
    assert watch(other, router) == watch(calls, router)


def test_what_is_unlike_is_worked_out_where_the_log_does_not_say(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(10))
    router = Router(artifact, topics)
    assert watch(with_vectors(calls, topics), router).unlike < 0.2
    far = np.array([0, 0, 0, 1, -1, 1], np.float32) / np.sqrt(3)
    strange = [c._replace(vector=far) for c in with_vectors(calls, topics)]
    assert watch(strange, router).unlike == 1


def test_what_an_earlier_fit_was_unlike_to_does_not_count(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = [c._replace(familiarity=0.0) for c in month(artifact, 0, range(10))]
    assert watch(calls, Router(artifact, topics)).unlike == 1
    info = artifact.info.model_copy(update={"created": "2027-01-01"})
    assert watch(calls, Router(replace(artifact, info=info), topics)).unlike < 0.2
