"""Asking either plugin in any way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openai

from avengers_core.common.connections import httpx

# A stream that ends in the middle: openai wraps what its HTTP client raises since version 3.
BROKEN = (openai.APIConnectionError, httpx.TransportError)


async def facts_of(llm: Any, messages: Sequence[Any], how: str, **arguments: Any) -> dict[str, Any]:
    """What an answer says of its decision.

    Args:
        llm: an ``AvengersChatModel`` or an ``AvengersLLM``.
        messages: of its framework.
        how: ``"whole"``, ``"awaited"`` or ``"streamed"``.
        arguments: of the call.
    """
    facts: dict[str, Any]
    if hasattr(llm, "achat"):  # as LlamaIndex calls it; core tests load this without either
        if how == "whole":
            response = llm.chat(messages, **arguments)
        elif how == "awaited":
            response = await llm.achat(messages, **arguments)
        else:
            response = list(llm.stream_chat(messages, **arguments))[-1]
        facts = response.additional_kwargs["avengers"]
        return facts
    if how == "whole":
        message = llm.invoke(messages, **arguments)
    elif how == "awaited":
        message = await llm.ainvoke(messages, **arguments)
    else:
        message = list(llm.stream(messages, **arguments))[-1]
    facts = message.response_metadata["avengers"]
    return facts
