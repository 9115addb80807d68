"""Exports of LangSmith and Langfuse."""

from __future__ import annotations

import csv
import json

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import import_records
from avengers_core.importers.questions import question_of


def smith(question, model, score, **more):
    return {
        "id": f"{question}-{model}",
        "run_type": "llm",
        "session_name": "support",
        "inputs": {"messages": [{"role": "user", "content": question}]},
        "outputs": {},
        "extra": {"metadata": {"ls_model_name": model}},
        "feedback_stats": None if score is None else {"helpful": {"n": 1, "avg": score}},
        "total_cost": "0.002",
        "prompt_tokens": 12,
        "completion_tokens": 3,
        **more,
    }


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_langsmith_runs_on_one_question_become_one_record(tmp_path, caplog):
    rows = [
        smith("q1", "gpt-5", 5),
        smith("q1", "qwen", 1),
        smith("q2", "qwen", 3),
        smith("q3", "qwen", None),
        {**smith("chain", "", 4), "run_type": "chain", "extra": {}},
        smith("q4", "qwen", 9),
    ]
    file = write(tmp_path / "runs.jsonl", rows)
    records = load_records(import_records(file, scale=(1, 5)))
    assert [(r.query, r.scores) for r in records] == [
        ("q1", {"gpt-5": 1.0, "qwen": 0.0}),
        ("q2", {"qwen": 0.5}),
    ]
    assert records[0].usages["gpt-5"].cost == 0.002
    assert records.datasets == ("support",)
    assert [p.reason for p in records.problems] == [
        "runs.jsonl: the score 9 lies outside of [1, 5]"
    ]
    assert records.problems[0].line == 6
    assert "1 of 5" in caplog.text


def test_langsmith_as_a_table(tmp_path):
    file = tmp_path / "runs.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(
            ["id", "run_type", "inputs", "outputs", "model", "feedback.helpful", "total_cost"]
        )
        writer.writerow(["1", "llm", '{"question": "Why?"}', "{}", "gpt-5", "1", "0.01"])
        writer.writerow(["2", "llm", '{"question": "How?"}', "{}", "gpt-5", "", ""])
    records = load_records(import_records(file))
    assert [(r.query, r.scores) for r in records] == [("Why?", {"gpt-5": 1.0})]


def test_the_score_has_to_be_named_where_there_are_several(tmp_path):
    two = {"helpful": {"avg": 1}, "correct": {"avg": 0}}
    file = write(tmp_path / "r.jsonl", [smith("q", "m", 1, feedback_stats=two)])
    with pytest.raises(RecordError, match=r"\['correct', 'helpful'\].*score_key="):
        list(import_records(file))
    with pytest.raises(RecordError, match="nice"):
        list(import_records(file, score_key="nice"))
    assert load_records(import_records(file, score_key="correct"))[0].scores == {"m": 0}


def test_nothing_scored_is_an_error(tmp_path):
    with pytest.raises(RecordError, match=r"\b1\b"):
        list(import_records(write(tmp_path / "r.jsonl", [smith("q", "m", None)])))
    chains = [{"run_type": "chain", "inputs": {"question": "q"}}]
    with pytest.raises(RecordError, match=r"c\.jsonl"):
        list(import_records(write(tmp_path / "c.jsonl", chains)))


def test_a_run_without_a_question_is_reported(tmp_path):
    rows = [smith("q", "m", 1), smith("", "m", 1)]
    records = load_records(import_records(write(tmp_path / "r.jsonl", rows)))
    assert len(records) == 1
    assert "no question found" in records.problems[0].reason


OBSERVATIONS = [
    {
        "id": "o1",
        "trace_id": "t1",
        "trace_name": "chat",
        "type": "GENERATION",
        "provided_model_name": "gpt-5",
        "input": json.dumps([{"role": "user", "content": "Why?"}]),
        "usage_details": {"input": 9, "output": 4, "total": 13},
        "cost_details": {"total": 0.03},
    },
    {"id": "o2", "trace_id": "t1", "type": "SPAN", "input": "x"},
    {
        "id": "o3",
        "trace_id": "t2",
        "trace_name": "chat",
        "type": "GENERATION",
        "provided_model_name": "qwen",
        "input": {"messages": [{"role": "user", "content": "Why?"}]},
        "total_cost": 0.001,
    },
]
SCORES = [
    {"trace_id": "t1", "observation_id": "o1", "name": "ok", "value": 1},
    {"trace_id": "t2", "observation_id": None, "name": "ok", "value": 0.25},
]


