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

from avengers_core.serving.ensemble import answering
from avengers_llamaindex.calling.calls import Asked, LLMAnswering
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
    # half as long as routing: so these three are plain.

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

    def _run(self, method: str, request: Prompt, /, *args: Any, **kwargs: Any) -> Any:
        asked = self._asked(method, request, args, kwargs)
        return answering(LLMAnswering, asked, asked.plan.decide()).run()

    async def _arun(self, method: str, request: Prompt, /, *args: Any, **kwargs: Any) -> Any:
        asked = self._asked(method, request, args, kwargs)
        return await answering(LLMAnswering, asked, await asked.plan.adecide()).arun()

    def _stream(self, method: str, request: Prompt, /, *args: Any, **kwargs: Any) -> Any:
        asked = self._asked(method, request, args, kwargs)
        return answering(LLMAnswering, asked, asked.plan.decide()).stream()

    async def _astream(self, method: str, request: Prompt, /, *args: Any, **kwargs: Any) -> Any:
        asked = self._asked(method, request, args, kwargs)
        return await answering(LLMAnswering, asked, await asked.plan.adecide()).astream()

    def _backend_of(self, response: ChatResponse) -> FunctionCallingLLM | None:
        """Who gave a response, if that is known and it can call tools."""
        raise NotImplementedError

    # -- messages --

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._run("chat", from_messages(messages, kwargs), messages, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._stream("stream_chat", from_messages(messages, kwargs), messages, **kwargs)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._arun("achat", from_messages(messages, kwargs), messages, **kwargs)

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        return await self._astream(
            "astream_chat", from_messages(messages, kwargs), messages, **kwargs
        )

    # -- a bare prompt --

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._run("complete", from_text(prompt), prompt, formatted, **kwargs)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        return self._stream("stream_complete", from_text(prompt), prompt, formatted, **kwargs)

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        return await self._arun("acomplete", from_text(prompt), prompt, formatted, **kwargs)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        return await self._astream(
            "astream_complete", from_text(prompt), prompt, formatted, **kwargs
        )

    # -- a prompt template --

    def predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        return self._run("predict", from_template(prompt, prompt_args), prompt, **prompt_args)

    def stream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenGen:
        return self._stream("stream", from_template(prompt, prompt_args), prompt, **prompt_args)

    async def apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        return await self._arun(
            "apredict", from_template(prompt, prompt_args), prompt, **prompt_args
        )

    async def astream(self, prompt: BasePromptTemplate, **prompt_args: Any) -> TokenAsyncGen:
        return await self._astream(
            "astream", from_template(prompt, prompt_args), prompt, **prompt_args
        )

    # -- a prompt template and a class to fill --

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        return self._run(
            "structured_predict",
            from_template(prompt, prompt_args, output_cls),
            output_cls,
            prompt,
            llm_kwargs,
            **prompt_args,
        )

    def stream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Model | FlexibleModel, None, None]:
        return self._stream(
            "stream_structured_predict",
            from_template(prompt, prompt_args, output_cls),
            output_cls,
            prompt,
            llm_kwargs,
            **prompt_args,
        )

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        return await self._arun(
            "astructured_predict",
            from_template(prompt, prompt_args, output_cls),
            output_cls,
            prompt,
            llm_kwargs,
            **prompt_args,
        )

    async def astream_structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Model | FlexibleModel, None]:
        return await self._astream(
            "astream_structured_predict",
            from_template(prompt, prompt_args, output_cls),
            output_cls,
            prompt,
            llm_kwargs,
            **prompt_args,
        )

    # -- tools: (tools, user_msg=None, chat_history=None, ...), see FunctionCallingLLM --

    def chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return self._run("chat_with_tools", from_tools(*args, **kwargs), *args, **kwargs)

    def stream_chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponseGen:
        return self._stream("stream_chat_with_tools", from_tools(*args, **kwargs), *args, **kwargs)

    async def achat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return await self._arun("achat_with_tools", from_tools(*args, **kwargs), *args, **kwargs)

    async def astream_chat_with_tools(self, *args: Any, **kwargs: Any) -> ChatResponseAsyncGen:
        return await self._astream(
            "astream_chat_with_tools", from_tools(*args, **kwargs), *args, **kwargs
        )

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
        return self._run(
            "_prepare_chat_with_tools_compat", from_tools(tools, **options), tools, **options
        )

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
