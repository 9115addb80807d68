"""A call's arguments as the backend that is asked accepts them: its conversation, its tools, its
settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate

from avengers_core.common.plain import sendable
from avengers_core.serving.backends.tool_choice import ToolChoice, tool_words
from avengers_core.serving.backends.wording import OF_CALLS, refused
from avengers_core.serving.history import Protocol, Target
from avengers_llamaindex.history import (
    is_plain,
    is_question,
    portable,
    target_of,
    writes_into_messages,
)
from avengers_llamaindex.telling import OF_TEXTS
from avengers_llamaindex.wording import CONFIG, in_words

OF_TEMPLATES = frozenset(
    prefix + name
    for prefix in ("", "a")
    for name in ("predict", "stream", "structured_predict", "stream_structured_predict")
)
"""Methods whose arguments by name are the variables of a template."""

OF_ALL = ("temperature", "max_tokens")
"""Settings of the router's LLM that hold of LLMs that the user gave too."""

# The first arguments of the methods that take tools, and what else they take about them.
_OF_TOOLS = ("tools", "user_msg", "chat_history")
_PARALLEL = ("allow_parallel_tool_calls", "parallel_tool_calls")

STOP = ("stop", "stop_sequences")
"""What stop sequences are called."""

Arguments = tuple[tuple[Any, ...], dict[str, Any], Sequence[str]]
"""By position and by name, and stop sequences to cut the answer at."""


def accepted(
    method: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    model: str,
    backend: LLM,
    *,
    said: Mapping[str, Any],
) -> Arguments:
    """The arguments of a method, by position and by name, as a backend accepts them; and stop
    sequences of the call that it does not take, at which its answer has to be cut.

    Args:
        method: of an LLM.
        args: its arguments by position.
        kwargs: those by name; the dict may be changed.
        model: what the router calls the backend.
        backend: who is asked.
        said: to it with each call, unless the call says otherwise; the methods of
            :data:`avengers_llamaindex.telling.OF_TEXTS` have no room for it.
    """
    args, kwargs, cut = _shaped(method, args, kwargs, model, backend)
    if not said or method in OF_TEXTS or method.startswith("_"):
        return args, kwargs, cut
    if method in OF_TEMPLATES:
        output, prompt, own = args
        return (output, prompt, _beside(said, own or {})), kwargs, cut
    return args, _beside(said, kwargs), cut


