"""Questions that nobody has answered are clustered with the records."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avengers_core import Record, RecordError, Records, RouterArtifact, fit
from avengers_core.collecting import collect
from avengers_core.fitting import fit as fitting

ANSWERED = [
    Record(query=f"What is {i} plus {i}?", scores={"a": 1.0, "b": i % 2}, dataset="sums")
    for i in range(30)
]
OTHERS = [{"query": f"Write a poem about the {i}th tree", "dataset": "poems"} for i in range(20)]
QUICK = {"n_clusters": 4, "refine": False}


def test_they_count_for_what_is_asked_and_for_no_model():
    artifact = fit(Records(ANSWERED), n_clusters=4, questions=OTHERS)
    alone = fit(Records(ANSWERED), n_clusters=4)
    assert artifact.statistics.size.sum() == 50
    assert (artifact.n_records, artifact.n_unanswered) == (30, 20)
    assert artifact.datasets == ("sums", "poems")
    np.testing.assert_array_equal(artifact.statistics.n.sum(axis=0), [30, 30])
    np.testing.assert_allclose(
        artifact.statistics.score.sum(axis=0), alone.statistics.score.sum(axis=0)
    )
    assert (artifact.statistics.n.sum(axis=1) == 0).any(), "poems have a cluster of their own"


def test_one_that_a_record_is_about_counts_once():
    again = [record.query for record in ANSWERED[:10]]
    assert fit(Records(ANSWERED), **QUICK, questions=[*again, "Why?"]).n_unanswered == 1
    assert fit(Records(ANSWERED), **QUICK, questions=again) == fit(Records(ANSWERED), **QUICK)


def test_what_was_collected_brings_its_own():
    questions = [{"query": r.query, "dataset": r.dataset} for r in ANSWERED] + OTHERS
    collected = collect(
        questions, {"a": lambda q: "1", "b": lambda q: "2"}, "regex:1", max_calls=40
    )
    assert len(collected) < 50
    assert len(collected) + len(collected.unanswered) == 50
    artifact = fit(collected, **QUICK)
    assert artifact.n_records == len(collected)
    assert artifact.n_unanswered == len(collected.unanswered)
    assert artifact == fit(Records(collected), **QUICK, questions=questions)
    assert fit(collected, **QUICK, missing="zero").n_records == len(collected)


def test_they_are_told_apart_from_records_after_all_that_sums_go_through(tmp_path):
    artifact = fit(Records(ANSWERED), n_clusters=4, questions=OTHERS)
    artifact.save(tmp_path / "a")
    assert RouterArtifact.load(tmp_path / "a").n_unanswered == 20
    assert f"{artifact!r}".startswith("<RouterArtifact: 30 records, 20 questions")
    more = artifact.update(Records(ANSWERED[:4]))
    assert (more.n_records, more.n_unanswered) == (34, 20)
    faded = artifact.faded(0.5)
    assert (faded.n_records, faded.n_unanswered) == (15, 10)
    both = artifact.merge(faded)
    assert (both.n_records, both.n_unanswered) == (45, 30)
    assert artifact.emptied(artifact.models, artifact.datasets).n_unanswered == 0


def test_they_may_be_an_array_or_none():
    texts = np.array([question["query"] for question in OTHERS])
    assert fit(Records(ANSWERED), **QUICK, questions=texts).n_unanswered == 20
    assert fit(Records(ANSWERED), **QUICK, questions=texts[:0]).n_unanswered == 0


def test_of_too_many_some_are_drawn(monkeypatch, caplog):
    monkeypatch.setattr(fitting, "MAX_SAMPLE", 35)
    artifact = fit(Records(ANSWERED), **QUICK, questions=OTHERS)
    assert (artifact.n_records, artifact.n_unanswered) == (30, 5)
    assert any("5 of 20 questions" in message for message in caplog.messages)
    assert artifact == fit(Records(ANSWERED), **QUICK, questions=OTHERS[::-1])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"engine": "serial"}, ValueError),
        ({"missing": "zero"}, ValueError),
        ({"questions": ["  "]}, RecordError),
        ({"questions": "one"}, TypeError),
    ],
)
def test_what_they_cannot_be_used_with(options, error, tmp_path):
    file = tmp_path / "r.jsonl"
    lines = (json.dumps({"query": r.query, "records": r.scores}) for r in ANSWERED)
    file.write_text("\n".join(lines))
    with pytest.raises(error):
        fit(file, n_clusters=4, **{"questions": OTHERS, **options})
