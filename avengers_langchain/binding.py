"""What is bound to the router's model stays bound, also where tools or a schema are bound after it.

The framework's own binding hands ``bind_tools`` and ``with_structured_output`` on to the model that
it holds, and what was bound before is gone without a word: a limit of costs among it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig
from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from avengers_core.serving.backends.wording import OF_ANSWERS
from avengers_core.serving.settings import OF_A_CALL
from avengers_langchain.tools import TRACING, BoundTools, StructuredOutput, structured_chain

_OF_A_CALL = frozenset({*TRACING, *OF_A_CALL, *OF_ANSWERS})


class _BindsTools:
    """``bind_tools`` and ``with_structured_output`` as mere ``bind``: each backend makes its own of
    tools and schemas when it is called."""

    def bind_tools(
        self: Any,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools; calls go to backends that can call them.

        Args:
            tools: functions, classes, schemas or tools, as the backends take them.
            tool_choice: which tool has to be called, in the form of any provider: a name, a list of
                names, ``"any"`` or ``"required"``, ``"auto"``, ``"none"``, True, or a dict.
            kwargs: further arguments of the backend's ``bind_tools``, such as ``strict`` and
                ``parallel_tool_calls``, and what a call takes (``alpha``, ``max_cost``,
                ``max_tokens``, ...).
        """
        own = {k: kwargs.pop(k) for k in [*kwargs] if k in _OF_A_CALL}
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        bound = self.bind(tools=BoundTools(tools, kwargs), **choice, **own)
        return cast("Runnable[LanguageModelInput, AIMessage]", bound)

    def with_structured_output(
        self: Any, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """This model, answering with objects of a schema; each backend does it in its own way.

        Args:
            schema: a pydantic class, a ``TypedDict``, a JSON schema or an OpenAI function.
            include_raw: answer with ``{"raw": message, "parsed": object or None,
                "parsing_error": error or None}``.
            kwargs: arguments of the backend's ``with_structured_output``: ``method``
                (``"function_calling"``, ``"json_schema"``, ``"json_mode"``), ``strict``; and what a
                call takes (``alpha``, ``model``, ``max_cost``, ``max_tokens``, ...).
        """
        own = {k: kwargs.pop(k) for k in [*kwargs] if k in _OF_A_CALL}
        output = StructuredOutput(schema, kwargs)
        traced = {"kwargs": {"method": kwargs.get("method")}, "schema": schema}
        if "tools" in getattr(self, "kwargs", ()):  # an object is asked for, and no tool
            own |= {"tools": None, "tool_choice": None}
        llm = self.bind(structured_output=output, ls_structured_output_format=traced, **own)
        pool = self.pool

        def parser_of(model: str) -> Runnable[Any, Any]:
            no_native = pool.capabilities(model).structured_output is False
            return output.parser(model, pool.get(model).model, no_native)

        return structured_chain(llm, parser_of, include_raw)


class AvengersBinding(_BindsTools, RunnableBinding[LanguageModelInput, AIMessage]):  # type: ignore[no-redef]
    """An :class:`avengers_langchain.AvengersChatModel` with arguments bound to it.

    ``llm.bind(max_cost=0.01)`` is one. What is bound holds of ``bind_tools``,
    ``with_structured_output`` and agents that are made of it too.
    """

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where serialised forms find the class."""
        return cls.__module__.split(".")


class Binds(_BindsTools):
    """A model that keeps what is bound to it."""

    def bind(self: Any, **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with arguments, such as ``alpha`` or ``max_cost``, for all calls of it."""
        return AvengersBinding(bound=self, kwargs=kwargs)


class SettableChatModel(Binds, RunnableConfigurableFields):  # type: ignore[type-arg]
    """What ``configurable_fields`` of the router's model gives."""

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where serialised forms find the class."""
        return cls.__module__.split(".")


class BindsConfig(Binds):
    """Also where it is configured before."""

    def with_config(
        self: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with a config, such as tags or metadata, for all calls of it."""
        merged = cast("RunnableConfig", {**(config or {}), **kwargs})
        return AvengersBinding(bound=self, config=merged, kwargs={})

    def configurable_fields(self: Any, **kwargs: Any) -> SettableChatModel:
        """This model, of which a call's config can set these fields."""
        made = super().configurable_fields(**kwargs)  # type: ignore[misc]
        return SettableChatModel(default=made.default, fields=made.fields)
