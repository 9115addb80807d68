"""What a LlamaIndex call is about: its question, its length, and what it needs of a model.

Retrieved text must not decide the route, so the question is looked for, in this order:

1. an explicit :func:`avengers_core.serving.question.routing_hint`;
2. the prompt's own variable for it (``query_str``, ``question``, ...), given with the call or by
   ``partial_format`` before;
3. the prompt's template with its context variables left empty;
4. the last message that a human wrote;
5. nothing: the artifact's overall means decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.instrumentation.dispatcher import (  # type: ignore[attr-defined]
    active_instrument_tags,
)
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate, RichPromptTemplate
from llama_index.core.prompts.default_prompts import HYDE_TMPL
from llama_index.core.tools import BaseTool
from llama_index.core.utils import get_tokenizer

from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.backends.capabilities import Needs, needs_of_tools
from avengers_core.serving.question import (
    CONTEXT_VARIABLES,
    Request,
    RoutingText,
    Said,
    conversation_named_in,
    is_observation,
    question_from_variables,
    routed_on,
)
from avengers_llamaindex.history.measuring import Measured, measure
from avengers_llamaindex.history.writers import ANSWERS, conversation_of, writer_of

# What the framework fills with documents where it has no question: extractors, graph builders;
# and what those are told to look for.
_DOCUMENT_VARIABLES = frozenset(
    {
        *CONTEXT_VARIABLES,
        "context_messages",
        "text",
        "context_list",
        "schema",
        "allowed_entity_types",
        "allowed_entity_properties",
        "allowed_relation_types",
        "allowed_relation_properties",
    }
)
# Placeholders and the like are counted here, but not where the framework fills a window.
_SURE = 0.95
# How a CodeActAgent hands over what a tool gave, in the user's name as a ReActAgent does.
_RESULT_OF_CODE = "Result of executing the code given:"
# An agent with an output class hands over its whole conversation as one message in the end.
_CONVERSATION = "<current_conversation>"
_SAID_BY_USER = re.compile(r"\t<user>\n(.*?)\t</user>\n", re.DOTALL)
_SAID = re.compile(r"\t\t<message>(.*?)</message>\n", re.DOTALL)
# A picture in a rich template: {{ name | image }}, {{ names[0] | image }}, {{ "a.png" | image }}.
_PICTURE = re.compile(r"(\w*)[^\s{|]*\s*\|\s*image\b")


_CLASS = (Needs(structured_output=True), Needs(tools=True))
"""An object of a class can be given in a JSON schema, or through a tool call."""


@dataclass(eq=False)
class Prompt(Request):
    """A call whose prompt can be counted.

    Attributes:
        whole: all the text of the prompt.
        media_tokens: length of its pictures and the like.
    """

    whole: str = ""
    media_tokens: int = 0

    def counted(self) -> Prompt:
        """The same with the prompt's tokens counted as the framework counts them to fill windows.

        A prompt that it made to fit must not be taken for too long because of an estimate.
        """
        tokens = int(len(get_tokenizer()(self.whole)) * _SURE) + self.media_tokens
        return replace(self, needs=tuple(need.of_length(tokens) for need in self.needs))


def from_text(prompt: str) -> Prompt:
    """A call with a bare prompt."""
    return _alone(prompt, "prompt")


def from_messages(messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Prompt:
    """A call with messages; raw tool schemas may be among its other arguments."""
    tools, native = list(kwargs.get("tools") or ()), bool(kwargs.get("response_format"))
    if tools or native:
        needs = needs_of_tools(tools)._replace(structured_output=native)
        return _conversation(messages, [json.dumps(tool, default=str) for tool in tools], needs)
    if (text := _only_text(messages)) is not None:  # all that a conversation may hold is not there
        return _alone(text, "message")
    return _conversation(messages, (), Needs())


def from_tools(
    tools: Sequence[BaseTool],
    user_msg: str | ChatMessage | None = None,
    chat_history: Sequence[ChatMessage] | None = None,
    *_: Any,
    **__: Any,
) -> Prompt:
    """A call with tools; the arguments of ``chat_with_tools``."""
    last = ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg
    messages = [*(chat_history or ()), *([] if last is None else [last])]
    return _conversation(messages, [_tool_text(tool) for tool in tools], needs_of_tools(tools))


def from_template(
    prompt: BasePromptTemplate, arguments: Mapping[str, Any], output_cls: type | None = None
) -> Prompt:
    """A call with a prompt template and its arguments.

    Args:
        prompt: the template, which may hold some of its variables (``partial_format``).
        arguments: the others.
        output_cls: the class to be filled, if any; its schema counts as prompt.
    """
    variables = {**prompt.kwargs, **arguments}
    schema = [] if output_cls is None else [_schema_text(output_cls)]
    values = (value for value in variables.values() if isinstance(value, str))
    # Retrieved text with pictures in it is handed over as messages.
    each = [measure(message) for message in _messages_in(variables.values())]
    parts = [prompt.get_template(), *values, *(part.text for part in each), *schema]
    question = _question_of(prompt, variables)
    media = _media_needs(each)
    if _shows_images(prompt, variables):
        media = media._replace(images=True)
    ways = (Needs(),) if output_cls is None else _CLASS
    # A conversation, where somebody put one into it.
    history = prompt.message_templates if isinstance(prompt, ChatPromptTemplate) else []
    said = _said(history)
    return _request(
        question,
        "\n".join(parts),
        tuple(way.along_with(media, 0) for way in ways),
        sum(part.media_tokens for part in each),
        earlier=said.earlier if question.text.strip() else (),
        opening=said.opening if said.earlier else question.text,
        **_told_by_answers(history),
    )


def _alone(text: str, source: str) -> Prompt:
    """A call that is a question and nothing else."""
    return _request(RoutingText(text, source), text, opening=text, conversation=_of_nobody)


def _only_text(messages: Sequence[ChatMessage]) -> str | None:
    """What the human said, where the messages are that and nothing else."""
    if len(messages) != 1:
        return None
    (message,) = messages
    blocks = message.blocks
    if message.role != MessageRole.USER or message.additional_kwargs or len(blocks) != 1:
        return None
    if not isinstance(block := blocks[0], TextBlock):
        return None
    text = block.text
    return None if text.startswith(_CONVERSATION) or _is_result(text) else text


def _conversation(messages: Sequence[ChatMessage], tools: Sequence[str], needs: Needs) -> Prompt:
    each = [measure(message) for message in messages]
    said = _said(messages)
    media = sum([part.media_tokens for part in each])
    return _request(
        RoutingText(said.question, "message"),
        # What the tools' schemas say is part of the prompt.
        "\n".join([*[part.text for part in each], *tools]),
        (needs.along_with(_media_needs(each), 0) if media else needs,),
        media,
        earlier=said.earlier,
        opening=said.opening,
        cached_tokens=_read_by(messages, each),
        **_told_by_answers(messages),
    )


def _media_needs(each: Iterable[Measured]) -> Needs:
    named: dict[str, Any] = dict.fromkeys(frozenset().union(*(part.media for part in each)), True)
    return Needs(**named)


def _read_by(messages: Sequence[ChatMessage], each: Sequence[Measured]) -> dict[str, int]:
    """model -> tokens before its last answer, which it has read."""
    read_by: dict[str, int] = {}
    tokens = 0
    for message, part in zip(messages, each, strict=True):
        if message.role in ANSWERS and (writer := writer_of(message)) is not None:
            read_by[writer] = tokens
        tokens += estimate_tokens(part.text) + part.media_tokens
    return read_by


def _loop_of(messages: Sequence[ChatMessage]) -> str | None:
    """Who made the tool calls whose results are the latest news."""
    for message in reversed(messages):
        if message.role in ANSWERS:
            return writer_of(message)
        if message.role not in (MessageRole.TOOL, MessageRole.FUNCTION) and not _is_result(
            message.content or ""
        ):
            return None
    return None


def _told_by_answers(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """What answers say of a call; of its conversation the caller's tags count before."""
    answers = [m for m in reversed(messages) if m.role in ANSWERS]
    told: dict[str, Any] = {"conversation": partial(_conversation_of, answers)}
    if answers:
        told["keeps"] = _loop_of(messages)
        told["answered_by"] = next(filter(None, map(writer_of, answers)), None)
    return told


