"""One agent's conversation, gone on with by OpenAI, Anthropic and Gemini in turn.

Each goes on with what the others wrote, tool calls included: it gets the history as it accepts it,
and to their writers the signed thoughts go back as they were. With the three providers' keys in the
environment they answer; without, stand-ins do that refuse what the real ones refuse.

Needs the package ``langchain``.

    python examples/langchain_providers.py
"""

from __future__ import annotations

import os
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from stand_ins import StandIn

from avengers_langchain import AvengersChatModel

MODELS = {
    "openai/gpt-5": "openai:gpt-5",
    "anthropic/claude-sonnet-4": "anthropic:claude-sonnet-4-20250514",
    "google/gemini-2.5-pro": "google_genai:gemini-2.5-pro",
}
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
TURNS = (
    ("openai/gpt-5", "Look up Canberra."),
    ("anthropic/claude-sonnet-4", "And Vienna, please."),
    ("google/gemini-2.5-pro", "Which of them lies further north? Look up what you need."),
    ("anthropic/claude-sonnet-4", "Thank you. Look up one more of that kind."),
)


class Signing(StandIn):
    """Calls a tool, then answers behind a signed thought; refuses thoughts that others signed."""

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        own = 0
        for message in messages:
            for block in message.content if isinstance(message.content, list) else ():
                if isinstance(block, dict) and block.get("type") == "thinking":
                    if block["signature"] != self.name:
                        raise ValueError(f"400: {self.name} cannot read {block['signature']}")
                    own += 1
        if isinstance(messages[-1], HumanMessage):
            call = {"name": "lookup", "args": {"term": messages[-1].text}, "id": f"c{own}"}
            answer = AIMessage("", tool_calls=[{**call, "type": "tool_call"}])
        else:
            text = f"[stand-in] {messages[-1].text}; {own} thoughts of mine were in the history."
            thought = {"type": "thinking", "thinking": "Easy.", "signature": self.name}
            answer = AIMessage([thought, {"type": "text", "text": text}])
        return ChatResult(generations=[ChatGeneration(message=answer)])


# A backend is told by the name of its class.
class ChatOpenAI(Signing):
    """In OpenAI's place."""


class ChatAnthropic(Signing):
    """In Anthropic's place."""


class ChatGoogleGenerativeAI(Signing):
    """In Gemini's place."""


@tool
def lookup(term: str) -> str:
    """Look a term up."""
    return f"there is an entry about {term!r}"


def main() -> None:
    """Let each of them take a turn."""
    models: dict[str, Any] = dict(MODELS)
    if not all(os.environ.get(key) for key in KEYS):
        print("Not all three keys are in the environment: stand-ins answer.\n")
        kinds = (ChatOpenAI, ChatAnthropic, ChatGoogleGenerativeAI)
        models = {m: kind(name=m) for m, kind in zip(MODELS, kinds, strict=True)}
    llm = AvengersChatModel(models=models)
    memory = InMemorySaver()
    for model, text in TURNS:
        # Named here so that all three get a turn; without model= the router decides.
        agent = create_agent(llm.bind(model=model), [lookup], checkpointer=memory)
        thread: Any = {"configurable": {"thread_id": "1"}}
        messages = agent.invoke({"messages": [HumanMessage(text)]}, thread)["messages"]
        answer = messages[-1]
        print(f"{text}\n  {answer.response_metadata['avengers']['model']}: {answer.text}")


if __name__ == "__main__":
    main()
