"""What handing a conversation on costs, as a ratio to copying its messages; see bench.py."""

from __future__ import annotations

from collections.abc import Iterator

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.llms.openai_like import OpenAILike
from timing import Row, in_turn

import avengers_langchain.history as langchain_history
import avengers_llamaindex.history as llamaindex_history

TURNS = 25  # of four messages each: a question, a tool call, its result, the answer
MARK = {"avengers": {"model": "a"}}


def langchain() -> Iterator[Row]:
    messages: list[BaseMessage] = []
    for i in range(TURNS):
        thought = {"type": "thinking", "thinking": "Let me see.", "signature": "s"}
        call = {"type": "tool_call", "id": f"toolu_{i}", "name": "search", "args": {"query": "x"}}
        answer = [thought, {"type": "text", "text": "It is so."}]
        messages += [
            HumanMessage("What is it?"),
            AIMessage([thought], tool_calls=[call], response_metadata=MARK),
            ToolMessage("found", tool_call_id=f"toolu_{i}"),
            AIMessage(answer, response_metadata=MARK),
        ]
    backend = ChatOpenAI(model="gpt-4o", api_key="any")
    portable, target_of = langchain_history.portable, langchain_history.target_of
    copied, own, other = in_turn(
        lambda: [message.model_copy() for message in messages],
        lambda: portable(messages, target_of("a", backend)),
        lambda: portable(messages, target_of("b", backend)),
        rounds=200,
    )
    yield Row("LangChain, 100 messages to another model / copying them", other, copied, "6")
    yield Row("LangChain, 100 messages to their writer / copying them", own, copied, "4")


def llamaindex() -> Iterator[Row]:
    messages: list[ChatMessage] = []
    for i in range(TURNS):
        call = ToolCallBlock(tool_call_id=f"call_{i}", tool_name="search", tool_kwargs={"q": "x"})
        thought = ThinkingBlock(content="Let me see.", additional_information={"signature": "s"})
        answer = [thought, TextBlock(text="It is so.")]
        result = {"tool_call_id": f"call_{i}"}
        messages += [
            ChatMessage("What is it?"),
            ChatMessage(role="assistant", blocks=[thought, call], additional_kwargs=MARK),
            ChatMessage("found", role="tool", additional_kwargs=result),
            ChatMessage(role="assistant", blocks=answer, additional_kwargs=MARK),
        ]
    backend = OpenAILike(model="gpt-4o", api_key="any", is_chat_model=True)
    portable, target_of = llamaindex_history.portable, llamaindex_history.target_of
    copied, own, other = in_turn(
        lambda: [message.model_copy() for message in messages],
        lambda: portable(messages, target_of("a", backend)),
        lambda: portable(messages, target_of("b", backend)),
        rounds=200,
    )
    yield Row("LlamaIndex, 100 messages to another model / copying them", other, copied, "6")
    yield Row("LlamaIndex, 100 messages to their writer / copying them", own, copied, "4")


MEASURES = (langchain, llamaindex)
