"""The messages to send, for whichever backend is asked next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from operator import is_
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from avengers_core.common.plain import sendable
from avengers_core.serving.history import (
    Call,
    Dialect,
    Role,
    Target,
    carried_over,
)
from avengers_core.serving.history.reasoning import without_a_first_thought
from avengers_llamaindex.history.marks import with_fewer_marks
from avengers_llamaindex.history.plain import alternate
from avengers_llamaindex.history.reading import calls_of, reasoning_of, role_of, turn_of
from avengers_llamaindex.history.writers import ANSWERS, says, writer_of
from avengers_llamaindex.history.writing import message_of


def portable(messages: Sequence[ChatMessage], target: Target) -> list[ChatMessage]:
    """A conversation as a backend accepts it, whoever wrote its answers.

    What the target itself wrote goes to it untouched, so that signatures and prompt caches hold.
    What others wrote becomes text, media that the target takes, and tool calls with identifiers
    that it accepts; what only the writer understands is left out, and what its own tools left
    (search results, the output of code, sources) stays as text. The rules of each kind of backend
    are :class:`avengers_core.serving.history.Dialect`'s.

    Args:
        messages: the conversation; neither it nor a message in it is changed.
        target: who is asked (:func:`avengers_llamaindex.history.target_of`).

    Returns:
        The messages to send.
    """
    dialect = target.dialect
    messages = list(map(_sendable, messages))
    calls = [calls_of(message) if message.role in ANSWERS else () for message in messages]
    takes = _taken_by(dialect)
    own = [
        message.role in ANSWERS
        and writer_of(message) == target.model
        and all(map(takes, message.blocks))
        and _is_own(message, called, target)
        for message, called in zip(messages, calls, strict=True)
    ]
    if dialect.thinks_first:  # was it told to think by then?
        steps = map(_step, messages, calls, own)
        own = [its and not n for its, n in zip(own, without_a_first_thought([*steps]), strict=True)]
    if not target.copies and not any(calls) and alternate(messages, own):
        return list(messages)
    turns = list(map(turn_of, messages, repeat(dialect), own, calls))
    carried = carried_over(turns, dialect, tell_calls=target.tells_all_calls)
    sent = [message_of(turn, target) for turn in carried]
    if dialect.ends_with_assistant and dialect.protocol == "anthropic" and sent:
        sent[-1] = _begun(sent[-1])
    if dialect.cache_marks is None:
        return sent
    return with_fewer_marks(sent, max(dialect.cache_marks - target.marks, 0))


# Where a block has texts of its own.
_TEXTS: dict[type[Any], str] = {
    TextBlock: "text",
    ThinkingBlock: "content",
    ToolCallBlock: "tool_kwargs",
}


def _sendable(message: ChatMessage) -> ChatMessage:
    """A message with texts that clients can send: none takes half a surrogate pair."""
    blocks = list(map(_with_sendable, message.blocks))
    if all(map(is_, blocks, message.blocks)):
        return message
    return message.model_copy(update={"blocks": blocks})


def _with_sendable(block: Any) -> Any:
    name = _TEXTS.get(type(block))
    given = None if name is None else getattr(block, name)
    made = sendable(given)
    return block if made is given else block.model_copy(update={name: made})


def _step(message: ChatMessage, calls: Sequence[Call], own: bool) -> tuple[Role, bool, bool]:
    # Its client leaves out thoughts that are not shown, signed or not.
    thinks = own and any(isinstance(b, ThinkingBlock) and b.content for b in message.blocks)
    return role_of(message), bool(calls), thinks


def _begun(last: ChatMessage) -> ChatMessage:
    """The last message, where it is an answer to be gone on with: a Claude takes none that ends in
    a blank, and its client leaves it there."""
    end = last.blocks[-1] if last.role in ANSWERS and last.blocks else None
    if not isinstance(end, TextBlock) or end.text == end.text.rstrip():
        return last
    blocks = [*last.blocks[:-1], TextBlock(text=end.text.rstrip())]
    return last.model_copy(update={"blocks": blocks})


def _is_own(answer: ChatMessage, calls: Sequence[Call], target: Target) -> bool:
    """Whether an answer of the target's goes back to it as it is."""
    if _is_broken_off(answer, calls, target.dialect):
        return False
    if not calls:  # with nothing but thoughts no server takes it back
        beside = answer.additional_kwargs
        return any(map(says, answer.blocks)) or any(beside.get(name) for name in _SAID_BESIDE)
    text = target.minds_text_with_calls and bool((answer.content or "").strip())
    broken = any(call.broken for call in calls)
    if not target.takes_back((call.name for call in calls), says=text, broken=broken):
        return False
    # Where its client loses the reasoning that has to come back, its own call is refused, too.
    loses = target.wants_reasoning and not target.reads_reasoning
    return not loses or (target.dialect.foreign_calls == "told" and bool(reasoning_of(answer)))


def _is_broken_off(answer: ChatMessage, calls: Sequence[Call], dialect: Dialect) -> bool:
    """Whether an answer ended in the middle of its thoughts: what these lead to never came."""
    needs_more = dialect.protocol in ("anthropic", "openai responses")
    last = answer.blocks[-1:]
    return needs_more and not calls and any(isinstance(block, ThinkingBlock) for block in last)


# What clients send back of an answer beside its blocks: not a refusal, nor sources.
_SAID_BESIDE = ("function_call", "reference_audio_id")
# The blocks that they send in one: not the pictures that OpenAI's models made.
_SENT: dict[str, tuple[type[Any], ...]] = {
    "openai": (TextBlock, ThinkingBlock, ToolCallBlock, AudioBlock),
    "gemini": (TextBlock, ThinkingBlock, ToolCallBlock, ImageBlock),
}


def _taken_by(dialect: Dialect) -> Callable[[Any], bool]:
    """Tells which blocks of an answer of its own a kind of backend takes."""
    if dialect.protocol == "anthropic":
        return _is_signed
    sent = _SENT.get("openai" if dialect.speaks_openai else dialect.protocol, (object,))
    return lambda block: isinstance(block, sent)


def _is_signed(block: Any) -> bool:
    # A stream may break off before the signature of a thought.
    if not isinstance(block, ThinkingBlock) or not block.content:
        return True
    return bool(block.additional_information.get("signature"))
