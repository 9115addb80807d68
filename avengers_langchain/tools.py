"""Tools and schemas that each backend turns into its own format when it is called.

What is bound to the router is readable (OpenAI's format, a JSON schema), so that traces and cache
keys can show it, and carries the originals for the backends.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableConfig,
    RunnableLambda,
    RunnableMap,
    RunnablePassthrough,
    RunnableSequence,
)
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from avengers_core.common.functions import cached_property
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.backends.capabilities import Needs, needs_of_tools
from avengers_core.serving.backends.tool_choice import ToolWords, tool_words
from avengers_core.serving.history import Protocol
from avengers_core.serving.settings import given

TRACING = ("ls_structured_output_format", "structured_output_format")
"""Arguments that the framework binds for traces, and takes out again before it calls a model."""
ANSWERED_BY = "avengers_model"
"""Key of ``response_metadata`` under which a stream's first chunk names who answers."""


class BoundTools(list[dict[str, Any]]):
    """Tools in OpenAI's format, with the originals and the arguments of ``bind_tools``."""

    def __init__(self, tools: Sequence[Any], arguments: Mapping[str, Any]) -> None:
        super().__init__(_readable(tool) for tool in tools)
        self._originals = list(tools)
        self._arguments = dict(arguments)
        self._made: dict[Any, dict[str, Any]] = {}

    @cached_property
    def tokens(self) -> int:
        """Estimated length of the tools' schemas, which are part of the prompt."""
        return estimate_tokens(json.dumps(list(self), default=str))

    @cached_property
    def needs(self) -> Needs:
        """What a backend must be able to do to be given them."""
        return needs_of_tools(self._originals)

    @property
    def wants_schema(self) -> bool:
        """Whether the answer has to follow a schema besides."""
        return self._arguments.get("response_format") is not None

    @cached_property
    def names(self) -> list[str | None]:
        """What the tools are called, None where only their provider knows."""
        return [tool.get("function", tool).get("name") for tool in self]

    def arguments_for(
        self,
        model: str,
        backend: BaseChatModel,
        protocol: Protocol,
        choice: Any,
        parallel: bool | None,
    ) -> dict[str, Any]:
        """What a backend is to be called with.

        Args:
            model: whose.
            backend: turns the tools into its own format.
            protocol: that it speaks.
            choice: which of them it has to call, in the form of any provider, or None.
            parallel: whether it may call several at once, or None.
        """
        key = (model, type(backend), protocol, repr(choice), parallel)
        if key not in self._made:
            self._made[key] = self._bound_to(backend, protocol, choice, parallel)
        return self._made[key]

    def _bound_to(
        self, backend: BaseChatModel, protocol: Protocol, choice: Any, parallel: bool | None
    ) -> dict[str, Any]:
        arguments = dict(self._arguments)
        own = arguments.pop("parallel_tool_calls", None)
        words = self.words(protocol, choice, own if parallel is None else parallel)
        tools = self.among(words)
        if tools:
            arguments |= given(tool_choice=words.choice, parallel_tool_calls=words.parallel)
        elif self._originals or not self.wants_schema:
            return {}
        said = bound_arguments(backend.bind_tools(tools, **arguments))
        return said if tools else {k: v for k, v in said.items() if k != "tools"}

    def words(self, protocol: Protocol, choice: Any, parallel: bool | None) -> ToolWords:
        """What a backend is told about them; see :meth:`arguments_for`."""
        return tool_words(choice, parallel, list(filter(None, self.names)), protocol)

    def among(self, words: ToolWords) -> list[Any]:
        """The tools that are handed over."""
        if words.only is None:
            return self._originals
        named = zip(self._originals, self.names, strict=True)
        return [tool for tool, name in named if name in words.only]


