"""One way to ask any model: a chat model of LangChain, an LLM of LlamaIndex, a function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from avengers_core.records.prices import Price
from avengers_core.serving.backends.endpoints import Endpoint

Ask = Callable[[str], "Answer"]


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: the answer.
        cost: USD, or None where it is not known.
        prompt_tokens: tokens sent, or None.
        completion_tokens: tokens received, or None.
    """

    text: str
    cost: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None

    def priced(self, price: Price | None) -> Answer:
        """With a cost by price, where it has none of its own and its tokens are known."""
        sent, received = self.prompt_tokens, self.completion_tokens
        if self.cost is not None or price is None or sent is None or received is None:
            return self
        return Answer(self.text, price.cost(sent, received), sent, received)


def asker(name: str, model: Any) -> Ask:
    """How to ask a model.

    Args:
        name: what it is called in messages.
        model: a chat model of LangChain, an LLM of LlamaIndex, or a function, plain or
            asynchronous, from a text to a text or an :class:`Answer`. The frameworks are told by
            their methods, so that neither is needed for the other.

    Raises:
        TypeError: something else.
    """
    if hasattr(model, "invoke") and hasattr(model, "ainvoke"):
        return lambda text: _of_message(model.invoke(text))
    if hasattr(model, "complete") and hasattr(model, "acomplete"):
        return lambda text: _of_completion(model.complete(text))
    if callable(model):
        return lambda text: _of_function(name, settled(model(text)))
    raise TypeError(
        f"{name} must be a LangChain chat model, a LlamaIndex LLM or a function from a text to an "
        f"answer, got {type(model).__name__}"
    )


def endpoint_asker(endpoint: Endpoint, name: str, arguments: Mapping[str, Any]) -> Ask:
    """How to ask a model through an OpenAI-compatible endpoint.

    Args:
        endpoint: where, with its key.
        name: what the model is called there.
        arguments: of the request, such as ``max_tokens``.
    """
    from openai import OpenAI

    from avengers_core.common.connections import Connections

    client = OpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key.get_secret_value(),
        http_client=Connections().blocking,
    )

    def ask(text: str) -> Answer:
        reply = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": text}], **arguments
        )
        if not reply.choices or reply.choices[0].message.content is None:
            raise ValueError(f"{name} answered without a text")
        usage = reply.usage
        if usage is None:
            return Answer(reply.choices[0].message.content)
        # OpenRouter says what it took.
        return Answer(
            reply.choices[0].message.content,
            _number(getattr(usage, "cost", None)),
            usage.prompt_tokens,
            usage.completion_tokens,
        )

    return ask


def _of_message(message: Any) -> Answer:
    text = message if isinstance(message, str) else str(message.text)
    usage = getattr(message, "usage_metadata", None) or {}
    metadata = getattr(message, "response_metadata", None) or {}
    reported = metadata.get("token_usage") or {}
    return Answer(
        text,
        _number(reported.get("cost")),
        _number(usage.get("input_tokens")),
        _number(usage.get("output_tokens")),
    )


def _of_completion(completion: Any) -> Answer:
    told = dict(getattr(completion, "additional_kwargs", None) or {})
    raw = getattr(completion, "raw", None)
    usage = raw.get("usage") if isinstance(raw, Mapping) else getattr(raw, "usage", None)
    for name in ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "cost"):
        value = usage.get(name) if isinstance(usage, Mapping) else getattr(usage, name, None)
        told.setdefault(name, value)
    return Answer(
        str(completion.text),
        _number(told["cost"]),
        _number(told["prompt_tokens"] or told["input_tokens"]),
        _number(told["completion_tokens"] or told["output_tokens"]),
    )


def _of_function(name: str, answer: Any) -> Answer:
    if isinstance(answer, Answer):
        return answer
    if isinstance(answer, str):
        return Answer(answer)
    raise TypeError(f"{name} returned {type(answer).__name__}, not a text or an Answer")


async def _result(awaitable: Any) -> Any:
    return await awaitable


def settled(value: Any) -> Any:
    """What a function of the user's returned, waited for where it is asynchronous."""
    return asyncio.run(_result(value)) if inspect.isawaitable(value) else value


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
