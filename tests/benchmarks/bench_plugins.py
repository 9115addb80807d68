"""What the plugins add to a call, with the embedder's time as the floor; see bench.py.

The backends answer at once and do nothing, so that the difference between calling one through the
router and calling it directly is all routing: embedding, deciding, and putting the decision into
the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
)
from llama_index.core.llms.callbacks import llm_chat_callback
from timing import SHORT, USUAL, Row, fresh, in_turn

from avengers_core import Router
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM

GOAL = "3"
OF_CONVERSATIONS = "1.2"


class InstantChatModel(BaseChatModel):
    """Answers at once."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Yes."))])

    # As the clients of providers do, it says which chunk is the last.

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("Yes.", chunk_position="last"))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk("Yes.", chunk_position="last"))

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(*args, **kwargs)


class InstantLLM(CustomLLM):
    """Answers at once."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1_000_000, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Any, **_: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content="Yes."))

    @llm_chat_callback()
    async def achat(self, messages: Any, **_: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content="Yes."))

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text="Yes.")

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        yield CompletionResponse(text="Yes.", delta="Yes.")


def langchain() -> Iterator[Row]:
    router, backend = Router.default(), InstantChatModel()
    llm = AvengersChatModel(alpha=0.4, router=router, models=dict.fromkeys(router.models, backend))
    with closing(asyncio.new_event_loop()) as loop:
        for text in (USUAL, SHORT):
            yield from _added(
                "LangChain",
                text,
                {
                    "invoke": (backend.invoke, llm.invoke),
                    "stream": (lambda t: list(backend.stream(t)), lambda t: list(llm.stream(t))),
                    "ainvoke": (_awaited(loop, backend.ainvoke), _awaited(loop, llm.ainvoke)),
                },
            )


def llamaindex() -> Iterator[Row]:
    router, backend = Router.default(), InstantLLM()
    llm = AvengersLLM(alpha=0.4, router=router, models=dict.fromkeys(router.models, backend))

    def messages(text: str) -> list[ChatMessage]:
        return [ChatMessage(text)]

    with closing(asyncio.new_event_loop()) as loop:
        direct = _awaited(loop, lambda t: backend.achat(messages(t)))
        routed = _awaited(loop, lambda t: llm.achat(messages(t)))
        for text in (USUAL, SHORT):
            yield from _added(
                "LlamaIndex",
                text,
                {
                    "chat": (
                        lambda t: backend.chat(messages(t)),
                        lambda t: llm.chat(messages(t)),
                    ),
                    "achat": (direct, routed),
                },
            )


Call = Callable[[str], object]


def _awaited(loop: asyncio.AbstractEventLoop, call: Callable[[Any], Awaitable[object]]) -> Call:
    return lambda text: loop.run_until_complete(call(text))


def _added(framework: str, text: str, ways: dict[str, tuple[Call, Call]]) -> Iterator[Row]:
    embedder = Router.default().embedder
    for name, (direct, routed) in ways.items():
        alone, through, embedded = in_turn(
            lambda direct=direct: direct(fresh(text)),
            lambda routed=routed: routed(fresh(text)),
            lambda: embedder.embed([fresh(text)]),
            rounds=1000,
        )
        what = f"added to {framework} {name}, {len(text)} characters / the embedder alone"
        yield Row(what, through - alone, embedded, GOAL)


def conversations() -> Iterator[Row]:
    """What is added to a call with five earlier questions and their answers, in bare texts."""
    router, chat_model, llm = Router.default(), InstantChatModel(), InstantLLM()
    chat_models, llms = (dict.fromkeys(router.models, one) for one in (chat_model, llm))
    routed_model = AvengersChatModel(alpha=0.4, router=router, models=chat_models)
    routed_llm = AvengersLLM(alpha=0.4, router=router, models=llms)
    said = [
        (f"What is known of trains, part {k}?", "It is so, for these reasons.") for k in range(5)
    ]
    before = [m for q, a in said for m in (HumanMessage(q), AIMessage(a))]
    earlier = [m for q, a in said for m in (ChatMessage(q), ChatMessage(a, role="assistant"))]
    ways: dict[str, tuple[Any, Any, Any, Sequence[Any]]] = {
        "LangChain invoke": (chat_model.invoke, routed_model.invoke, HumanMessage, before),
        "LlamaIndex chat": (llm.chat, routed_llm.chat, ChatMessage, earlier),
    }
    for text in (USUAL, SHORT):
        for way, (direct, routed, message, behind) in ways.items():
            asking = [
                _asking(call, opening, message, text)
                for opening in (behind, ())
                for call in (direct, routed)
            ]
            alone, through, alone_first, through_first = in_turn(*asking, rounds=1000)
            what = f"added to {way} behind ten messages, {len(text)} characters / behind none"
            yield Row(what, through - alone, through_first - alone_first, OF_CONVERSATIONS)


def _asking(call: Any, said: Sequence[Any], message: Any, text: str) -> Callable[[], object]:
    return lambda: call([*said, message(fresh(text))])


MEASURES = (langchain, llamaindex, conversations)