def _conversation_of(answers: Sequence[ChatMessage]) -> str | None:
    tagged = conversation_named_in(active_instrument_tags.get())
    return tagged or next(filter(None, map(conversation_of, answers)), None)


_of_nobody = partial(_conversation_of, ())  # without an answer only the caller's tags tell


def _request(
    question: RoutingText,
    whole: str,
    ways: tuple[Needs, ...] = (Needs(),),
    media_tokens: int = 0,
    **told: Any,
) -> Prompt:
    question = routed_on(question)
    tokens = estimate_tokens(whole) + media_tokens
    needs = tuple([way.of_length(tokens) for way in ways])
    return Prompt(question, tokens, needs, whole=whole, media_tokens=media_tokens, **told)


def _messages_in(values: Iterable[Any]) -> Iterator[ChatMessage]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, ChatMessage))


def _has_images(messages: Iterable[ChatMessage]) -> bool:
    return any(_is_image(block) for message in messages for block in message.blocks)


def _is_image(block: Any) -> bool:
    inside = getattr(block, "content", None)  # of a block of blocks
    return isinstance(block, ImageBlock) or (
        isinstance(inside, list) and any(map(_is_image, inside))
    )


def _shows_images(prompt: BasePromptTemplate, variables: Mapping[str, Any]) -> bool:
    """Whether the template itself holds pictures, or a place for one that is given."""
    if isinstance(prompt, ChatPromptTemplate):
        return _has_images(prompt.message_templates)
    if isinstance(prompt, RichPromptTemplate):
        # A name that is not among the template's variables is that of a loop, or a file's.
        return any(
            variables.get(name, name not in prompt.template_vars)
            for name in _PICTURE.findall(prompt.template_str)
        )
    return False


