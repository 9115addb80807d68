"""Stand-ins for chat models, so that the LangChain examples run without a key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool

from avengers_core import Router
from avengers_core.routing.decision.explaining import usd

KEYS = ("AVENGERS_BASE_URL", "OPENROUTER_API_KEY", "OPENAI_API_KEY")


class StandIn(BaseChatModel):
    """Says who it is; given a tool, it calls it once with the text of the question."""

    name: str

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Note the tools in OpenAI's format."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **kwargs: Any,
    ) -> ChatResult:
        last = messages[-1]
        if tools and isinstance(last, HumanMessage):
            function = tools[0]["function"]
            arguments = dict.fromkeys(function["parameters"]["properties"], str(last.text))
            call = {"name": function["name"], "args": arguments, "id": "1", "type": "tool_call"}
            answer = AIMessage("", tool_calls=[call])
        elif isinstance(last, ToolMessage):
            answer = AIMessage(f"[stand-in for {self.name}] The tool says: {last.text}")
        else:
            answer = AIMessage(f"[stand-in for {self.name}] An answer.")
        return ChatResult(generations=[ChatGeneration(message=answer)])


def models_or_stand_ins() -> dict[str, StandIn] | None:
    """None, which is to say the endpoint in the environment; without a key, stand-ins."""
    if any(os.environ.get(key) for key in KEYS):
        print("Answers come from the endpoint that the environment names.\n")
        return None
    print("No key in the environment: stand-ins answer. The routing is real.\n")
    return {model: StandIn(name=model) for model in Router.default().models}


def reason(message: BaseMessage) -> str:
    """Who answered, at what expected cost, and why, on one line."""
    facts = message.response_metadata["avengers"]
    topics = ", ".join(facts["clusters"][0]["topics"]) if facts["clusters"] else "nothing"
    return (
        f"{facts['model']}: expected score {facts['expected_score']:.2f}, "
        f"cost {usd(facts['expected_cost'])}, near {topics}"
    )
