"""A simulated month, lived through day by day: learn every night, watch every night."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from avengers_core import Router, RouterArtifact
from avengers_core.embedders import CallableEmbedder
from avengers_core.learning import learn, watch
from avengers_core.learning.reading import LoggedCall

Month = Callable[..., list[LoggedCall]]
A_DAY, CHANGE = 60, 15 * 60
# Calls after which choices have moved, and after which the alarm is raised: "big" gets a third.
MOVED_WITHIN, SEEN_WITHIN = 480, 240


def test_a_model_that_gets_worse_is_noticed_and_then_left(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    learnt = artifact
    log = month(artifact, 0, range(14))
    for day in range(14, 24):
        log += month(learnt, 0, [day], worse=True)
        learnt = learn(log, Router(learnt, topics), half_life="7d").artifact
        chosen = Router(learnt, topics).route("algebra 7", alpha=0.8).model
        if chosen != "big":
            break
    assert chosen != "big"
    moved = len(log)
    assert CHANGE < moved <= CHANGE + MOVED_WITHIN
    alarms = watch(log, Router(artifact, topics)).alarms
    alarm = next(a for a in alarms if a.model == "big" and a.topic == "algebra")
    assert CHANGE < alarm.seen_call < min(moved, CHANGE + SEEN_WITHIN)
    assert abs(alarm.since_call - CHANGE) <= 2 * A_DAY
    assert alarm.before > 0.8
    assert alarm.after < 0.6
    assert alarm.p < 0.05
    # What nothing has happened to is left alone.
    assert {a.model for a in alarms} == {"big"}


@pytest.mark.parametrize("seed", range(6))
def test_without_a_change_there_is_no_alarm(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month, seed: int
) -> None:
    seen = watch(month(artifact, seed), Router(artifact, topics))
    assert not seen.alarms
    assert not seen.fit_anew