def _question_of(prompt: BasePromptTemplate, variables: Mapping[str, Any]) -> RoutingText:
    if (question := question_from_variables(variables)) is not None:
        return RoutingText(question, "variable")
    if prompt.get_template() == HYDE_TMPL:
        # HyDE hands the question over as if it were context.
        return RoutingText(str(variables.get("context_str", "")), "variable")
    names = {*prompt.template_vars, *variables}
    documents = names & _DOCUMENT_VARIABLES
    told = any(isinstance(variables.get(name), str) for name in names - documents)
    if documents and not told:
        # Only documents and settings: what is left is the framework's instruction, the same for
        # every call, and says nothing about how hard this one is.
        return RoutingText("", "none")
    return RoutingText(_worded(prompt, variables, documents), "template")


def _worded(prompt: BasePromptTemplate, variables: Mapping[str, Any], documents: Set[str]) -> str:
    """What the template asks, without the documents."""
    empty = {name: _empty(variables.get(name, "")) for name in documents}
    # What is computed from the variables may be expensive, or fail without its documents.
    computed = dict.fromkeys(prompt.function_mappings or {}, "")
    plain = prompt.model_copy(update={"function_mappings": None})
    try:
        return _said(plain.format_messages(**{**computed, **variables, **empty})).question
    except Exception:  # a template may do with its variables whatever it likes
        told = (value for name, value in variables.items() if name not in documents)
        return "\n".join(value for value in told if isinstance(value, str))


def _empty(value: Any) -> Any:
    return type(value)() if isinstance(value, str | list | tuple | dict) else ""


def _said(messages: Iterable[ChatMessage]) -> Said:
    """What the human said; not what an agent puts in the human's name."""
    turns: list[tuple[int, str]] = []
    answers = 0
    for message in messages:
        if message.role in ANSWERS:
            answers += 1
        elif message.role == MessageRole.USER:
            text = message.content or ""
            quoted = text.startswith(_CONVERSATION)
            for turn in _quoted(text) if quoted else [text]:
                if turn.strip() and not _is_result(turn):
                    turns.append((answers, turn))
                answers += quoted
    return Said.of(turns)


def _quoted(conversation: str) -> list[str]:
    """What the human said in a conversation that an agent wrote down as one text."""
    return ["\n".join(_SAID.findall(turn)) for turn in _SAID_BY_USER.findall(conversation)]


def _is_result(text: str) -> bool:
    return is_observation(text) or text.startswith(_RESULT_OF_CODE)


def _tool_text(tool: BaseTool) -> str:
    metadata = tool.metadata
    schema = "" if metadata.fn_schema is None else _schema_text(metadata.fn_schema)
    return f"{metadata.name}\n{metadata.description}\n{schema}"


@lru_cache(maxsize=1024)
def _schema_text(cls: type) -> str:
    # Pydantic builds the schema anew at each call, which takes longer than routing.
    return json.dumps(cls.model_json_schema()) if issubclass(cls, BaseModel) else ""
