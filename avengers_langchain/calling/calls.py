"""One call: what it brings, and what each backend is to be called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from avengers_core.serving.backends.capabilities import Needs
from avengers_core.serving.backends.tool_choice import tool_words
from avengers_core.serving.question import Request
from avengers_core.serving.settings import given
from avengers_langchain.arguments import in_words
from avengers_langchain.backends import Backends
from avengers_langchain.calling.backend_call import BackendCall
from avengers_langchain.history import in_its_protocol, is_plain, portable, target_of
from avengers_langchain.tools import BoundTools, StructuredOutput


@dataclass
class Call:
    """What one call brings.

    Attributes:
        messages: the whole prompt.
        arguments: for the backend, whichever it is.
        defaults: arguments for the backend, where it is bound to no others.
        tools: to be turned into the backend's own format, if any.
        tool_choice: which of them the backend has to call, if the caller says so, in the form of
            any provider.
        parallel: whether it may call several at once, if the caller says so.
        structured: the schema of the answer, if any.
    """

    messages: list[BaseMessage]
    arguments: dict[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tools: BoundTools | None = None
    tool_choice: Any = None
    parallel: bool | None = None
    structured: StructuredOutput | None = None

    @classmethod
    def of(
        cls,
        messages: list[BaseMessage],
        stop: list[str] | None,
        arguments: dict[str, Any],
        defaults: Mapping[str, Any],
    ) -> Call:
        """A call as the framework hands it over.

        Args:
            messages: as in the class, as ``defaults``.
            stop: stop sequences.
            arguments: all others by name; the dict is changed.
        """
        call = cls(messages, arguments, defaults)
        if arguments:
            call.tools = tools_of(arguments.pop("tools", None))
            call.tool_choice = arguments.pop("tool_choice", None)
            call.parallel = arguments.pop("parallel_tool_calls", None)
            call.structured = structured_of(arguments.pop("structured_output", None))
        if stop:
            arguments["stop"] = stop
        return call

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing but messages."""
        said = self.arguments or self.tools is not None or self.structured is not None
        return not said and self.tool_choice is None and self.parallel is None

    def request(self, prompt: Request) -> Request:
        """What it is about, its tools and its schema counted in.

        Args:
            prompt: what the messages alone are about.
        """
        if self.is_bare:
            return prompt
        native = "response_format" in self.arguments or (
            self.tools is not None and self.tools.wants_schema
        )
        if not (self.tools or native or self.structured is not None):
            return prompt
        ways = (Needs(),) if self.structured is None else self.structured.needs
        if self.tools or native:
            own = Needs() if self.tools is None else self.tools.needs
            own = own._replace(structured_output=native)
            ways = tuple(way.along_with(own, 0) for way in ways)
        tokens = self.tools.tokens if self.tools else 0
        tokens += self.structured.tokens if self.structured is not None else 0
        return prompt.needing(*ways, tokens=tokens)

    def to(self, model: str, backends: Backends) -> BackendCall:
        """What is to be called for a model, with the messages as it accepts them."""
        backend, bound = backends.get(model)
        messages, plain = list(self.messages), is_plain(self.messages)
        if plain and self.is_bare and not self.defaults and not bound:
            return BackendCall(backend, messages, {})  # which every backend takes as it is
        tools = given(tools=self.tools)
        backend = in_its_protocol(backend, {**self.defaults, **bound, **self.arguments, **tools})
        arguments, cut = self._said_to(model, backend, bound, backends)
        if not plain:
            messages = portable(messages, target_of(model, backend, arguments))
        return BackendCall(backend, messages, arguments, cut)

    def _said_to(
        self, model: str, backend: BaseChatModel, bound: Mapping[str, Any], backends: Backends
    ) -> tuple[dict[str, Any], Sequence[str]]:
        """What is said beside the messages, in a backend's own words; and stop sequences, where it
        has no words for them."""
        layers = [self.defaults, bound]
        if self.is_bare and not any(layers):
            return {}, ()
        target = target_of(model, backend, {**bound, **self.arguments})
        protocol = target.dialect.protocol
        if self.tools is not None:
            choice = self.tool_choice, self.parallel
            layers.append(self.tools.arguments_for(model, backend, protocol, *choice))
        elif bound.get("tools"):  # without any, many refuse to be told what to do with them
            words = tool_words(self.tool_choice, self.parallel, (), protocol)
            layers.append(given(tool_choice=words.choice, parallel_tool_calls=words.parallel))
        if self.structured is not None:
            no_native = backends.capabilities(model).structured_output is False
            layers.append(self.structured.arguments_for(model, backend, no_native))
        return in_words([*layers, self.arguments], target)


def tools_of(tools: Sequence[Any] | None) -> BoundTools | None:
    """Tools as they come with a call, bound or not."""
    if tools is None or isinstance(tools, BoundTools):
        return tools
    return BoundTools(tools, {})


def structured_of(structured: Mapping[str, Any] | None) -> StructuredOutput | None:
    """A schema as it comes with a call; a plain dict where it was serialised."""
    if structured is None or isinstance(structured, StructuredOutput):
        return structured
    arguments = dict(structured)
    return StructuredOutput(arguments.pop("schema"), arguments)
