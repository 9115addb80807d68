"""Every method of a LlamaIndex LLM, handed to the same method of a backend."""

# A call returns whatever the backend's method does, which no type can say.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ToolCallBlock,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.tools import BaseTool
from llama_index.core.types import Model, TokenAsyncGen, TokenGen

from avengers_llamaindex.calling.calls import Asked
from avengers_llamaindex.events import span_if_heard
from avengers_llamaindex.question import (
    Prompt,
    from_messages,
    from_template,
    from_text,
    from_tools,
)


class DelegatingLLM(FunctionCallingLLM):
    """An LLM that does nothing itself: :meth:`_asked` finds out who does.

    Not decorated with the framework's callbacks: the backend's methods are, and a second layer
    would count every token twice.
    """

    # The framework would open a span for each implementation of an abstract method, which takes
    # half as long as routing: so these two are plain.

    def _asked(
        self, method: str, request: Prompt, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Asked:
        """A call, with how it is to be decided.

        Args:
            method: name of the backend's method.
            request: what it is about.
            args: for that method, by position.
            kwargs: for it by name, and what is said of this call alone, such as ``alpha``.
        """
        raise NotImplementedError

    def _backend_of(self, response: ChatResponse) -> FunctionCallingLLM | None:
        """Who gave a response, if that is known and it can call tools."""
        raise NotImplementedError

    # -- messages --

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._of_messages("chat", messages, kwargs).run()

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._of_messages("stream_chat", messages, kwargs).stream()

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._of_messages("achat", messages, kwargs).arun()

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        return await self._of_messages("astream_chat", messages, kwargs).astream()

    def _of_messages(
        self, method: str, messages: Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> Asked:
        return self._asked(method, from_messages(messages, kwargs), (messages,), kwargs)

    # -- a bare prompt --

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._of_text("complete", prompt, formatted, kwargs).run()

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        return self._of_text("stream_complete", prompt, formatted, kwargs).stream()

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        return await self._of_text("acomplete", prompt, formatted, kwargs).arun()

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        return await self._of_text("astream_complete", prompt, formatted, kwargs).astream()

    def _of_text(self, method: str, prompt: str, formatted: bool, kwargs: dict[str, Any]) -> Asked:
        return self._asked(method, from_text(prompt), (prompt, formatted), kwargs)

    # -- a prompt template --

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        return self._of_template("predict", prompt, prompt_args).run()

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        return self._of_template("stream", prompt, prompt_args).stream()

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        return await self._of_template("apredict", prompt, prompt_args).arun()

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        return await self._of_template("astream", prompt, prompt_args).astream()

    def _of_template(
        self, method: str, prompt: BasePromptTemplate, prompt_args: dict[str, Any]
    ) -> Asked:
        return self._asked(method, from_template(prompt, prompt_args), (prompt,), prompt_args)

    # -- a class to fill, a prompt template, arguments of the LLM --

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        given = output_cls, prompt, llm_kwargs
        return self._of_class("structured_predict", given, prompt_args).run()

    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        given = output_cls, prompt, llm_kwargs
        return self._of_class("stream_structured_predict", given, prompt_args).stream()

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        given = output_cls, prompt, llm_kwargs
        return await self._of_class("astructured_predict", given, prompt_args).arun()

    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        given = output_cls, prompt, llm_kwargs
        return await self._of_class("astream_structured_predict", given, prompt_args).astream()

    def _of_class(
        self,
        method: str,
        given: tuple[type, PromptTemplate, dict[str, Any] | None],
        prompt_args: dict[str, Any],
    ) -> Asked:
        output_cls, prompt, _ = given
        return self._asked(
            method, from_template(prompt, prompt_args, output_cls), given, prompt_args
        )

    # -- tools: (tools, user_msg=None, chat_history=None, ...), see FunctionCallingLLM --

    def chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return self._of_tools("chat_with_tools", args, kwargs).run()

    def stream_chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponseGen:
        return self._of_tools("stream_chat_with_tools", args, kwargs).stream()

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return await self._of_tools("achat_with_tools", args, kwargs).arun()

    async def astream_chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponseAsyncGen:
        return await self._of_tools("astream_chat_with_tools", args, kwargs).astream()

    def _of_tools(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
        return self._asked(method, from_tools(*args, **kwargs), args, kwargs)

    def _prepare_chat_with_tools(  # noqa: PLR0917 (the framework's signature)
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        # Only for callers from outside: the methods above let each backend prepare its own.
        options = {
            "user_msg": user_msg,
            "chat_history": chat_history,
            "verbose": verbose,
            "allow_parallel_tool_calls": allow_parallel_tool_calls,
            "tool_required": tool_required,
            **kwargs,
        }
        return self._of_tools("_prepare_chat_with_tools_compat", (tools,), options).run()

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The tool calls in a response, read by the backend that gave it.

        A response that does not say who gave it is read by its ``ToolCallBlock``s.

        Raises:
            ValueError: there is none, and ``error_on_no_tool_call`` asks for one.
        """
        if (backend := self._backend_of(response)) is not None:
            return backend.get_tool_calls_from_response(response, error_on_no_tool_call, **kwargs)
        blocks = [b for b in response.message.blocks if isinstance(b, ToolCallBlock)]
        if not blocks and error_on_no_tool_call:
            raise ValueError("expected at least one tool call, the response has none")
        return [
            ToolSelection(
                tool_id=block.tool_call_id or "",
                tool_name=block.tool_name,
                tool_kwargs=_arguments(block.tool_kwargs),
            )
            for block in blocks
        ]


# The framework opens a span for each of these methods, which takes about as long as embedding a
# question: so it does where somebody listens.
for _name, _method in list(vars(DelegatingLLM).items()):
    if hasattr(_method, "__wrapped__"):
        setattr(DelegatingLLM, _name, span_if_heard(_method))


def _arguments(given: Mapping[str, Any] | str) -> dict[str, Any]:
    """The arguments of a tool call, which while it streams in are text that is not complete."""
    if not isinstance(given, str):
        return dict(given)
    try:
        parsed = parse_partial_json(given)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