def test_langfuse_files_of_observations_and_scores(tmp_path):
    write(tmp_path / "observations.jsonl", OBSERVATIONS)
    write(tmp_path / "scores.jsonl", SCORES)
    records = load_records(import_records(tmp_path))
    assert [(r.query, r.scores) for r in records] == [("Why?", {"gpt-5": 1.0, "qwen": 0.25})]
    assert records[0].usages["gpt-5"].cost == 0.03
    assert records[0].usages["gpt-5"].completion_tokens == 4
    assert records[0].usages["qwen"].cost == 0.001


def test_langfuse_trace_downloaded_from_the_page(tmp_path):
    trace = {
        "trace": {"id": "t1", "name": "chat"},
        "observations": [
            {"id": "o1", "traceId": "t1", "model": "gpt-5", "input": "Why?", "totalCost": 0.1}
        ],
        "scores": [{"traceId": "t1", "observationId": "o1", "name": "ok", "value": 1}],
    }
    (tmp_path / "trace-t1.json").write_text(json.dumps(trace))
    records = load_records(import_records(tmp_path / "trace-t1.json"))
    assert [(r.query, r.scores, r.dataset) for r in records] == [("Why?", {"gpt-5": 1}, "chat")]
    assert records[0].usages["gpt-5"].cost == 0.1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"extra": [1]}, "expected an object as extra, got '[1]'"),
        ({"extra": {"metadata": "x"}}, "expected an object as metadata, got 'x'"),
        ({"feedback_stats": 3}, "expected an object as feedback_stats, got '3'"),
        ({"feedback": [1]}, "expected an object as score, got '1'"),
        ({"feedback": [{"score": 1}]}, "no 'name'"),
        ({"feedback": 7}, "expected a list of scores, got '7'"),
        ({"prompt_tokens": [1]}, "expected a number, got '[1]'"),
        ({"inputs": {"messages": [{"id": {"a": 1}}]}}, "no question found"),
        ({"inputs": {"messages": [{"type": "user", "kwargs": 1}]}}, "expected an object as kwargs"),
    ],
)
def test_runs_of_langsmith_that_do_not_fit_are_reported(tmp_path, changes, reason):
    rows = [smith("q1", "m", 1), {**smith("q2", "m", 1), **changes}]
    records = load_records(import_records(write(tmp_path / "r.jsonl", rows)))
    assert len(records) == 1
    (problem,) = records.problems
    assert problem.line == 2
    assert problem.reason.startswith(f"r.jsonl: {reason}")


def test_an_export_of_nothing_but_problems_gives_these(tmp_path):
    file = write(tmp_path / "r.jsonl", [{"run_type": "llm", "extra": [1]}])
    (problem,) = load_records(import_records(file)).problems
    assert "extra" in problem.reason


def test_names_of_scores_may_be_of_any_type(tmp_path):
    rows = [smith("q", "m", 1, feedback=[{"key": None, "score": 1}])]
    with pytest.raises(RecordError, match=r"\['None', 'helpful'\]"):
        list(import_records(write(tmp_path / "r.jsonl", rows)))


def test_what_does_not_fit_in_a_trace_of_langfuse_is_reported_and_the_rest_kept(tmp_path):
    good = {"id": 7, "model": "gpt-5", "input": "Why?"}
    trace = {
        "trace": "t1",
        "id": "t1",
        "name": "chat",
        "observations": [
            1,
            {**good, "input": []},
            {**good, "usage": [1]},
            {**good, "scores": 5},
            {**good, "traceId": "t1"},
        ],
        "scores": [
            {"name": "ok", "value": "great"},
            "x",
            {"observationId": 7, "name": "ok", "value": 1},
        ],
    }
    records = load_records(import_records(write(tmp_path / "r.jsonl", [trace])))
    assert [(r.query, r.scores, r.dataset) for r in records] == [("Why?", {"gpt-5": 1}, "chat")]
    assert sorted(p.reason for p in records.problems) == [
        "r.jsonl: expected a list of scores, got '5'",
        "r.jsonl: expected a number, got 'great'",
        "r.jsonl: expected an object as observation or score, got '1'",
        "r.jsonl: expected an object as observation or score, got 'x'",
        "r.jsonl: expected an object as usage, got '[1]'",
        "r.jsonl: no question found in the input '[]'",
    ]
    assert {p.line for p in records.problems} == {1}


