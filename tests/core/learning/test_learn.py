"""What learning does to an artifact."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from avengers_core import RecordError, Router, RouterArtifact, load_records
from avengers_core.calls import Feedback
from avengers_core.calls.store import open_log, write
from avengers_core.embedders import CallableEmbedder
from avengers_core.learning import learn
from avengers_core.learning.reading import LoggedCall, logged_calls

Month = Callable[..., list[LoggedCall]]


def test_sums_grow_as_by_update(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(3))
    rows = [
        {
            "query": call.question,
            "records": {call.model: call.score},
            "usages": {call.model: {"cost": call.cost}},
            "dataset": str(call.question).split()[0],
        }
        for call in calls
    ]
    lesson = learn(calls, Router(artifact, topics))
    updated = artifact.update(rows, topics)
    assert lesson.learnt == len(calls)
    assert lesson.faded == 1
    assert lesson.artifact.datasets == updated.datasets
    for name, array in updated.statistics.arrays().items():
        np.testing.assert_allclose(lesson.artifact.statistics.arrays()[name], array, rtol=1e-6)


def test_a_score_that_waited_while_a_newer_one_was_learnt_is_learnt(
    artifact: RouterArtifact,
    topics: CallableEmbedder,
    month: Month,
    write_log: Callable[[Iterable[LoggedCall]], Path],
) -> None:
    calls = month(artifact, 0, [0])[:3]
    path = write_log([calls[0]._replace(score=None), calls[1]._replace(score=None), calls[2]])
    first = learn(path, Router(artifact, topics))
    with closing(open_log(path)) as log:
        write(log, [Feedback("1", 1.0, calls[1].time), Feedback("0", 0.0, calls[0].time)])
    second = learn(path, Router(first.artifact, topics))
    assert (first.learnt, second.learnt) == (1, 2)
    assert learn(path, Router(second.artifact, topics)).learnt == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE calls SET time = 'today' WHERE id = '1'",
        "UPDATE calls SET time = 1e300 WHERE id = '1'",
        "UPDATE calls SET decision = '{broken' WHERE id = '1'",
        "UPDATE calls SET decision = '[]' WHERE id = '1'",
        "UPDATE calls SET vector = x'00', features = x'00' WHERE id = '1'",
        "UPDATE calls SET vector = x'0000c07f', features = x'0000c07f' WHERE id = '1'",
        "UPDATE calls SET question = x'ff' WHERE id = '1'",
        "UPDATE calls SET question = NULL, features = x'00000000' WHERE id = '1'",
        "UPDATE calls SET propensity = 0 WHERE id = '1'",
        "UPDATE calls SET prompt_tokens = 'many' WHERE id = '1'",
        "UPDATE calls SET cost = -1 WHERE id = '1'",
        "UPDATE feedback SET score = 5 WHERE id = '1'",
        "UPDATE feedback SET score = 'good' WHERE id = '1'",
        "UPDATE feedback SET time = 'today' WHERE id = '1'",
    ],
)
def test_a_damaged_row_is_left_out_and_told(
    artifact: RouterArtifact,
    topics: CallableEmbedder,
    month: Month,
    write_log: Callable[[Iterable[LoggedCall]], Path],
    caplog: pytest.LogCaptureFixture,
    *,
    damage: str,
) -> None:
    path = write_log(month(artifact, 0, [0])[:3])
    with closing(open_log(path)) as log:
        log.execute(damage)
        write(log, [Feedback("0", 0.5, 1.0)])  # behind a row that is damaged
    assert learn(path, Router(artifact, topics)).learnt == 2
    assert "'1'" in caplog.text
    assert len(load_records(path)) >= 2


def test_chances_count_as_they_do_in_records(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = [call._replace(propensity=0.25) for call in month(artifact, 0, [0])]
    gained = learn(calls, Router(artifact, topics)).artifact.statistics.n - artifact.statistics.n
    assert gained.sum() == pytest.approx(4 * len(calls))


def test_a_call_is_learnt_once(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(2))
    once = learn(calls, Router(artifact, topics)).artifact
    again = learn(calls, Router(once, topics))
    assert again.learnt == 0
    assert again.artifact == once
    # One that was graded late is learnt late.
    late = calls[0]._replace(graded=calls[-1].graded + 1000)
    assert learn([*calls, late], Router(once, topics)).learnt == 1


def test_a_call_that_is_graded_again_is_learnt_once_with_the_newest_score(
    artifact: RouterArtifact,
    topics: CallableEmbedder,
    month: Month,
    write_log: Callable[[Iterable[LoggedCall]], Path],
) -> None:
    calls = [call._replace(score=0.0) for call in month(artifact, 0, [0])]
    path, later = write_log(calls), calls[-1].time + 1000

    def grade_again(id: str, score: float) -> None:
        with closing(open_log(path)) as log:
            write(log, [Feedback(id, score, later)])

    grade_again("0", 1.0)
    once = learn(path, Router(artifact, topics))
    assert once.learnt == len(calls)
    gained = once.artifact.statistics.score.sum() - artifact.statistics.score.sum()
    assert gained == pytest.approx(1.0)
    grade_again("1", 1.0)
    assert learn(path, Router(once.artifact, topics)).learnt == 0


@pytest.mark.parametrize("half_life", ["5d", timedelta(hours=36)])
def test_day_by_day_is_nearly_as_if_at_once(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month, half_life: str | timedelta
) -> None:
    calls = month(artifact, 0, range(4))
    by_day = artifact
    for day in range(1, 5):
        by_day = learn(calls[: day * 60], Router(by_day, topics), half_life=half_life).artifact
    at_once = learn(calls, Router(artifact, topics), half_life=half_life)
    assert at_once.faded < 1
    # But for what is kept of cells that hardly get a call, which depends on when one looks.
    np.testing.assert_allclose(
        by_day.statistics.score, at_once.artifact.statistics.score, rtol=0.04
    )


def test_evidence_of_a_half_life_ago_counts_half(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, [0])
    old = learn(calls, Router(artifact, topics)).artifact
    later = calls[0]._replace(time=calls[0].time + 86400 * 30, graded=calls[-1].graded + 86400 * 30)
    lesson = learn([later], Router(old, topics), half_life="30d")
    assert lesson.faded == pytest.approx(0.5)
    assert lesson.artifact.statistics.n.sum() == pytest.approx(old.statistics.n.sum() / 2 + 1, 0.01)


def test_what_changed_is_told(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, range(15, 25), worse=True)
    lesson = learn(calls, Router(artifact, topics), half_life="7d")
    assert lesson.moved[0].model == "big"
    assert lesson.moved[0].score < lesson.moved[0].score_before
    turned = next(turn for turn in lesson.turned if "algebra" in turn.topics)
    assert (turned.before, turned.now) == ("big", "small")
    assert lesson.redirected > 0.2
    text = str(lesson)
    assert "big -> small" in text
    assert "promised" in text


def test_calls_without_a_score_or_of_strangers_teach_nothing(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    calls = month(artifact, 0, [0])
    ungraded = [call._replace(score=None, graded=None) for call in calls]
    stranger = calls[0]._replace(model="stranger")
    lesson = learn([*ungraded, stranger], Router(artifact, topics))
    assert lesson.learnt == 0
    assert lesson.artifact == artifact


def test_vectors_teach_what_texts_teach(
    artifact: RouterArtifact, topics: CallableEmbedder, month: Month
) -> None:
    router = Router(artifact, topics)
    calls = month(artifact, 0, [0])
    known = router.embed([str(call.question) for call in calls])
    assert known.surface is not None
    without = [
        call._replace(question=None, vector=v, surface=s)
        for call, v, s in zip(calls, known.vectors, known.surface, strict=True)
    ]
    a, b = (learn(some, router).artifact.statistics for some in (calls, without))
    for name, array in a.arrays().items():
        np.testing.assert_allclose(b.arrays()[name], array, rtol=1e-5)


@pytest.mark.parametrize("half_life", ["", "30", "-3d", "0d", "3y", timedelta(0), 30])
def test_a_half_life_that_is_none_is_refused(artifact: RouterArtifact, half_life: str) -> None:
    with pytest.raises(ValueError, match="half-life"):
        learn([], artifact, half_life=half_life)


def test_a_log_is_read_with_the_last_scores(
    artifact: RouterArtifact,
    month: Month,
    write_log: Callable[[Iterable[LoggedCall]], Path],
) -> None:
    calls = month(artifact, 0, [0])
    found = list(logged_calls(write_log(calls)))
    assert [c.score for c in found] == [c.score for c in calls]
    assert [c.time for c in found] == [c.time for c in calls]


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "calls.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordError):
        list(logged_calls(path))


def test_a_log_that_lacks_a_column_is_refused(
    artifact: RouterArtifact,
    month: Month,
    write_log: Callable[[Iterable[LoggedCall]], Path],
) -> None:
    path = write_log(month(artifact, 0, [0])[:3])
    with closing(sqlite3.connect(path)) as log, log:
        log.execute("ALTER TABLE calls DROP COLUMN embedder")
    with pytest.raises(RecordError, match="embedder"):
        list(logged_calls(path))
