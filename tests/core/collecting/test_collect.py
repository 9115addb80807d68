"""Collecting records: nothing lost, nothing doubled, money counted."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import threading
from collections import Counter

import numpy as np
import pytest
from children import child, collect_and_tell, collect_at_ease, needs_sigkill

from avengers_core import RecordError, fit, load_records
from avengers_core.collecting import Answer, Graded, collect, judge

QUESTIONS = [{"query": f"What is {i} + {i}?", "reference": str(2 * i)} for i in range(12)]


def adds(query: str) -> Answer:
    i = int(query.split()[2])
    return Answer(str(2 * i), cost=0.01, prompt_tokens=6, completion_tokens=1)


def errs(query: str) -> str:
    return "no idea"


@pytest.mark.parametrize("strategy", ["full", "random", "adaptive"])
def test_without_a_limit_every_model_is_asked_every_question(strategy):
    records = collect(QUESTIONS, {"right": adds, "wrong": errs}, "exact", strategy=strategy)
    assert len(records) == len(QUESTIONS)
    assert records.models == ("right", "wrong")
    if strategy != "adaptive":
        assert all(r.scores == {"right": 1.0, "wrong": 0.0} for r in records)
    assert records[0].usages["right"].cost == 0.01
    assert records.failures == ()


def test_records_can_be_fitted_on_and_are_on_disk(tmp_path):
    path = tmp_path / "records.jsonl"
    records = collect(
        QUESTIONS, {"right": adds, "wrong": errs}, "exact", strategy="full", path=path
    )
    assert list(load_records(path)) == list(records)
    assert fit(path, n_clusters=2).models == ("right", "wrong")


def test_records_are_compressed_where_their_name_says_so(tmp_path):
    path = tmp_path / "records.jsonl.gz"
    records = collect(QUESTIONS, {"right": adds}, "exact", path=path)
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == len(records)
    assert list(load_records(path)) == list(records)


def test_questions_of_tables_with_gaps_and_of_cut_texts(tmp_path):
    path = tmp_path / "r.jsonl"
    rows = [{"query": "half \ud83d", "index": 3.0}, {"query": "?", "index": float("nan")}]
    records = collect(rows, {"m": lambda query: query}, lambda row, answer: 1.0, path=path)
    assert [(r.query, r.index) for r in records] == [("half \ufffd", 3), ("?", None)]
    assert list(load_records(path)) == list(records)


def test_failed_calls_are_listed_and_missing_and_asked_again(tmp_path, caplog):
    down = {3, 7}

    def flaky(query: str) -> Answer:
        if int(query.split()[2]) in down:
            raise ConnectionError("nobody there")
        return adds(query)

    path = tmp_path / "records.jsonl"
    first = collect(QUESTIONS, {"flaky": flaky}, "exact", strategy="full", path=path)
    assert len(first) == 10
    assert {f.query for f in first.failures} == {QUESTIONS[3]["query"], QUESTIONS[7]["query"]}
    assert all("nobody there" in f.reason and f.model == "flaky" for f in first.failures)
    assert "nobody there" in caplog.text
    asked = Counter()

    def mended(query: str) -> Answer:
        asked[query] += 1
        return adds(query)

    second = collect(QUESTIONS, {"flaky": mended}, "exact", strategy="full", path=path)
    assert len(second) == 12
    assert asked == Counter(QUESTIONS[i]["query"] for i in down)
    assert second.spent == pytest.approx(0.12)


def test_a_model_that_always_fails_is_given_up():
    asked = Counter()

    def broken(query: str) -> str:
        asked["broken"] += 1
        raise RuntimeError("out of order")

    questions = [f"question {i}" for i in range(100)]
    records = collect(
        questions, {"broken": broken, "works": errs}, lambda row, answer: 0.5, strategy="full"
    )
    assert asked["broken"] < 40
    assert len(records) == 100
    assert (records.stopped, records.given_up) == ("complete", ("broken",))


@pytest.mark.parametrize("strategy", ["full", "random", "adaptive"])
def test_limit_of_calls(strategy, tmp_path):
    path = tmp_path / "r.jsonl"
    models = {"right": adds, "wrong": errs}
    for most in (7, 13):
        records = collect(QUESTIONS, models, "exact", strategy=strategy, max_calls=most, path=path)
        assert records.calls == most == sum(len(r.scores) for r in records)


def test_limit_of_money_holds_within_the_calls_in_flight():
    records = collect(
        QUESTIONS, {"right": adds}, "exact", strategy="full", max_usd=0.055, concurrency=2
    )
    assert records.spent == pytest.approx(0.06)
    assert records.calls == 6


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"strategy": "full"}, "complete"),
        ({"strategy": "random", "max_calls": 24}, "complete"),
        ({"strategy": "random", "max_calls": 23}, "max_calls"),
        ({"strategy": "full", "max_usd": 0.05}, "max_usd"),
        ({"max_usd": 0.05, "max_calls": 2}, "max_calls"),
        ({}, "complete"),  # too few questions for anything to be decided
    ],
)
def test_it_says_why_it_stopped(arguments, why):
    def free(query: str) -> Answer:
        return Answer("0", cost=0.0)

    records = collect(QUESTIONS, {"right": adds, "free": free}, "exact", **arguments)
    assert (records.stopped, records.given_up) == (why, ())


def test_it_says_that_choices_stand():
    questions = [{"query": f"What is {i} + {i}?", "reference": str(2 * i)} for i in range(200)]
    records = collect(questions, {"right": adds, "wrong": errs}, "exact", concurrency=1)
    assert records.stopped == "decided"
    assert records.calls < 400


def test_limit_of_money_needs_to_know_costs():
    with pytest.raises(ValueError, match="wrong"):
        collect(QUESTIONS, {"wrong": errs}, "exact", max_usd=1.0)


def judged(reply: Answer, **arguments):
    return collect(QUESTIONS, {"right": adds}, judge(lambda prompt: reply), **arguments)


def test_what_a_judge_costs_is_spent(tmp_path):
    for reply in (Answer('{"score": 1}', cost=0.5), Answer("I like it", cost=0.5)):
        path = tmp_path / f"{len(reply.text)}.jsonl"
        first = judged(reply, path=path, max_calls=3)
        assert first.spent == pytest.approx(3 * 0.51)
        assert first.unpriced == ()
    again = judged(Answer('{"score": 1}', cost=0.0), path=path, max_calls=3)
    assert again.spent == pytest.approx(3 * 0.51), "also for no grade, and after a restart"
    assert len(again) == 3


def test_whom_to_ask_and_where_to_write_are_checked(tmp_path):
    with pytest.raises(TypeError, match=r"models=.*list"):
        collect(QUESTIONS, ["right"], "exact")
    for path in (tmp_path, "."):
        with pytest.raises(ValueError, match="path="):
            collect(QUESTIONS, {"right": adds}, "exact", path=path)


def test_another_judge_grades_anew(tmp_path):
    class Model:
        def __init__(self, name, score):
            self.model_name, self.score, self.asked = name, score, 0

        def __call__(self, prompt):
            self.asked += 1
            return Answer(json.dumps({"score": self.score}), cost=0.0)

    path = tmp_path / "r.jsonl"
    for judging, score in ((Model("one", 0.25), 0.25), (Model("two", 0.75), 0.75)):
        for _ in range(2):
            records = collect(QUESTIONS, {"right": adds}, judge(judging), path=path)
            assert {s for r in records for s in r.scores.values()} == {score}
        assert judging.asked == len(QUESTIONS)
    named = collect(QUESTIONS, {"right": adds}, judge(Model("one", 0.5), name="two"), path=path)
    assert {s for r in named for s in r.scores.values()} == {0.75}, "it counts as the same judge"


def test_a_function_that_has_another_text_grades_anew(tmp_path):
    path, graded = tmp_path / "r.jsonl", []

    def of(score):
        if score < 1:

            def grade(row, answer):
                graded.append(row)
                return score
        else:

            def grade(row, answer):
                graded.append(answer)
                return score

        return grade

    for score, times in ((0.5, 1), (0.5, 1), (1, 2), (1, 2)):
        records = collect(QUESTIONS, {"right": adds}, of(score), path=path)
        assert {s for r in records for s in r.scores.values()} == {score}
        assert len(graded) == times * len(QUESTIONS)
    told = of(0.5)
    told.rule = "2"
    assert collect(QUESTIONS, {"right": adds}, told, path=path)[0].scores == {"right": 0.5}
    other = of(1)
    other.rule = "2"
    assert collect(QUESTIONS, {"right": adds}, other, path=path)[0].scores == {"right": 0.5}


def test_another_schema_in_a_file_grades_anew(tmp_path):
    path, schema = tmp_path / "r.jsonl", tmp_path / "schema.json"
    for kind, score in (("integer", 1.0), ("string", 0.0), ("integer", 1.0)):
        schema.write_text(json.dumps({"type": kind}))
        records = collect(QUESTIONS, {"right": adds}, f"json:{schema}", path=path)
        assert {s for r in records for s in r.scores.values()} == {score}
    moved = schema.rename(tmp_path / "moved.json")
    before = (tmp_path / "r.jsonl.journal").read_bytes()
    collect(QUESTIONS, {"right": adds}, f"json:{moved}", path=path)
    assert (tmp_path / "r.jsonl.journal").read_bytes() == before


def test_answers_are_graded_anew_within_the_budget(tmp_path):
    path = tmp_path / "r.jsonl"

    def dear(question):
        return Answer(adds(question).text, cost=1.0)

    limits = {"path": path, "max_usd": len(QUESTIONS), "concurrency": 2}
    first = collect(QUESTIONS, {"right": dear}, "number", **limits)
    assert first.spent == len(first) == len(QUESTIONS)
    judged = collect(
        QUESTIONS, {"right": dear}, judge(lambda prompt: Answer('{"score": 1}', cost=1.0)), **limits
    )
    assert judged.spent <= len(QUESTIONS) + 2, "it is passed by those in flight at most"
    assert judged.stopped == "max_usd"
    free = collect(QUESTIONS, {"right": dear}, "exact", **limits)
    assert len(free) == len(QUESTIONS), "what costs nothing needs no budget"


def test_that_the_cost_of_a_judge_is_unknown_is_said_and_no_limit_can_be_held(tmp_path, caplog):
    unknown = Answer('{"score": 1}')
    records = judged(unknown, path=tmp_path / "r.jsonl")
    assert records.unpriced == ("the judge",)
    assert "the judge" in caplog.text
    assert judged(unknown, path=tmp_path / "r.jsonl").unpriced == ("the judge",)
    with pytest.raises(ValueError, match="the judge"):
        judged(unknown, max_usd=1.0)


def test_costs_by_price():
    def counted(query: str) -> Answer:
        return Answer("0", prompt_tokens=10, completion_tokens=5)

    records = collect(QUESTIONS, {"m": counted}, "exact", prices={"m": (1e-6, 4e-6)})
    assert records[0].usages["m"].cost == pytest.approx(30e-6)


def test_an_answer_is_not_paid_twice_when_its_grading_failed(tmp_path):
    path, asked = tmp_path / "r.jsonl", Counter()

    def once(query: str) -> Answer:
        asked[query] += 1
        return adds(query)

    def fails(row, answer):
        raise KeyError("rubric")

    first = collect(QUESTIONS, {"m": once}, fails, strategy="full", path=path)
    assert len(first) == 0
    assert 8 <= first.calls == len(first.failures)  # given up after as many failures in a row
    second = collect(QUESTIONS, {"m": once}, "exact", strategy="full", path=path)
    assert len(second) == 12
    assert set(asked.values()) == {1}


def test_an_answer_without_a_word_is_a_failed_call_that_is_paid_for(tmp_path):
    path = tmp_path / "r.jsonl"
    blank = {3: Answer(" \n", cost=0.5), 7: Answer("", cost=0.0)}

    def thinks_too_long(query: str) -> Answer:
        return blank.get(int(query.split()[2])) or adds(query)

    models = {"m": thinks_too_long}
    first = collect(QUESTIONS, models, "exact", strategy="full", path=path)
    assert len(first) == first.calls == 10
    assert {f.query for f in first.failures} == {QUESTIONS[i]["query"] for i in blank}
    assert first.spent == pytest.approx(0.10 + 0.5)
    again = collect(QUESTIONS, {"m": adds}, "exact", strategy="full", path=path)
    assert len(again) == 12
    assert again.spent == pytest.approx(0.12 + 0.5)


def test_what_no_record_can_hold_is_a_failed_call_and_not_noted(tmp_path):
    path = tmp_path / "r.jsonl"

    def costs_nobody_knows_what(query: str) -> Answer:
        return Answer("x", cost=float("nan"))

    first = collect(QUESTIONS[:3], {"m": costs_nobody_knows_what}, "exact", path=path)
    assert (first.calls, len(first.failures)) == (0, 3)
    grades = iter([Graded(1.0, float("nan")), Graded(np.float32(1), np.float64(0.5)), np.int64(1)])
    second = collect(QUESTIONS[:3], {"m": adds}, lambda row, answer: next(grades), path=path)
    assert (len(second), len(second.failures)) == (2, 1)
    assert second.spent == pytest.approx(0.53)
    assert len(collect(QUESTIONS[:3], {"m": adds}, "exact", path=path)) == 3


def test_what_an_answer_without_a_word_cost_may_be_unknown():
    with pytest.raises(ValueError, match="mute"):
        collect(QUESTIONS, {"mute": lambda query: ""}, "exact", max_usd=1.0)


def test_a_journal_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
    path, asked, full = tmp_path / "r.jsonl", Counter(), threading.Event()

    def counted(query: str) -> Answer:
        asked[query] += 1
        if len(asked) == 4:
            full.set()
        return adds(query)

    sync = os.fsync

    def no_room(descriptor):
        if full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught:
        collect(QUESTIONS, {"m": counted}, "exact", strategy="full", path=path, concurrency=1)
    assert caught.value.filename == f"{path}.journal"
    assert len(asked) == 4, "what cannot be noted is not paid for"
    monkeypatch.undo()
    assert len(collect(QUESTIONS, {"m": counted}, "exact", strategy="full", path=path)) == 12


def test_a_run_that_is_interrupted_leaves_its_records(tmp_path):
    path = tmp_path / "r.jsonl"

    def stopped(query: str) -> Answer:
        if query == QUESTIONS[5]["query"]:
            raise KeyboardInterrupt
        return adds(query)

    with pytest.raises(KeyboardInterrupt):
        collect(QUESTIONS, {"m": stopped}, "exact", strategy="full", path=path, concurrency=1)
    before = len(load_records(path))
    journal = (tmp_path / "r.jsonl.journal").read_text()
    assert before == journal.count('"graded"') < 12
    assert len(collect(QUESTIONS, {"m": adds}, "exact", strategy="full", path=path)) == 12


def test_what_an_answer_is_graded_by_may_change(tmp_path):
    path, asked, judged = tmp_path / "r.jsonl", Counter(), Counter()

    def says_so(query: str) -> Answer:
        asked[query] += 1
        return Answer("It is 4.", cost=0.01)

    def judging(reply: Answer, rubric: str):
        def asked_to_judge(prompt: str) -> Answer:
            judged[rubric] += 1
            return reply

        return judge(asked_to_judge, rubric)

    def scores(reference: str, grade) -> list[float]:
        rows = [{"query": "2 + 2?", "reference": reference}, {"query": "5 - 1?", "reference": "4"}]
        found = collect(rows, {"m": says_so}, grade, path=path)
        assert list(load_records(path)) == list(found)
        return [record.scores["m"] for record in found]

    assert scores("5", "exact") == [0, 0]
    assert scores("5", "number") == [0, 1]
    assert scores("4", "number") == [1, 1]
    half, none = (Answer(f'{{"score": {score}}}', cost=0.0) for score in (0.5, 0.0))
    for _ in range(2):
        assert scores("4", judging(half, "short")) == [0.5, 0.5]
        assert judged["short"] == 2
    assert scores("4", judging(none, "long")) == [0.0, 0.0]
    assert set(asked.values()) == {1}


def test_what_cannot_be_graded_is_missing_and_not_asked_again(tmp_path):
    path = tmp_path / "r.jsonl"
    records = collect(QUESTIONS, {"m": adds}, lambda row, answer: None, path=path)
    assert len(records) == 0
    assert records.calls == 12
    again = collect(QUESTIONS, {"m": errs}, lambda row, answer: None, path=path)
    assert again.spent == pytest.approx(0.12)


def test_two_runs_do_not_write_into_one_file(tmp_path):
    path, entered, leave = tmp_path / "r.jsonl", threading.Event(), threading.Event()

    def slow(query: str) -> str:
        entered.set()
        leave.wait(30)
        return "x"

    run = threading.Thread(target=collect, args=(["q"], {"m": slow}, len), kwargs={"path": path})
    run.start()
    try:
        assert entered.wait(30)
        with pytest.raises(RecordError, match=str(path)):
            collect(["q"], {"m": slow}, len, path=path)
    finally:
        leave.set()
        run.join()


def test_records_of_others_are_left_alone(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"query": "mine", "records": {"m": 1}}\n')
    with pytest.raises(RecordError):
        collect(QUESTIONS, {"m": adds}, "exact", path=path)
    assert "mine" in path.read_text()


def test_a_damaged_journal_is_named(tmp_path):
    path = tmp_path / "r.jsonl"
    journal = tmp_path / "r.jsonl.journal"
    journal.write_text('{"question": "k", "model": "m"}\n')
    with pytest.raises(RecordError, match="line 1"):
        collect(QUESTIONS, {"m": adds}, "exact", path=path)


def test_a_line_cut_short_is_done_again(tmp_path):
    path = tmp_path / "r.jsonl"
    collect(QUESTIONS, {"m": adds}, "exact", strategy="full", path=path)
    journal = tmp_path / "r.jsonl.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-15])
    records = collect(QUESTIONS, {"m": adds}, "exact", strategy="full", path=path)
    assert len(records) == 12
    assert records.spent == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"questions": []}, RecordError),
        ({"questions": ["  "]}, RecordError),
        ({"questions": "one"}, TypeError),
        ({"questions": [{"question": "misspelt"}]}, RecordError),
        ({"models": {}}, ValueError),
        ({"models": {"m": 3}}, TypeError),
        ({"models": {"a\nb": len}}, ValueError),
        ({"models": {3: len}}, ValueError),
        ({"questions": [{"query": "q", "dataset": "d" * 300}]}, RecordError),
        ({"questions": [{"query": "q", "index": 1.5}]}, RecordError),
        ({"grade": "spelling"}, ValueError),
        ({"grade": 3}, TypeError),
        ({"strategy": "all"}, ValueError),
        ({"max_calls": 0}, ValueError),
        ({"max_usd": -1.0}, ValueError),
        ({"concurrency": 0}, ValueError),
        ({"prices": {"m": (1, -1)}}, ValueError),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_asked(arguments, error):
    def never(query: str) -> str:
        raise AssertionError

    good = {"questions": ["q"], "models": {"m": never}, "grade": "exact"}
    given = {**good, **arguments}
    with pytest.raises(error):
        collect(given.pop("questions"), given.pop("models"), given.pop("grade"), **given)


@pytest.mark.parametrize(
    ("grade", "column"),
    [("exact", "reference"), ("number", "reference"), ("regex", "pattern"), ("json", "schema")],
)
def test_nobody_is_asked_what_cannot_be_graded(grade, column):
    asked = Counter()

    def counted(query: str) -> str:
        asked[query] += 1
        return "2"

    good = {"query": "1 + 1?", "reference": "2", "pattern": "2", "schema": {}}
    without = {k: v for k, v in good.items() if k != column} | {"query": "3 - 1?"}
    with pytest.raises(RecordError, match=rf"3 - 1.*{column}"):
        collect([good, without], {"m": counted}, grade)
    assert not asked
    assert len(collect([good], {"m": counted}, grade)) == 1
    assert len(collect([without], {"m": counted}, lambda row, answer: 1.0)) == 1


@needs_sigkill
def test_killed_runs_lose_and_double_nothing(tmp_path):
    path, asked, mended = tmp_path / "r.jsonl", tmp_path / "asked", tmp_path / "mended"
    for least in (20, 90):
        with child(collect_and_tell, path, asked, mended) as (run, pipe):
            while (asked.read_text().count("\n") if asked.exists() else 0) < least:
                assert not pipe.poll(0.001), "it ended before it could be killed"
        assert run.exitcode == -signal.SIGKILL
    mended.touch()
    done = collect_at_ease(path, asked, mended)
    assert (done.calls, done.spent) == (180, pytest.approx(0.18))
    records = load_records(path)
    assert len(records) == 60
    assert all(r.scores == dict.fromkeys("abc", 1.0) for r in records)
    # Asked twice were at most the calls in flight when it was killed.
    twice = [line for line, n in Counter(asked.read_text().splitlines()).items() if n > 1]
    assert len(twice) <= 2 * 8
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl.journal").read_text().splitlines()]
    places = Counter((x["question"], x["model"]) for x in lines if "answer" in x)
    assert set(places.values()) == {1}
