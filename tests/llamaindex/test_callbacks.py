"""Callbacks, events and spans: what observers see is what they would see of the backend alone."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, TokenCountingHandler
from llama_index.core.callbacks.llama_debug import LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, PrivateAttr
from stub_server import StubServer

from avengers_core import Router
from avengers_llamaindex import AvengersLLM, RoutingEvent, collect_events

EASY, HARD = "test/easy", "test/hard"
MESSAGES = [ChatMessage(content="prove the theorem 3")]
PROMPT = PromptTemplate("Prove {what}")


class Song(BaseModel):
    """A song."""

    title: str


def add(a: int) -> int:
    """Adds."""
    return a


CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "chat": ((MESSAGES,), {}),
    "complete": (("prove it",), {}),
    "predict": ((PROMPT,), {"what": "a theorem"}),
    "structured_predict": ((Song, PROMPT), {"what": "a theorem"}),
    "chat_with_tools": (([FunctionTool.from_defaults(add)],), {"chat_history": MESSAGES}),
    "stream_chat": ((MESSAGES,), {}),
    "stream_complete": (("prove it",), {}),
    "stream": ((PROMPT,), {"what": "a theorem"}),
    "stream_structured_predict": ((Song, PROMPT), {"what": "a theorem"}),
    "stream_chat_with_tools": (
        ([FunctionTool.from_defaults(add)],),
        {"chat_history": MESSAGES},
    ),
}
CALLS |= {f"a{name}": call for name, call in CALLS.items()}


class Seen(BaseEventHandler):
    """Keeps all events."""

    _events: list[BaseEvent] = PrivateAttr(default_factory=list)

    def handle(self, event: BaseEvent, **_: Any) -> None:
        self._events.append(event)

    def of(self, kind: type[BaseEvent]) -> list[Any]:
        return [event for event in self._events if isinstance(event, kind)]


@pytest.fixture
def seen() -> Iterator[Seen]:
    """All events of the framework while the test runs."""
    root, handler = get_dispatcher(), Seen()
    before = list(root.event_handlers)
    root.add_event_handler(handler)
    yield handler
    root.event_handlers = before


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    """All spans of the framework while the test runs."""
    root, handler = get_dispatcher(), SimpleSpanHandler()
    before = list(root.span_handlers)
    root.add_span_handler(handler)
    yield handler
    root.span_handlers = before


async def finished(result: Any) -> Any:
    """Read any of the four forms of an answer to its end."""
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__aiter__"):
        return [chunk async for chunk in result]
    return list(result) if hasattr(result, "__next__") else result


@pytest.mark.parametrize("method", CALLS)
async def test_tokens_and_events_are_those_of_the_backend_alone(
    method: str, llm: AvengersLLM, backends: dict[str, LLM], seen: Seen
) -> None:
    args, kwargs = CALLS[method]
    counts, kinds = [], []
    for subject in (backends[HARD], llm):
        counter = TokenCountingHandler()
        subject.callback_manager = CallbackManager([counter])
        await finished(getattr(subject, method)(*args, **kwargs))
        counts.append(
            [(c.prompt_token_count, c.completion_token_count) for c in counter.llm_token_counts]
        )
        kinds.append(Counter(type(event).__name__ for event in seen.of(BaseEvent)))
    assert counts[0] == counts[1]
    assert len(counts[0]) == 1
    assert counts[0][0][0] > 0
    alone, both = kinds
    for when in ("Start", "End"):
        assert alone[f"LLMChat{when}Event"] + alone[f"LLMCompletion{when}Event"] == 1
    assert both == alone + alone + Counter(["RoutingEvent"])


def test_settings_reach_the_backends(
    llm: AvengersLLM, server: StubServer, hard_documents: VectorStoreIndex
) -> None:
    counter = TokenCountingHandler()
    Settings.llm = llm
    Settings.callback_manager = CallbackManager([counter])
    hard_documents.as_query_engine(similarity_top_k=3).query("What is the capital?")
    usage = server.requests[0].usage
    assert usage is not None
    assert counter.total_llm_token_count == usage["total_tokens"]


def test_without_a_callback_manager_the_backends_keep_theirs(
    make_llm: Any, backends: dict[str, LLM]
) -> None:
    counter = TokenCountingHandler()
    own = CallbackManager([counter])
    backends[HARD].callback_manager = own
    make_llm().complete("prove it")
    assert backends[HARD].callback_manager is own
    assert counter.total_llm_token_count > 0
    given = CallbackManager([TokenCountingHandler()])
    make_llm(callback_manager=given)
    assert all(backend.callback_manager is given for backend in backends.values())


def test_a_copy_with_a_callback_manager_is_heard(llm: AvengersLLM) -> None:
    counter = TokenCountingHandler()
    copy = llm.model_copy(update={"callback_manager": CallbackManager([counter])})
    copy.complete("prove it")
    assert len(counter.llm_token_counts) == 1


def test_the_program_mode_reaches_the_backends(llm: AvengersLLM, backends: dict[str, LLM]) -> None:
    Settings.llm = llm
    Settings.pydantic_program_mode = PydanticProgramMode.LLM
    assert {b.pydantic_program_mode for b in backends.values()} == {PydanticProgramMode.LLM}


def test_one_callback_event_a_call(llm: AvengersLLM) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm.callback_manager = CallbackManager([debug])
    llm.chat(MESSAGES)
    list(llm.stream_chat(MESSAGES))
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 2


async def test_one_routing_event_a_call(llm: AvengersLLM, seen: Seen) -> None:
    for method, (args, kwargs) in CALLS.items():
        await finished(getattr(llm, method)(*args, **kwargs))
        events = seen.of(RoutingEvent)
        assert events[-1].method == method
        assert events[-1].model == events[-1].decision["model"] == HARD
    assert len(seen.of(RoutingEvent)) == len(CALLS)
    assert events[0].class_name() == "AvengersRoutingEvent"
    assert "theorem" not in str([event.model_dump() for event in events])


def test_the_event_is_inside_the_span_of_its_call(
    llm: AvengersLLM, seen: Seen, spans: SimpleSpanHandler
) -> None:
    llm.chat(MESSAGES)
    (event,) = seen.of(RoutingEvent)
    assert event.span_id.startswith("AvengersLLM.chat-")
    (start,) = seen.of(LLMChatStartEvent)
    assert start.span_id.startswith("OpenAILike.chat-")
    assert "sk-" not in str(start.model_dump())


def test_an_event_handler_alone_learns_the_span(llm: AvengersLLM, seen: Seen) -> None:
    llm.chat(MESSAGES)
    (event,) = seen.of(RoutingEvent)
    assert event.span_id.startswith("AvengersLLM.chat-")


def test_handlers_may_listen_to_the_plugin_only(llm: AvengersLLM) -> None:
    own, handler = get_dispatcher("avengers_llamaindex.delegating"), SimpleSpanHandler()
    before = list(own.span_handlers)
    own.add_span_handler(handler)
    llm.chat(MESSAGES)
    own.span_handlers = before
    llm.chat(MESSAGES)
    assert [span.id_.partition("-")[0] for span in handler.completed_spans] == ["AvengersLLM.chat"]


def test_methods_look_like_the_frameworks() -> None:
    assert inspect.iscoroutinefunction(AvengersLLM.achat)
    assert not inspect.iscoroutinefunction(AvengersLLM.chat)
    assert list(inspect.signature(AvengersLLM.predict).parameters) == [
        "self",
        "prompt",
        "prompt_args",
    ]


async def test_spans_nest_and_end(llm: AvengersLLM, spans: SimpleSpanHandler) -> None:
    for method, (args, kwargs) in CALLS.items():
        if method.endswith("chat_with_tools"):  # the framework opens no span for these
            continue
        spans.completed_spans.clear()
        await finished(getattr(llm, method)(*args, **kwargs))
        done = spans.completed_spans
        (top,) = (s for s in done if s.id_.startswith("AvengersLLM."))
        assert top.id_.startswith(f"AvengersLLM.{method}-")
        assert top.parent_id is None
        assert any(
            s.parent_id == top.id_ for s in done if s.id_.startswith(f"OpenAILike.{method}-")
        )
        assert not spans.open_spans
        assert not spans.dropped_spans


async def test_abandoned_streams_leave_nothing_open(
    llm: AvengersLLM, server: StubServer, spans: SimpleSpanHandler
) -> None:
    stream = llm.stream_chat(MESSAGES)
    next(stream)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
    # What the client library left is collected now: if the collector comes by while a later call
    # holds the connection pool's lock, closing the old connection waits for that lock for ever.
    gc.collect()
    llm.stream_chat(MESSAGES).close()
    gc.collect()
    astream = await llm.astream_chat(MESSAGES)
    await anext(astream)
    await astream.aclose()
    await (await llm.astream_chat(MESSAGES)).aclose()
    assert not spans.open_spans
    # The connections are free again: the next calls work.
    assert llm.chat(MESSAGES).message.content
    assert (await llm.achat(MESSAGES)).message.content


def test_closing_a_stream_closes_the_backends(make_llm: Any, backends: dict[str, LLM]) -> None:
    closed: list[str] = []

    class Chatty(type(backends[HARD])):  # type: ignore[misc]
        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            try:
                while True:
                    yield CompletionResponse(text="x", delta="x")
            finally:
                closed.append(prompt)

    backends[HARD] = Chatty(**backends[HARD].to_dict() | {"api_key": "x", "api_base": "x"})
    llm = make_llm()
    stream = llm.stream_complete("prove one")
    next(stream)
    stream.close()
    assert closed == ["prove one"]
    unread = llm.stream_complete("prove two")
    del unread
    assert closed == ["prove one", "prove two"]


async def test_a_cancelled_call_is_not_a_failure(llm: AvengersLLM, server: StubServer) -> None:
    server.fail(HARD, delay=5)
    for calls in range(1, 5):
        task = asyncio.create_task(llm.achat(MESSAGES))
        while len(server.asked) < calls and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.asked == [HARD] * 4
    assert repr(llm.pool.health) == "<BackendHealth: all well>"


async def test_what_a_reader_throws_into_a_stream_is_no_failure(
    llm: AvengersLLM, server: StubServer
) -> None:
    for _ in range(2):
        stream = llm.stream_chat(MESSAGES)
        next(stream)
        with pytest.raises(ConnectionError, match=r"^the reader's$"):
            stream.throw(ConnectionError("the reader's"))
        astream = await llm.astream_chat(MESSAGES)
        await anext(astream)
        with pytest.raises(ConnectionError, match=r"^the reader's$"):
            await astream.athrow(ConnectionError("the reader's"))
    assert server.asked == [HARD] * 4
    assert repr(llm.pool.health) == "<BackendHealth: all well>"


async def test_collectors_see_their_own_calls_only(llm: AvengersLLM) -> None:
    async def ask(i: int) -> None:
        with collect_events() as calls:
            await llm.achat([ChatMessage(content="prove" if i % 2 else "hello")])
            await asyncio.create_task(llm.acomplete("prove" if i % 2 else "hello"))
        assert [call.model for call in calls] == [HARD if i % 2 else EASY] * 2

    with collect_events() as outer:
        await asyncio.gather(*map(ask, range(10)))
    assert len(outer) == 20
    await llm.acomplete("hello")
    assert len(outer) == 20


def test_events_name_the_model_and_its_provider(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    llm = AvengersLLM(router=router)
    with collect_events() as calls:
        llm.complete("prove it")
        list(llm.stream_complete("prove it"))
    for call in calls:
        assert (call.model, call.model_name, call.provider) == (HARD, HARD, "openai_like")
