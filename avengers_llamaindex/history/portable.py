"""The messages to send, for whichever backend is asked next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock

from avengers_core.serving.history import Target, carried_over
from avengers_llamaindex.history.reading import calls_of, reasoning_of, turn_of
from avengers_llamaindex.history.writers import ANSWERS, writer_of
from avengers_llamaindex.history.writing import message_of


def portable(
    messages: Sequence[ChatMessage],
    target: Target,
    *,
    writer_of: Callable[[ChatMessage], str | None] = writer_of,
) -> list[ChatMessage]:
    """A conversation as a backend accepts it, whoever wrote its answers.

    What the target itself wrote goes to it untouched, so that signatures and prompt caches hold.
    What others wrote becomes text, media that the target takes, and tool calls with identifiers
    that it accepts; what only the writer understands is left out, and what its own tools left
    (search results, the output of code, sources) stays as text. The rules of each kind of backend
    are :class:`avengers_core.serving.history.Dialect`'s.

    Args:
        messages: the conversation; neither it nor a message in it is changed.
        target: who is asked (:func:`avengers_llamaindex.history.target_of`).
        writer_of: tells which model wrote an answer, as the router calls it, or None.

    Returns:
        The messages to send.
    """
    dialect = target.dialect
    if not target.copies and _goes_as_it_is(messages, target, writer_of):
        return list(messages)
    turns = []
    for message in messages:
        own = message.role in ANSWERS and writer_of(message) == target.model
        if own and target.wants_reasoning and not target.reads_reasoning and calls_of(message):
            # Without it, its own call is refused, too.
            own = dialect.foreign_calls == "told" and bool(reasoning_of(message))
        own = own and not (target.tells_all_calls and calls_of(message))
        turns.append(turn_of(message, dialect, own))
    carried = carried_over(turns, dialect, tell_calls=target.tells_all_calls)
    return [message_of(turn, target) for turn in carried]


def _goes_as_it_is(
    messages: Sequence[ChatMessage], target: Target, writer_of: Callable[[ChatMessage], str | None]
) -> bool:
    """Whether it is questions in text, each but the last with the target's own answer, in turn,
    perhaps behind a system message: that every backend takes."""
    at = 1 if messages and messages[0].role == MessageRole.SYSTEM else 0
    if (len(messages) - at) % 2 == 0 or not all(map(_is_text, messages[:at])):
        return False
    return all(m.role == MessageRole.USER and _is_text(m) for m in messages[at::2]) and all(
        m.role in ANSWERS and writer_of(m) == target.model and not calls_of(m)
        for m in messages[at + 1 :: 2]
    )


def _is_text(message: ChatMessage) -> bool:
    return (
        len(message.blocks) == 1
        and isinstance(block := message.blocks[0], TextBlock)
        and bool(block.text.strip())
    )


def is_plain(messages: Sequence[ChatMessage]) -> bool:
    """Whether it is one question, perhaps behind a system message: any backend takes that."""
    roles = [message.role for message in messages]
    return roles in (_ASKED, [MessageRole.SYSTEM, *_ASKED]) and all(map(_is_text, messages))


_ASKED = [MessageRole.USER]
