"""Query and chat engines of the framework: the question decides, whatever was retrieved.

Every test asks an easy question over hard documents and the reverse, and looks at the server for
who answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.extractors import KeywordExtractor, SummaryExtractor, TitleExtractor
from llama_index.core.indices.property_graph import (
    DynamicLLMPathExtractor,
    SchemaLLMPathExtractor,
    SimpleLLMPathExtractor,
)
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.query_engine import CitationQueryEngine, TransformQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import TextNode
from pydantic import BaseModel
from stub_server import StubServer

from avengers_llamaindex import AvengersLLM, collect_events, routing_hint

EASY, HARD = "test/easy", "test/hard"
EASY_QUESTION = "What is the capital?"
HARD_QUESTION = "How do you prove it?"
MODES = [m for m in ResponseMode if m not in (ResponseMode.NO_TEXT, ResponseMode.CONTEXT_ONLY)]


class Answer(BaseModel):
    """An answer."""

    answer: str


@pytest.fixture(params=["easy question", "hard question"])
def case(
    request: pytest.FixtureRequest,
    hard_documents: VectorStoreIndex,
    easy_documents: VectorStoreIndex,
) -> tuple[VectorStoreIndex, str, str]:
    """An index, a question of the other kind, and who is to answer it."""
    if request.param == "easy question":
        return hard_documents, EASY_QUESTION, EASY
    return easy_documents, HARD_QUESTION, HARD


Case = tuple[VectorStoreIndex, str, str]


def sources(calls: list[Any]) -> set[str]:
    return {call.decision["question_from"] for call in calls}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", ["easy question"], indirect=True)
def test_response_modes(
    mode: ResponseMode, case: Case, llm: AvengersLLM, server: StubServer
) -> None:
    index, question, model = case
    Settings.llm = llm
    engine = index.as_query_engine(response_mode=mode, similarity_top_k=3)
    with collect_events() as calls:
        response = engine.query(question)
    assert model in str(response)
    assert set(server.answered_by) == {model}
    assert sources(calls) == {"variable"}
    assert [call.model for call in calls] == server.answered_by


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", ["hard question"], indirect=True)
async def test_response_modes_asynchronously(
    mode: ResponseMode, case: Case, llm: AvengersLLM, server: StubServer
) -> None:
    index, question, model = case
    Settings.llm = llm
    engine = index.as_query_engine(response_mode=mode, similarity_top_k=3)
    with collect_events() as calls:
        response = await engine.aquery(question)
    assert model in str(response)
    assert set(server.answered_by) == {model}
    assert sources(calls) == {"variable"}


@pytest.mark.parametrize(
    "mode", ["refine", "compact", "simple_summarize", "tree_summarize", "generation"]
)
def test_streamed_responses(mode: str, case: Case, llm: AvengersLLM, server: StubServer) -> None:
    index, question, model = case
    engine = index.as_query_engine(llm=llm, response_mode=mode, streaming=True)
    tokens = list(engine.query(question).response_gen)
    assert len(tokens) > 1
    assert model in "".join(tokens)
    assert set(server.answered_by) == {model}


async def test_a_response_streamed_asynchronously(
    case: Case, llm: AvengersLLM, server: StubServer
) -> None:
    index, question, model = case
    engine = index.as_query_engine(llm=llm, streaming=True)
    response = await engine.aquery(question)
    tokens = [token async for token in response.async_response_gen()]
    assert model in "".join(tokens)
    assert server.answered_by == [model]


@pytest.mark.parametrize("mode", ["refine", "compact", "tree_summarize"])
def test_responses_of_a_class(mode: str, case: Case, llm: AvengersLLM, server: StubServer) -> None:
    index, question, model = case
    engine = index.as_query_engine(llm=llm, response_mode=mode, output_cls=Answer)
    with collect_events() as calls:
        response = engine.query(question)
    assert isinstance(response.response, Answer)
    assert set(server.answered_by) == {model}
    assert {call.method for call in calls} == {"structured_predict"}


async def test_a_structured_llm_in_a_query_engine(
    case: Case, llm: AvengersLLM, server: StubServer
) -> None:
    index, question, model = case
    engine = index.as_query_engine(llm=llm.as_structured_llm(Answer))
    assert isinstance(engine.query(question).response, Answer)
    assert isinstance((await engine.aquery(question)).response, Answer)
    assert server.answered_by == [model, model]


def test_citation_engine(case: Case, llm: AvengersLLM, server: StubServer) -> None:
    index, question, model = case
    engine = CitationQueryEngine.from_args(index, llm=llm, citation_chunk_size=64)
    assert model in str(engine.query(question))
    assert set(server.answered_by) == {model}


def test_the_length_of_the_retrieved_text_counts_as_cost(
    hard_documents: VectorStoreIndex, make_llm: Any
) -> None:
    llm = make_llm(exclude=[EASY, "test/spare"])
    engine = hard_documents.as_query_engine(llm=llm, similarity_top_k=3)
    with collect_events() as calls:
        engine.query(EASY_QUESTION)
        llm.complete(EASY_QUESTION)
    with_text, alone = (call.decision for call in calls)
    assert with_text["prompt_tokens"] > 100
    assert alone["prompt_tokens"] is None
    assert with_text["expected_cost"] > alone["expected_cost"]


@pytest.mark.parametrize(
    "mode", ["simple", "context", "condense_question", "condense_plus_context"]
)
@pytest.mark.parametrize(  # both kinds of question in each mode, whole and streamed, in both worlds
    ("way", "case"),
    [
        ("chat", "easy question"),
        ("achat", "hard question"),
        ("stream_chat", "hard question"),
        ("astream_chat", "easy question"),
    ],
    indirect=["case"],
)
async def test_chat_engines(
    mode: str, way: str, case: Case, llm: AvengersLLM, server: StubServer
) -> None:
    index, question, model = case
    # A condensed question is what comes after a history, so the server gives one.
    server.replies["*"] = lambda body: f"{body['model']}: {question}"
    engine = index.as_chat_engine(chat_mode=mode, llm=llm)
    history = [
        ChatMessage(role=MessageRole.USER, content="Hi"),
        ChatMessage(role=MessageRole.ASSISTANT, content="Hi"),
    ]
    with collect_events() as calls:
        if way.startswith("a"):
            response = await getattr(engine, way)(question, history)
        else:
            response = await asyncio.to_thread(getattr(engine, way), question, history)
        text = str(response)
        if way == "stream_chat":
            text = "".join(response.response_gen)
        if way == "astream_chat":
            text = "".join([token async for token in response.async_response_gen()])
    assert model in text
    assert server.answered_by[-1] == model
    found = {
        "simple": ["message"],
        "context": ["variable"],
        "condense_question": ["variable", "variable"],
        "condense_plus_context": ["prompt", "variable"],
    }
    assert [call.decision["question_from"] for call in calls] == found[mode]


def test_hyde_is_decided_on_the_question(case: Case, llm: AvengersLLM, server: StubServer) -> None:
    index, question, model = case
    engine = TransformQueryEngine(
        index.as_query_engine(llm=llm), HyDEQueryTransform(llm=llm, include_original=True)
    )
    engine.query(question)
    assert server.answered_by == [model, model]


@pytest.mark.parametrize("extractor", [SummaryExtractor, KeywordExtractor, TitleExtractor])
async def test_extractors_have_no_question(extractor: type, llm: AvengersLLM) -> None:
    nodes = [TextNode(text=text) for text in ("prove the theorem", "the capital", "hello")]
    with collect_events() as calls:
        await extractor(llm=llm, show_progress=False).aextract(nodes)
    assert {call.decision["basis"] for call in calls} == {"overall"}
    assert len({call.model for call in calls}) == 1


@pytest.mark.parametrize(
    "extractor", [SimpleLLMPathExtractor, SchemaLLMPathExtractor, DynamicLLMPathExtractor]
)
async def test_graph_builders_have_no_question(extractor: type, llm: AvengersLLM) -> None:
    nodes = [TextNode(text=text) for text in ("prove the theorem", "the capital", "hello")]
    with collect_events() as calls:
        await extractor(llm=llm).acall(nodes)
    assert [call.decision["basis"] for call in calls] == ["overall"] * 3


async def test_calls_without_a_question_can_have_their_own_alpha(make_llm: Any) -> None:
    nodes = [TextNode(text="prove the theorem")]
    for alpha, model in ((0.0, EASY), (1.0, HARD)):
        llm = make_llm(no_question_alpha=alpha)
        with collect_events() as calls:
            await SummaryExtractor(llm=llm, show_progress=False).aextract(nodes)
            await llm.acomplete("prove it")
        assert [call.model for call in calls] == [model, HARD]
        assert calls[0].decision["alpha"] == alpha


def test_a_hint_overrides_what_the_framework_hands_over(
    hard_documents: VectorStoreIndex, llm: AvengersLLM, server: StubServer
) -> None:
    engine = hard_documents.as_query_engine(llm=llm)
    with routing_hint("prove the theorem"), collect_events() as calls:
        engine.query(EASY_QUESTION)
    engine.query(EASY_QUESTION)
    assert server.answered_by == [HARD, EASY]
    assert sources(calls) == {"hint"}


async def test_concurrent_queries_do_not_mix_their_questions(
    hard_documents: VectorStoreIndex, llm: AvengersLLM, server: StubServer
) -> None:
    engine = hard_documents.as_query_engine(llm=llm)

    async def ask(i: int) -> tuple[str, str | None, str]:
        question = f"{'prove' if i % 2 else 'capital'} number {i}"
        with collect_events() as calls:
            if i % 4 < 2:
                response = await engine.aquery(question)
            else:
                with routing_hint(question):
                    response = await engine.aquery("hello or theorem")
        assert len(calls) == 1
        return HARD if i % 2 else EASY, calls[0].model, str(response)

    for expected, model, text in await asyncio.gather(*map(ask, range(40))):
        assert model == expected
        assert expected in text
    assert len(server.answered_by) == 40
