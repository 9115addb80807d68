"""What counts as prompt, and what goes before whatever is found in it."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from avengers_core.serving.question import routing_hint
from avengers_llamaindex.question import from_messages, from_template, from_text, from_tools


def test_length_counts_where_there_is_more_than_the_question() -> None:
    assert from_text("a question").prompt_tokens is None
    prompt = PromptTemplate("{context_str} {query_str}")
    request = from_template(prompt, {"context_str": "x" * 4000, "query_str": "q"})
    assert request.prompt_tokens is not None
    assert 1000 <= request.prompt_tokens <= 1020
    assert request.needs[0].tokens == request.prompt_tokens
    assert from_messages([ChatMessage("x" * 4000), ChatMessage("q")], {}).needs[0].tokens >= 1000


class Song(BaseModel):
    """A song."""

    title: str = Field(description="t" * 4000)


def test_schemas_count_as_prompt() -> None:
    structured = from_template(PromptTemplate("q"), {}, Song)
    ways = [(need.structured_output, need.tools) for need in structured.needs]
    assert ways == [(True, False), (False, True)]
    assert structured.needs[0].tokens > 1000
    tool = FunctionTool.from_defaults(lambda title: title, name="sing", fn_schema=Song)
    with_tools = from_tools([tool], "q")
    assert with_tools.needs[0].tools
    assert with_tools.needs[0].tokens > 1000
    raw = from_messages([ChatMessage("q")], {"tools": [{"parameters": "t" * 4000}]})
    assert raw.needs[0].tools
    assert raw.needs[0].tokens > 1000
    assert not from_messages([ChatMessage("q")], {"tools": None}).needs[0].tools
    schema = from_messages([ChatMessage("q")], {"response_format": {"type": "json_object"}})
    assert schema.needs[0].structured_output


def test_a_hint_comes_first() -> None:
    prompt = PromptTemplate("{query_str}")
    with routing_hint("h"):
        assert tuple(from_template(prompt, {"query_str": "q"}).question) == ("h", "hint")
        assert from_text("p").question.text == from_tools([], "p").question.text == "h"
    assert from_text("p").question.text == "p"
