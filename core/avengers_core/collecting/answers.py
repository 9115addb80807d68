"""One way to ask any model: a chat model of LangChain, an LLM of LlamaIndex, a function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from avengers_core.common.plain import part_of
from avengers_core.common.ranges import check_number, is_number
from avengers_core.records.prices import Price
from avengers_core.records.record import MOST_AMOUNT
from avengers_core.serving.backends.endpoints import Endpoint
from avengers_core.serving.resilience.withheld import broke_off_in

Ask = Callable[[str], "Answer"]

# A run of many calls meets limits of rates, and can wait: with pauses that double, a quarter of a
# minute, longer where the server says so.
_RETRIES = 5


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: the answer; blank where there is none, which counts as a failed call.
        cost: USD, or None where it is not known.
        prompt_tokens: tokens sent, or None.
        completion_tokens: tokens received, or None.

    Raises:
        TypeError: a text that is none.
        ValueError: an amount that no record can have.
    """

    text: str
    cost: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise TypeError(f"the text of an answer must be a text, got {self.text!r:.40}")
        for name in ("cost", "prompt_tokens", "completion_tokens"):
            if (amount := getattr(self, name)) is not None:
                check_number(name, amount, 0, MOST_AMOUNT)
                object.__setattr__(self, name, float(amount))  # numpy's, too

    def priced(self, price: Price | None) -> Answer:
        """With a cost by price, where it has none of its own and its tokens are known."""
        sent, received = self.prompt_tokens, self.completion_tokens
        if self.cost is not None or price is None or sent is None or received is None:
            return self
        return Answer(self.text, price.cost(sent, received), sent, received)


def asker(name: str, model: Any, price: Price | None = None) -> Ask:
    """How to ask a model.

    Args:
        name: what it is called in messages.
        model: a chat model of LangChain, an LLM of LlamaIndex, or a function, plain or
            asynchronous, from a text to a text or an :class:`Answer`. The frameworks are told by
            their methods, so that neither is needed for the other.
        price: what its tokens cost, where it does not say what an answer does.

    Raises:
        TypeError: something else.
    """
    if hasattr(model, "invoke") and hasattr(model, "ainvoke"):
        return lambda text: _of_message(model.invoke(text)).priced(price)
    if hasattr(model, "complete") and hasattr(model, "acomplete"):
        return lambda text: _of_completion(model.complete(text)).priced(price)
    if callable(model):
        return lambda text: _of_function(name, settled(model(text))).priced(price)
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
        max_retries=_RETRIES,
    )

    def ask(text: str) -> Answer:
        reply = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": text}], **arguments
        )
        if not isinstance(choices := getattr(reply, "choices", None), list) or not choices:
            raise ValueError(f"{name}: expected a chat completion, got {str(reply)!r:.60}")
        return _answer(choices[0].message.content, reply, reply.usage)

    return ask


def _of_message(message: Any) -> Answer:
    if isinstance(message, str):
        return Answer(message)
    told = getattr(message, "response_metadata", None)
    counted = getattr(message, "usage_metadata", None)
    return _answer(message.text, told, counted, part_of(told, "token_usage"))


def _of_completion(completion: Any) -> Answer:
    told = getattr(completion, "raw", None)
    counted = getattr(completion, "additional_kwargs", None)
    return _answer(completion.text, told, counted, part_of(told, "usage"))


def _answer(text: str | None, told: Any, *usages: Any) -> Answer:
    """An answer, with what the first of some usages says that says it; OpenRouter's tell costs.

    Args:
        text: its words, as far as they came.
        told: what the provider said of it. One that was broken off is none.
        usages: what it took.
    """

    def number(*names: str) -> float | None:
        told = (part_of(usage, name) for usage in usages for name in names)
        known = (n for n in told if is_number(n) and 0 <= n <= MOST_AMOUNT)
        return next(map(float, known), None)

    return Answer(
        "" if text is None or broke_off_in(told) else str(text),
        number("cost"),
        # Some say 0 where they do not know.
        number("prompt_tokens", "input_tokens") or None,
        number("completion_tokens", "output_tokens") or None,
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
