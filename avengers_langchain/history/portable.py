"""The messages to send, for whichever backend is asked next."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage

from avengers_core.common.plain import is_sendable, sendable
from avengers_core.serving.history import Role, Target, Turn, carried_over
from avengers_core.serving.history.reasoning import without_a_first_thought
from avengers_langchain.history.marks import with_fewer_marks
from avengers_langchain.history.plain import alternate
from avengers_langchain.history.reading import role_of, turn_of, turns_of
from avengers_langchain.history.writers import is_own, thoughts_of, torn, writer_of
from avengers_langchain.history.writing import message_of


def portable(messages: Sequence[BaseMessage], target: Target) -> list[BaseMessage]:
    """A conversation as a backend accepts it, whoever wrote its answers.

    What the target itself wrote goes to it untouched: the same objects, so that signatures and
    prompt caches hold. What others wrote becomes text, media that the target takes, and tool calls
    with identifiers that it accepts; what only the writer understands is left out, and what its
    own tools left (search results, the output of code, sources) stays as text. The rules of each
    kind of backend are :class:`avengers_core.serving.history.Dialect`'s.

    Args:
        messages: the conversation; neither it nor a message in it is changed.
        target: who is asked (:func:`avengers_langchain.history.target_of`).

    Returns:
        The messages to send.
    """
    dialect = target.dialect
    messages = list(map(_sendable, messages))
    own = [isinstance(m, AIMessage) and is_own(m, writer_of(m), target) for m in messages]
    if dialect.protocol == "anthropic":
        own = [its and not n for its, n in zip(own, torn(messages, own), strict=True)]
    if dialect.thinks_first:  # was it told to think by then?
        steps = map(_step, messages, own)
        own = [its and not n for its, n in zip(own, without_a_first_thought([*steps]), strict=True)]
    in_text = dialect.text_lists or all(isinstance(m.content, str) for m in messages)
    if in_text and alternate(messages, own):
        return list(messages)
    turns: list[Turn] = []
    for message, is_its in zip(messages, own, strict=True):
        if isinstance(message.content, str) or is_its:
            turns.append(turn_of(message, dialect, is_its))
        else:
            turns += turns_of(message, dialect)
    carried = carried_over(turns, dialect, tell_calls=target.tells_all_calls)
    sent = [message_of(turn, target) for turn in carried]
    if dialect.cache_marks is None:
        return sent
    return with_fewer_marks(sent, max(dialect.cache_marks - target.marks, 0))


def _sendable(message: BaseMessage) -> BaseMessage:
    """A message with texts that clients can send: none takes half a surrogate pair."""
    content = message.content
    calls = message.tool_calls if isinstance(message, AIMessage) else None
    if is_sendable(content) and (not calls or is_sendable(calls)):
        return message
    update = {"content": sendable(content), **({"tool_calls": sendable(calls)} if calls else {})}
    return message.model_copy(update=update)


def _step(message: BaseMessage, own: bool) -> tuple[Role, bool, bool]:
    calls = isinstance(message, AIMessage) and bool(message.tool_calls)
    return role_of(message), calls, own and bool(thoughts_of(message))
