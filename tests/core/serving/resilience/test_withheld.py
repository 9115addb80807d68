"""Why an answer was withheld, in the words of each provider."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace

import pytest

from avengers_core.serving.resilience.withheld import broke_off_in, ended_in, refusal_in, stopped_in


class Reason(Enum):
    SAFETY = "SAFETY"
    STOP = "STOP"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"stop_reason": "refusal"}, "refusal"),
        ({"stopReason": "guardrail_intervened"}, "guardrail_intervened"),
        ({"delta": SimpleNamespace(stop_reason="refusal")}, "refusal"),
        ({"finish_reason": Reason.SAFETY}, "safety"),
        ({"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}}, "prohibited_content"),
        ({"candidates": [{"finish_reason": "BLOCKLIST"}]}, "blocklist"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
        (
            {"response": SimpleNamespace(incomplete_details={"reason": "content_filter"})},
            "content_filter",
        ),
        ({"choices": [{"finish_reason": "sensitive"}]}, "sensitive"),
        (
            SimpleNamespace(
                output=[
                    {"type": "reasoning", "content": None},
                    SimpleNamespace(content=[{"type": "refusal", "refusal": "I cannot."}]),
                ]
            ),
            "refusal",
        ),
        (
            SimpleNamespace(
                choices=[SimpleNamespace(finish_reason="stop", message={"refusal": "I cannot."})]
            ),
            "refusal",
        ),
        (SimpleNamespace(choices=[SimpleNamespace(finish_reason="stop")]), None),
        ({"finish_reason": Reason.STOP, "prompt_feedback": None, "choices": None}, None),
        (None, None),
        ("text", None),
    ],
)
def test_reasons(told, reason):
    assert refusal_in(told) == reason


@pytest.mark.parametrize(
    ("told", "stopped"),
    [
        ({"finish_reason": "stop"}, True),
        ({"stop_reason": "stop_sequence"}, True),
        ({"stopReason": "stop_sequence"}, True),
        ({"done_reason": "stop"}, True),
        ({"candidates": [{"finish_reason": Reason.STOP}]}, True),
        (SimpleNamespace(choices=[SimpleNamespace(finish_reason="length")]), False),
        (None, False),
    ],
)
def test_ends_at_a_stop_sequence(told, stopped):
    assert stopped_in(told) is stopped


@pytest.mark.parametrize(
    ("told", "ended"),
    [
        ({"choices": [{"finish_reason": None}]}, False),
        ({"choices": [{"finish_reason": "length"}]}, True),
        ({"choices": [{"finish_reason": "insufficient_system_resource"}]}, False),
        ({"stop_reason": None}, False),
        ({"stop_reason": "end_turn"}, True),
        (SimpleNamespace(type="response.created", response={"status": "in_progress"}), False),
        (SimpleNamespace(type="response.completed", response={"status": "completed"}), True),
        (SimpleNamespace(type="response.failed", response={"status": "failed"}), False),
        ({"model": "m"}, None),
        (None, None),
    ],
)
def test_ends(told, ended):
    assert ended_in(told) is ended


@pytest.mark.parametrize(
    "reason", ["error", "insufficient_system_resource", "network_error", "MALFORMED_FUNCTION_CALL"]
)
def test_breaks_off(reason):
    assert broke_off_in({"finish_reason": reason})
    assert not broke_off_in({"finish_reason": "stop"})