@pytest.mark.parametrize(
    "value",
    [
        "Why?",
        {"question": "Why?"},
        {"input": {"query": "Why?"}},
        {"prompts": ["Why?"]},
        '{"messages": [{"type": "human", "content": "Why?"}]}',
        [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Why?"}],
        [[{"id": ["langchain", "HumanMessage"], "kwargs": {"content": "Why?"}}]],
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}],
    ],
)
def test_the_question_is_found(value):
    assert question_of(value) == "Why?"


@pytest.mark.parametrize("value", [None, "", {}, [], {"messages": []}, 3])
def test_no_question_is_an_error(value):
    with pytest.raises(ValueError, match="question"):
        question_of(value)


def test_scores_on_another_scale_are_not_taken_for_shares(tmp_path):
    file = tmp_path / "runs.jsonl"
    runs = [smith(f"q{i}", "m", i) for i in range(1, 6)]
    file.write_text("\n".join(map(json.dumps, runs)))
    with pytest.raises(RecordError, match=r"\[1, 5\].*\[0, 1\].*--scale"):
        list(import_records(file))
    assert len(load_records(import_records(file, scale=(1, 5)))) == 5
    kept = load_records(import_records(file, scale=(0, 1)))
    assert (len(kept), len(kept.problems)) == (1, 4)


def test_a_spend_log_without_messages_is_told_apart(tmp_path):
    call = {
        "request_id": "a",
        "call_type": "acompletion",
        "model": "gpt-4o",
        "spend": 0.001,
        "status": "success",
        "messages": "{}",
        "proxy_server_request": "{}",
    }
    sent = json.dumps({"messages": [{"role": "user", "content": "Who wrote it?"}]})
    file = write(
        tmp_path / "spend.jsonl",
        [call, {**call, "request_id": "b"} | {"proxy_server_request": sent}],
    )
    grades = write(tmp_path / "grades.jsonl", [{"request_id": i, "score": 1} for i in "ab"])
    records = load_records(import_records(file, feedback=grades))
    assert [r.query for r in records] == ["Who wrote it?"]
    (problem,) = records.problems
    assert "store_prompts_in_spend_logs" in problem.reason


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"response_cost": 0.0, "response_cost_failure_debug_info": {"error_str": "?"}}, None),
        ({"response_cost": 0.0, "model_map_information": {"model_map_value": None}}, None),
        ({"spend": 0, "metadata": '{"model_map_information": {"model_map_value": null}}'}, None),
        ({"response_cost": 0.2, "model_map_information": {"model_map_value": None}}, 0.2),
        ({"response_cost": 0.0, "model_map_information": {"model_map_value": {"key": "m"}}}, 0),
        ({"spend": 0}, 0),
    ],
)
def test_a_call_whose_price_litellm_did_not_know_is_not_free(tmp_path, told, cost):
    call = {"request_id": "a", "call_type": "completion", "model": "m", "model_group": ""}
    asked = {"messages": [{"role": "user", "content": "Why?"}]}
    file = write(tmp_path / "spend.jsonl", [call | asked | told])
    grades = write(tmp_path / "grades.jsonl", [{"request_id": "a", "score": 1}])
    (record,) = load_records(import_records(file, layout="litellm", feedback=grades))
    usage = record.usages.get("m")
    assert (usage and usage.cost) == cost


@pytest.mark.parametrize("prefix", ["", "0x"])
def test_grades_may_have_ids_as_python_prints_them(tmp_path, prefix):
    question = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Who?"}]}])
    span = {
        "name": "chat gpt-4o",
        "context": {"trace_id": "0x" + "a" * 32, "span_id": "0x" + "b" * 16},
        "parent_id": None,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.input.messages": question,
        },
    }
    file = write(tmp_path / "spans.jsonl", [span])
    grades = write(tmp_path / "grades.jsonl", [{"trace_id": prefix + "a" * 32, "score": 1}])
    (record,) = load_records(import_records(file, feedback=grades))
    assert record.scores == {"gpt-4o": 1.0}


def test_a_span_without_messages_is_told_apart(tmp_path):
    spans = [
        {
            "context": {"trace_id": i * 32, "span_id": i * 16},
            "attributes": {"gen_ai.request.model": "gpt-4o", **more},
        }
        for i, more in (("a", {}), ("b", {"gen_ai.prompt": "Who wrote it?"}))
    ]
    grades = write(tmp_path / "g.jsonl", [{"span_id": i * 16, "score": 1} for i in "ab"])
    file = write(tmp_path / "spans.jsonl", spans)
    records = load_records(import_records(file, feedback=grades))
    assert [r.query for r in records] == ["Who wrote it?"]
    (problem,) = records.problems
    assert "messages" in problem.reason


