"""What is said in one provider's words, in another's."""

from __future__ import annotations

from typing import Any

import pytest

from avengers_core.serving.backends.wording import (
    ToolChoice,
    canonical,
    family,
    note_left_out,
    tool_words,
    worded,
)
from avengers_core.serving.history import ANTHROPIC_THINKING, MISTRAL, OPENAI_RESPONSES, OTHER

KINDS = ("openai", "openai responses", "anthropic", "bedrock", "gemini")


@pytest.mark.parametrize(
    "choice", [ToolChoice("auto"), ToolChoice("any"), ToolChoice("any", ("a",))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_is_understood(kind: str, choice: ToolChoice) -> None:
    assert ToolChoice.read(choice.said_to(kind), ["a", "b"]) == choice


@pytest.mark.parametrize("given", [None, False, 3, {}, {"type": "web_search_preview"}, [], [1]])
def test_what_is_not_understood_goes_on_as_it_is(given: Any) -> None:
    assert ToolChoice.read(given) is None
    assert tool_words(given, None, ["a"], "openai").choice == (given or None)


def test_a_tool_goes_before_a_mode_that_is_called_alike() -> None:
    assert ToolChoice.read("any", ["any"]) == ToolChoice("any", ("any",))


def test_several_tools_are_a_choice_of_tools() -> None:
    allowed = {"mode": "AUTO", "allowed_function_names": ["a", "b"]}
    words = tool_words(allowed, None, ["a", "b", "c"], "gemini")
    assert (words.choice, words.only) == ("auto", {"a", "b"})
    assert tool_words("none", None, ["a"], "bedrock").only == frozenset()
    assert tool_words("auto", None, ["a"], "openai").only is None


@pytest.mark.parametrize(
    ("kind", "choice", "parallel"),
    [
        ("openai", None, False),
        ("anthropic", {"type": "auto", "disable_parallel_tool_use": True}, None),
        ("gemini", None, None),
    ],
)
def test_whether_several_tools_may_be_called(kind: str, choice: Any, parallel: Any) -> None:
    words = tool_words(None, False, ["a"], kind)
    assert (words.choice, words.parallel) == (choice, parallel)


def test_lengths_have_one_name_each() -> None:
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        said = canonical({name: 5, "stop_sequences": ["x"], "seed": 1, "own": 2})
        assert worded(said, "gemini") == {
            "max_output_tokens": 5,
            "stop_sequences": ["x"],
            "seed": 1,
            "own": 2,
        }
        assert worded(said, "anthropic") == {"max_tokens": 5, "stop_sequences": ["x"], "own": 2}


@pytest.mark.parametrize(("name", "kind"), [("seed", "anthropic"), ("stop", "openai responses")])
def test_what_is_left_out_is_said_once(
    name: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    note_left_out.cache_clear()
    for _ in range(2):
        assert worded({name: 1, "top_p": 0.5}, kind) == {"top_p": 0.5}
    (record,) = caplog.records
    assert name in record.getMessage()
    assert kind in record.getMessage()


def test_families() -> None:
    dialects = (ANTHROPIC_THINKING, MISTRAL, OPENAI_RESPONSES, OTHER)
    assert [family(d) for d in dialects] == ["anthropic", "openai", "openai responses", "other"]