def _beside(said: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    both = {**said, **own}
    if CONFIG in said and CONFIG in own:
        both[CONFIG] = {**said[CONFIG], **own[CONFIG]}
    return both


def _shaped(
    method: str, args: tuple[Any, ...], kwargs: dict[str, Any], model: str, backend: LLM
) -> Arguments:
    if method in OF_TEMPLATES:
        return _of_template(args, sendable(kwargs), model, backend)
    if "chat_with_tools" in method:
        return _of_tools(args, kwargs, target_of(model, backend, tools=True), backend)
    if method.endswith("chat"):
        plain = is_plain(args[0]) and not writes_into_messages(backend)
    else:
        plain, args = True, sendable(args)
    if plain and not kwargs:
        return args, kwargs, ()
    target = target_of(model, backend)
    if not plain:
        args = (portable(args[0], target), *args[1:])
    return args, *in_words(kwargs, target)


def _of_template(
    args: tuple[Any, ...], kwargs: dict[str, Any], model: str, backend: LLM
) -> Arguments:
    """(prompt,) or (class, prompt, arguments of the LLM); and the variables."""
    at = next(i for i, arg in enumerate(args) if isinstance(arg, BasePromptTemplate))
    prompt, rest = args[at], list(args[at + 1 :])
    cut: Sequence[str] = ()
    if rest and rest[0]:
        rest[0], cut = in_words(rest[0], target_of(model, backend))
    if _holds_messages(prompt, kwargs):
        shown = prompt.model_copy(update={"output_parser": None})
        messages = shown.format_messages(llm=backend, **kwargs)
        if not is_question(messages):
            messages = portable(messages, target_of(model, backend))
            prompt = _rendered(messages, prompt.output_parser)
    return (*args[:at], prompt, *rest), kwargs, cut


class _Rendered(ChatPromptTemplate):  # type: ignore[no-redef]
    """A template that is rendered: its messages are sent as they are."""

    def format_messages(self, llm: Any = None, **_: Any) -> list[ChatMessage]:
        messages = list(self.message_templates)
        parser = self.output_parser
        return messages if parser is None else parser.format_messages(messages)


def _rendered(messages: Sequence[ChatMessage], parser: Any) -> ChatPromptTemplate:
    make: Any = _Rendered  # whose constructor is not the one that pydantic would make
    rendered: ChatPromptTemplate = make(messages, output_parser=parser)
    return rendered


def _holds_messages(prompt: BasePromptTemplate, variables: Mapping[str, Any]) -> bool:
    """Whether there are more messages in it than a question behind a system message."""
    given = (*prompt.kwargs.values(), *variables.values())
    if any(isinstance(v, list | tuple) and any(_is_message(m) for m in v) for v in given):
        return True
    return isinstance(prompt, ChatPromptTemplate) and not is_question(prompt.message_templates)


def _is_message(value: Any) -> bool:
    return isinstance(value, ChatMessage)


def _of_tools(
    args: tuple[Any, ...], kwargs: dict[str, Any], target: Target, backend: LLM
) -> Arguments:
    """(tools, the user's message, what was said before); and how they are to be called."""
    given = {**dict(zip(_OF_TOOLS, args, strict=False)), **kwargs}
    history = list(given.get("chat_history") or ())
    given["user_msg"] = asked = sendable(given.get("user_msg"))
    if history or isinstance(asked, ChatMessage):  # which Claude's class loses by itself
        if asked:  # the last message, and what is before depends on it
            history.append(asked if isinstance(asked, ChatMessage) else ChatMessage(asked))
        given |= {"user_msg": None, "chat_history": portable(history, target)}
    rest = args[len(_OF_TOOLS) :]
    said = {name: given.pop(name) for name in ("tool_choice", *_PARALLEL) if name in given}
    chosen = _chosen(said, given, target.dialect.protocol, backend) if said else {}
    words, cut = in_words({name: given.pop(name) for name in [*given] if name in OF_CALLS}, target)
    given |= {**words, **chosen}
    first = [given.pop(name, None) for name in (_OF_TOOLS if rest else _OF_TOOLS[:1])]
    return (*first, *rest), given, cut


def _chosen(
    said: Mapping[str, Any], given: dict[str, Any], protocol: Protocol, backend: LLM
) -> dict[str, Any]:
    """Which tools have to be called, as arguments of a backend's ``chat_with_tools``."""
    choice = said.get("tool_choice")
    parallel = next((said[name] for name in _PARALLEL if said.get(name) is not None), None)
    allowed = {} if parallel is None else {"allow_parallel_tool_calls": parallel}
    if not choice:
        return allowed
    tools = list(given.get("tools") or ())
    names = [tool.metadata.name for tool in tools]
    read = ToolChoice.read(choice, names)
    if read is not None and read.parallel is not None and parallel is None:
        allowed = {"allow_parallel_tool_calls": read.parallel}
    if protocol == "other" and read is not None and not _takes_choice(backend):
        # The framework's own words: a tool has to be called, one of these.
        some = read.mode != "none" and (read.names or names)
        handed = [tool for tool in tools if some and tool.metadata.name in some]
        return {**allowed, "tools": handed, "tool_required": read.mode == "any"}
    if protocol == "anthropic" and read is not None:
        parallel = bool(allowed.get("allow_parallel_tool_calls"))  # as its class has it
        thinks = (getattr(backend, "thinking_dict", None) or {}).get("type")
        if thinks in ("enabled", "adaptive") and read.mode == "any":
            choice = "auto"  # who thinks cannot be forced
    words = tool_words(choice, parallel, names, protocol)
    if words.only is not None:
        tools = [tool for tool in tools if tool.metadata.name in words.only]
    told = {} if words.choice is None else {"tool_choice": words.choice}
    return {**allowed, **told, "tools": tools}


def _takes_choice(backend: LLM) -> bool:
    return (
        isinstance(backend, FunctionCallingLLM)
        and "tool_choice" in signature(type(backend)._prepare_chat_with_tools).parameters
    )


def with_settings(
    model: str, backend: LLM, settings: Mapping[str, Any]
) -> tuple[LLM, dict[str, Any]]:
    """A copy of an LLM with other settings, which shares the clients; and the arguments by name
    that calls of it have to have besides.

    Args:
        model: names it in the error.
        backend: the LLM, which stays as it is.
        settings: those of :data:`OF_ALL` that are given.

    Raises:
        ValueError: its class has no such setting.
    """
    kind = type(backend)
    fields = kind.model_fields
    target = target_of(model, backend)
    said: dict[str, Any] = {}
    if CONFIG in signature(kind).parameters:  # what else it is made with plays no part later
        said, _ = in_words(settings, target)
    unheard = refused(settings, target)
    words = {name: value for name, value in settings.items() if name not in unheard}
    if "max_tokens" in words and "max_tokens" not in fields and "max_output_tokens" in fields:
        words["max_output_tokens"] = words.pop("max_tokens")
    own = {name: value for name, value in words.items() if name in fields}
    unknown = sorted(words.keys() - own.keys())
    if unknown and not said:
        raise ValueError(
            f"{', '.join(unknown)}: no setting of {kind.__name__}, the LLM of {model!r}"
        )
    return backend.model_copy(update=own), said