class StructuredOutput(dict[str, Any]):
    """A JSON schema, with the original and the arguments of ``with_structured_output``."""

    def __init__(self, schema: Any, arguments: Mapping[str, Any]) -> None:
        readable = {k: v for k, v in arguments.items() if isinstance(v, str | bool | int)}
        super().__init__(schema=_json_schema(schema), **readable)
        self._schema = schema
        self._arguments = dict(arguments)
        self._made: dict[Any, tuple[dict[str, Any], Runnable[Any, Any]]] = {}

    @cached_property
    def tokens(self) -> int:
        """Estimated length of the schema, which is part of the prompt."""
        return estimate_tokens(json.dumps(self["schema"], default=str))

    @property
    def needs(self) -> tuple[Needs, ...]:
        """What a backend must be able to do: one of these."""
        method = self._arguments.get("method")
        tools, native = Needs(tools=True), Needs(structured_output=True)
        if method == "function_calling":
            return (tools,)
        return (native, tools) if method is None else (native,)

    def arguments_for(self, model: str, backend: BaseChatModel, no_native: bool) -> dict[str, Any]:
        """What a backend is to be called with; ``no_native``: it has to do it with a tool."""
        return self._parts(model, backend, no_native)[0]

    def parser(self, model: str, backend: BaseChatModel, no_native: bool) -> Runnable[Any, Any]:
        """What makes the object of that backend's message."""
        return self._parts(model, backend, no_native)[1]

    def _parts(
        self, model: str, backend: BaseChatModel, no_native: bool
    ) -> tuple[dict[str, Any], Runnable[Any, Any]]:
        key = (model, type(backend))
        if key not in self._made:
            arguments = dict(self._arguments)
            if no_native and "method" not in arguments:
                arguments["method"] = "function_calling"
            chain = backend.with_structured_output(self._schema, **arguments)
            if not isinstance(chain, RunnableSequence):
                raise TypeError(
                    f"the structured output of {type(backend).__name__} is a "
                    f"{type(chain).__name__}; expected the model and a parser in sequence"
                )
            rest = [*chain.middle, chain.last]
            parser = rest[0] if len(rest) == 1 else RunnableSequence(*rest)
            self._made[key] = bound_arguments(chain.first), parser
        return self._made[key]


def structured_chain(
    llm: Runnable[Any, Any], parser_of: Callable[[str], Runnable[Any, Any]], include_raw: bool
) -> Runnable[Any, Any]:
    """A model and what makes objects of its messages.

    Args:
        llm: the model, with the schema bound to it.
        parser_of: model id -> the parser of that model's messages.
        include_raw: answer with the message and the parsing error besides the object.
    """

    def parse(message: BaseMessage, config: RunnableConfig) -> Any:
        return parser_of(_answered_by(message)).invoke(message, config)

    async def aparse(message: BaseMessage, config: RunnableConfig) -> Any:
        return await parser_of(_answered_by(message)).ainvoke(message, config)

    parser = _Dispatching(parse, aparse, parser_of)
    if not include_raw:
        return llm | parser
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    # The model comes first, for what is said of one call reaches the first of a chain alone.
    return (
        llm
        | RunnableMap(raw=RunnablePassthrough())
        | parsed.with_fallbacks([failed], exception_key="parsing_error")
    )


class _Dispatching(RunnableLambda[BaseMessage, Any]):
    """A lambda that parses streams as they come, as far as the backend's parser does."""

    def __init__(
        self, parse: Any, aparse: Any, parser_of: Callable[[str], Runnable[Any, Any]]
    ) -> None:
        super().__init__(parse, aparse, name="AvengersStructuredOutput")
        self._parser_of = parser_of

    def transform(
        self, input: Iterator[BaseMessage], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        for first in input:
            parser = self._parser_of(_answered_by(first))
            yield from parser.transform(_chained(first, input), config, **kwargs)

    async def atransform(
        self,
        input: AsyncIterator[BaseMessage],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        async for first in input:
            parser = self._parser_of(_answered_by(first))
            async for part in parser.atransform(_achained(first, input), config, **kwargs):
                yield part


def bound_arguments(runnable: Runnable[Any, Any]) -> dict[str, Any]:
    """The arguments bound to a model.

    Raises:
        TypeError: it is not a model with arguments.
    """
    if not isinstance(runnable, RunnableBinding):
        raise TypeError(f"expected a model with bound arguments, got {type(runnable).__name__}")
    return {k: v for k, v in runnable.kwargs.items() if k not in TRACING}


def _answered_by(message: BaseMessage) -> str:
    metadata = message.response_metadata
    model = metadata.get(ANSWERED_BY) or metadata.get("avengers", {}).get("model")
    if not isinstance(message, AIMessage) or not model:
        raise ValueError("expected a message of AvengersChatModel, which names who answered")
    return str(model)


def _chained(first: BaseMessage, rest: Iterator[BaseMessage]) -> Iterator[BaseMessage]:
    yield first
    yield from rest


async def _achained(
    first: BaseMessage, rest: AsyncIterator[BaseMessage]
) -> AsyncIterator[BaseMessage]:
    yield first
    async for message in rest:
        yield message


def _readable(tool: Any) -> dict[str, Any]:
    try:
        return convert_to_openai_tool(tool)
    except (ValueError, TypeError):
        # A tool of one provider's own; only its backend can tell.
        return dict(tool) if isinstance(tool, Mapping) else {"type": type(tool).__name__}


def _json_schema(schema: Any) -> dict[str, Any]:
    try:
        return convert_to_json_schema(schema)
    except (ValueError, TypeError):
        return {"title": getattr(schema, "__name__", type(schema).__name__)}
