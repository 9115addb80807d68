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

from avengers_llamaindex.calls import Call
from avengers_llamaindex.events import span_if_heard
from avengers_llamaindex.routing_text import (
    Request,
    from_messages,
    from_template,
    from_text,
    from_tools,
)


class DelegatingLLM(FunctionCallingLLM):
    """An LLM that does nothing itself: :meth:`_route` finds out who does.

    Not decorated with the framework's callbacks: the backend's methods are, and a second layer
    would count every token twice.
    """

    # The framework would open a span for each implementation of an abstract method, which takes
    # half as long as routing: so these three are plain.

    def _route(self, method: str, request: Request) -> Call:
        """Decide who answers a call."""
        raise NotImplementedError

    async def _aroute(self, method: str, request: Request) -> Call:
        """:meth:`_route`, asynchronously."""
        raise NotImplementedError

    def _backend_of(self, response: ChatResponse) -> FunctionCallingLLM | None:
        """Who gave a response, if that is known and it can call tools."""
        raise NotImplementedError

    # -- messages --

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._route("chat", from_messages(messages, kwargs)).run(messages, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        call = self._route("stream_chat", from_messages(messages, kwargs))
        return call.stream(messages, **kwargs)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        call = await self._aroute("achat", from_messages(messages, kwargs))
        return await call.arun(messages, **kwargs)

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        call = await self._aroute("astream_chat", from_messages(messages, kwargs))
        return await call.astream(messages, **kwargs)

    # -- a bare prompt --

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._route("complete", from_text(prompt)).run(prompt, formatted, **kwargs)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        call = self._route("stream_complete", from_text(prompt))
        return call.stream(prompt, formatted, **kwargs)

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        call = await self._aroute("acomplete", from_text(prompt))
        return await call.arun(prompt, formatted, **kwargs)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        call = await self._aroute("astream_complete", from_text(prompt))
        return await call.astream(prompt, formatted, **kwargs)

    # -- a prompt template --

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        return self._route("predict", from_template(prompt, prompt_args)).run(prompt, **prompt_args)

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        call = self._route("stream", from_template(prompt, prompt_args))
        return call.stream(prompt, **prompt_args)

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        call = await self._aroute("apredict", from_template(prompt, prompt_args))
        return await call.arun(prompt, **prompt_args)

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        call = await self._aroute("astream", from_template(prompt, prompt_args))
        return await call.astream(prompt, **prompt_args)

    # -- a prompt template and a class to fill --

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        call = self._route("structured_predict", from_template(prompt, prompt_args, output_cls))
        return call.run(output_cls, prompt, llm_kwargs, **prompt_args)

    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        call = self._route(
            "stream_structured_predict", from_template(prompt, prompt_args, output_cls)
        )
        return call.stream(output_cls, prompt, llm_kwargs, **prompt_args)

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        call = await self._aroute(
            "astructured_predict", from_template(prompt, prompt_args, output_cls)
        )
        return await call.arun(output_cls, prompt, llm_kwargs, **prompt_args)

    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        call = await self._aroute(
            "astream_structured_predict", from_template(prompt, prompt_args, output_cls)
        )
        return await call.astream(output_cls, prompt, llm_kwargs, **prompt_args)

    # -- tools: (tools, user_msg=None, chat_history=None, ...), see FunctionCallingLLM --

    def chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return self._route("chat_with_tools", from_tools(*args, **kwargs)).run(*args, **kwargs)

    def stream_chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponseGen:
        call = self._route("stream_chat_with_tools", from_tools(*args, **kwargs))
        return call.stream(*args, **kwargs)

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        call = await self._aroute("achat_with_tools", from_tools(*args, **kwargs))
        return await call.arun(*args, **kwargs)

    async def astream_chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponseAsyncGen:
        call = await self._aroute("astream_chat_with_tools", from_tools(*args, **kwargs))
        return await call.astream(*args, **kwargs)

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
        call = self._route("_prepare_chat_with_tools_compat", from_tools(tools, **options))
        return call.run(tools, **options)

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
