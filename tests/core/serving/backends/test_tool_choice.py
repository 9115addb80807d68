"""Which tools have to be called, said in one provider's words and told in another's."""

from __future__ import annotations

from typing import Any

import pytest

from avengers_core.serving.backends.tool_choice import ToolChoice, tool_words
from avengers_core.serving.history import Protocol

PROTOCOLS: tuple[Protocol, ...] = ("openai", "openai responses", "anthropic", "bedrock", "gemini")


@pytest.mark.parametrize(
    "choice", [ToolChoice("auto"), ToolChoice("any"), ToolChoice("any", ("a",))]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_said_is_understood(protocol: Protocol, choice: ToolChoice) -> None:
    assert ToolChoice.read(choice.said_to(protocol), ["a", "b"]) == choice


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
    ("protocol", "choice", "parallel"),
    [
        ("openai", None, False),
        ("anthropic", {"type": "auto", "disable_parallel_tool_use": True}, None),
        ("gemini", None, None),
    ],
)
def test_whether_several_tools_may_be_called(
    protocol: Protocol, choice: Any, parallel: Any
) -> None:
    words = tool_words(None, False, ["a"], protocol)
    assert (words.choice, words.parallel) == (choice, parallel)