def test_ids_may_be_in_base64(tmp_path):
    attributes = {
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": "Who?"}]),
    }
    span = {
        "traceId": "zrfGYK7C9lbX6QubOy1r7Q==",
        "spanId": "1IqUPQJNQSM=",
        "name": "chat",
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()],
    }
    file = tmp_path / "spans.json"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    grades = [{"span_id": "d48a943d024d4123", "score": 1}]
    (record,) = load_records(
        import_records(file, feedback=write(tmp_path / "grades.jsonl", grades))
    )
    assert record.scores == {"gpt-4o": 1.0}


def otlp(span_attributes, events=()):
    attributes = [{"key": k, "value": v} for k, v in span_attributes.items()]
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "attributes": attributes, "events": [*events]}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


CALL = {
    "gen_ai.operation.name": {"stringValue": "chat"},
    "gen_ai.request.model": {"stringValue": "m"},
    "gen_ai.usage.input_tokens": {"intValue": "10"},
}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]
ASKED_VALUE = {"stringValue": json.dumps(ASKED)}
GRADE = [
    {"key": "gen_ai.evaluation.name", "value": {"stringValue": "Relevance"}},
    {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.25}},
]


def logged(name, attributes, **more):
    record = {"spanId": "b" * 16, "eventName": name, "attributes": attributes, **more}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {"body": "of no span"}]}]}]}


@pytest.mark.parametrize(
    "messages",
    [
        logged(
            "gen_ai.client.inference.operation.details",
            [{"key": "gen_ai.input.messages", "value": ASKED_VALUE}],
        ),
        logged(
            "gen_ai.user.message",
            [],
            body={
                "kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "Why?"}}]}
            },
        ),
        {
            "body": {"content": "Why?"},
            "severity_number": 9,
            "attributes": {"event.name": "gen_ai.user.message"},
            "trace_id": f"0x{'a' * 32}",
            "span_id": f"0x{'b' * 16}",
        },
    ],
)
def test_log_records_are_events_of_their_spans(tmp_path, messages):
    """Newer instrumentations write messages, and graders their results, to the log."""
    for name, content in (
        ("spans", otlp(CALL)),
        ("logs", messages),
        ("grades", logged("gen_ai.evaluation.result", GRADE)),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (record,) = load_records(import_records(tmp_path))
    assert (record.query, record.scores) == ("Why?", {"m": 0.25})
    assert record.usages["m"].prompt_tokens == 10


@pytest.mark.parametrize("key", ["ai.prompt.messages", "ai.prompt"])
def test_messages_under_the_names_of_vercel_are_found(tmp_path, key):
    asked = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]}
    value = asked if key == "ai.prompt" else asked["messages"]
    event = {"name": "gen_ai.evaluation.result", "attributes": GRADE}
    spans = otlp({**CALL, key: {"stringValue": json.dumps(value)}}, [event])
    (tmp_path / "t.json").write_text(json.dumps(spans))
    (record,) = load_records(import_records(tmp_path / "t.json"))
    assert (record.query, record.scores) == ("Why?", {"m": 0.25})


@pytest.mark.parametrize("logs", [5, [5], [[{"spanId": "a"}]], [{"scopeLogs": 5}], ["x"]])
def test_damaged_logs_are_problems_and_the_spans_beside_them_are_read(tmp_path, logs):
    call = {
        "spanId": "a",
        "traceId": "t",
        "attributes": {"gen_ai.request.model": "m", "input": "Why?"},
    }
    thumb = {"span_id": "a", "score": 1}
    file = write(tmp_path / "spans.jsonl", [{"resourceLogs": logs}, call, thumb])
    records = load_records(import_records(file, "opentelemetry"))
    assert [(r.query, r.scores) for r in records] == [("Why?", {"m": 1})]


@pytest.mark.parametrize("spans", [[0], [None], [[]]])
def test_what_is_no_resource_is_a_problem(tmp_path, spans):
    call = {
        "spanId": "a",
        "traceId": "t",
        "attributes": {"gen_ai.request.model": "m", "input": "q"},
    }
    rows = [{"resourceSpans": spans}, call, {"span_id": "a", "score": 1}]
    records = load_records(import_records(write(tmp_path / "spans.jsonl", rows), "opentelemetry"))
    assert [r.scores for r in records] == [{"m": 1}]
    assert [p.line for p in records.problems] == [1]
