"""Calls of traced runs, joined by id with feedback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import import_records

RUN = {"run_type": "llm", "inputs": {"question": "Why?"}}


def written(file: Path, rows: list[Any]) -> Path:
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def run(id_: str, parent: str | None = None, model: str | None = None, **more: Any) -> Any:
    extra = {"metadata": {"ls_model_name": model}} if model else {}
    kind = "llm" if model else "chain"
    return {**RUN, "id": id_, "parent_run_id": parent, "run_type": kind, "extra": extra, **more}


def stats(score: float) -> dict[str, Any]:
    return {"feedback_stats": {"ok": {"n": 1, "avg": score}}}


def test_the_nearest_feedback_counts(tmp_path: Path) -> None:
    rows = [
        run("root", **stats(0)),
        run("step", "root", **stats(0.5)),
        run("a", "step", "m"),
        run("b", "step", "n", **stats(1)),
        run("c", "root", "o"),
        run("d", "gone", "p", trace_id="root"),
        run("e", "gone", "q"),
    ]
    records = load_records(import_records(written(tmp_path / "r.jsonl", rows)))
    assert [r.scores for r in records] == [{"m": 0.5, "n": 1, "o": 0, "p": 0}]


def test_steps_in_a_circle_end(tmp_path: Path) -> None:
    rows = [run("a", "b", "m"), run("b", "a", **stats(1))]
    (record,) = load_records(import_records(written(tmp_path / "r.jsonl", rows)))
    assert record.scores == {"m": 1}


@pytest.mark.parametrize(
    "feedback",
    [
        [{"run_id": "a", "score": 0.5}],
        [{"id": "a", "value": "0.5"}],
        [
            {"id": "own id", "run_id": "a", "key": "ok", "score": 1},
            {"run_id": "a", "score": 0, "key": "ok"},
        ],
    ],
)
def test_feedback_from_a_file_of_its_own(tmp_path: Path, feedback: list[Any]) -> None:
    calls = written(tmp_path / "r.jsonl", [run("a", None, "m"), run("b", None, "n")])
    scores = written(tmp_path / "s.jsonl", [*feedback, {"score": 1}])
    records = load_records(import_records(calls, feedback=scores))
    assert [r.scores for r in records] == [{"m": 0.5}]
    assert [p.line for p in records.problems] == [len(feedback) + 1]


def test_scores_of_one_name_count_by_their_mean_and_once(tmp_path: Path) -> None:
    told = [{"key": "ok", "score": score} for score in (0, 1, 1, 1)]
    rows = [run("a", None, "m", **stats(0), feedback=told)]
    (record,) = load_records(import_records(written(tmp_path / "r.jsonl", rows)))
    assert record.scores == {"m": 0.75}


def test_scores_of_steps_that_are_not_there_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls = written(tmp_path / "r.jsonl", [run("a", "chain", "m", trace_id="trace")])
    strange = {"run_id": "strange", "score": 1}
    scores = written(tmp_path / "s.jsonl", [strange, {"run_id": "trace", "score": 1}])
    assert len(load_records(import_records(calls, feedback=scores))) == 1
    assert "strange" in caplog.text
    with pytest.raises(RecordError, match=r"strange.*'a'"):
        list(import_records(calls, feedback=written(tmp_path / "t.jsonl", [strange])))


def test_feedback_is_for_calls_that_have_none(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text("query,model_name,performance\nq,m,1\n")
    with pytest.raises(RecordError, match="feedback="):
        list(import_records(file, feedback=file))
    with pytest.raises(RecordError, match="nowhere"):
        import_records(file, feedback=tmp_path / "nowhere")


def test_spans_as_the_console_prints_them(tmp_path: Path) -> None:
    def span(id_: str, model: str) -> dict[str, Any]:
        return {
            "name": "chat",
            "context": {"trace_id": "0x01", "span_id": f"0x{id_}", "trace_state": "[]"},
            "kind": "SpanKind.CLIENT",
            "parent_id": None,
            "attributes": {
                "llm.request.type": "chat",
                "gen_ai.request.model": model,
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Why?",
            },
            "events": [],
            "resource": {"attributes": {"service.name": "shop"}},
        }

    text = "\n".join(json.dumps(span(*s), indent=4) for s in [("a1", "m"), ("a2", "n")])
    (tmp_path / "spans.json").write_text(text)
    scores = written(tmp_path / "s.jsonl", [{"span_id": "a1", "score": 1}])
    (record,) = load_records(import_records(tmp_path / "spans.json", feedback=scores))
    assert (record.query, record.scores, record.dataset) == ("Why?", {"m": 1}, "shop")


def test_a_table_of_phoenix(tmp_path: Path) -> None:
    (tmp_path / "spans.csv").write_text(
        "context.span_id,context.trace_id,span_kind,parent_id,attributes.llm.model_name,"
        "attributes.input.value,attributes.llm.token_count.prompt\n"
        "a,t,LLM,b,m,Why?,5\nb,t,CHAIN,,,Why?,\n"
    )
    scores = written(tmp_path / "s.jsonl", [{"context.span_id": "b", "score": 0, "label": "bad"}])
    (record,) = load_records(import_records(tmp_path / "spans.csv", feedback=scores))
    assert (record.scores, record.usages["m"].prompt_tokens) == ({"m": 0}, 5)


MESSAGE = "attributes.llm.input_messages.0.message"


@pytest.mark.parametrize("kind", ["span_kind", "attributes.openinference.span.kind"])
def test_a_table_with_a_column_for_each_part_of_a_message(tmp_path: Path, kind: str) -> None:
    (tmp_path / "spans.csv").write_text(
        f"name,{kind},parent_id,status_code,events,context.trace_id,context.span_id,"
        f"attributes.input.value,{MESSAGE}.role,{MESSAGE}.content,attributes.llm.model_name\n"
        "ChatCompletion,LLM,,OK,[],t,a,{},user,Why?,m\n"
        "agent,AGENT,,OK,[],t,b,,,,\n"
    )
    scores = written(tmp_path / "s.jsonl", [{"span_id": "a", "score": 1}])
    (record,) = load_records(import_records(tmp_path / "spans.csv", feedback=scores))
    assert (record.query, record.scores, record.dataset) == ("Why?", {"m": 1}, "phoenix")


def test_spans_with_their_ids_beside_their_attributes(tmp_path: Path) -> None:
    attributes = {"openinference.span.kind": "LLM", "llm.model_name": "m", "input.value": "Why?"}
    ids = {"span_id": "a", "trace_id": "t", "parent_id": None, "kind": "INTERNAL"}
    spans = written(tmp_path / "spans.jsonl", [{**ids, "attributes": attributes}])
    scores = written(tmp_path / "s.jsonl", [{"span_id": "a", "score": 1}])
    (record,) = load_records(import_records(spans, feedback=scores))
    assert (record.query, record.scores, record.dataset) == ("Why?", {"m": 1}, "opentelemetry")


def test_scores_in_words_are_none(tmp_path: Path) -> None:
    observation = {"id": "o", "model": "m", "input": "Why?"}
    score = {"observation_id": "o", "name": "comment", "value": 0, "string_value": "excellent"}
    for kind in ("TEXT", "CATEGORICAL"):
        trace = {"id": "t", "observations": [observation], "scores": [{**score, "dataType": kind}]}
        with pytest.raises(RecordError):
            list(import_records(written(tmp_path / "t.json", [trace])))
