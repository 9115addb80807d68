"""Structured prediction: through tools, a JSON schema or plain text, as each backend does it."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.llm import LLM
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel
from stub_server import StubServer

from avengers_llamaindex import AvengersLLM, Capabilities, collect_events

EASY, HARD = "test/easy", "test/hard"
METHODS = [
    "structured_predict",
    "astructured_predict",
    "stream_structured_predict",
    "astream_structured_predict",
]
PROMPT = PromptTemplate("Invent a song about {topic}.")


class Song(BaseModel):
    """A song."""

    title: str
    bars: int


@pytest.mark.parametrize(
    ("json_schema", "topic", "model"), [(False, "the capital", EASY), (True, "a theorem", HARD)]
)
@pytest.mark.parametrize("method", METHODS)
async def test_the_family(  # noqa: PLR0917 (parameters and fixtures)
    method: str,
    topic: str,
    model: str,
    json_schema: bool,
    llm: AvengersLLM,
    backends: dict[str, LLM],
    server: StubServer,
) -> None:
    for backend in backends.values():
        backend.should_use_structured_outputs = json_schema
    with collect_events() as calls:
        song = await last(getattr(llm, method)(Song, PROMPT, topic=f"'Hey', 8, {topic}"))
    assert (song.title, song.bars) == ("Hey", 8)
    assert server.answered_by == [model]
    assert ("response_format" in server.requests[0].body) == json_schema
    assert [(c.method, c.model) for c in calls] == [(method, model)]
    assert calls[0].decision["question_from"] == "template"


def test_text_completion_where_a_backend_has_neither(
    llm: AvengersLLM, backends: dict[str, LLM], server: StubServer
) -> None:
    backends[EASY].is_function_calling_model = False
    server.replies[EASY] = lambda body: '{"title": "plain", "bars": 1}'
    assert llm.structured_predict(Song, PROMPT, topic="the capital").title == "plain"


async def test_as_structured_llm(llm: AvengersLLM, server: StubServer) -> None:
    structured = llm.as_structured_llm(Song)
    messages = [ChatMessage(role="system", content="capital"), ChatMessage(content="prove 'it' 3")]
    assert structured.chat(messages).raw == Song(title="it", bars=3)
    assert (await structured.achat(messages)).raw == Song(title="it", bars=3)
    assert list(structured.stream_chat(messages))[-1].raw.bars == 3
    chunks = [chunk async for chunk in await structured.astream_chat(messages)]
    assert chunks[-1].raw.bars == 3
    assert structured.complete("prove 'it' 3").raw == Song(title="it", bars=3)
    assert server.answered_by == [HARD] * 5


def test_llm_kwargs_of_one_attempt_do_not_reach_the_next(
    make_llm: Any, backends: dict[str, LLM], server: StubServer
) -> None:
    # The first backend adds a response format to the dictionary that it is given.
    backends[HARD].should_use_structured_outputs = True
    server.fail(HARD, status=503)
    options = {"user": "me"}
    song = make_llm().structured_predict(Song, PROMPT, options, topic="a theorem, 2")
    assert song.bars == 2
    assert server.asked == [HARD, "test/spare"]
    assert "response_format" in server.requests[0].body
    assert "response_format" not in server.requests[1].body
    assert {r.body["user"] for r in server.requests} == {"me"}
    assert options == {"user": "me"}


def test_a_program_around_the_router(llm: AvengersLLM, server: StubServer) -> None:
    program = FunctionCallingProgram.from_defaults(Song, llm=llm, prompt=PROMPT)
    assert program(topic="'x', a theorem, 5") == Song(title="x", bars=5)
    assert server.answered_by == [HARD]


def test_only_models_that_can_fill_a_class_are_asked(make_llm: Any, server: StubServer) -> None:
    through_tools = Capabilities(structured_output=False)
    not_at_all = Capabilities(structured_output=False, tools=False)
    for able, model in ((through_tools, HARD), (not_at_all, "test/spare")):
        llm = make_llm(capabilities={HARD: able})
        llm.structured_predict(Song, PROMPT, topic="a theorem")
        assert server.answered_by[-1] == model


async def last(result: Any) -> Any:
    """The object that any of the four forms gives; of a stream, the last."""
    if hasattr(result, "__await__"):
        result = await result
    if hasattr(result, "__aiter__"):
        return [item async for item in result][-1]
    return list(result)[-1] if hasattr(result, "__next__") else result
