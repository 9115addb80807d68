"""The messages to send, for whichever backend is asked next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from avengers_core.serving.history import ANTHROPIC_THINKING, Role, Target, Turn, carried_over
from avengers_core.serving.history.reasoning import without_a_first_thought
from avengers_langchain.history.marks import with_fewer_marks
from avengers_langchain.history.reading import role_of, turn_of, turns_of
from avengers_langchain.history.writers import is_own, thoughts_of, torn, writer_of
from avengers_langchain.history.writing import message_of


def portable(
    messages: Sequence[BaseMessage],
    target: Target,
    *,
    writer_of: Callable[[BaseMessage], str | None] = writer_of,
) -> list[BaseMessage]:
    """A conversation as a backend accepts it, whoever wrote its answers.

    What the target itself wrote goes to it untouched: the same objects, so that signatures and
    prompt caches hold. What others wrote becomes text, media that the target takes, and tool calls
    with identifiers that it accepts; what only the writer understands is left out, and what its
    own tools left (search results, the output of code, sources) stays as text. The rules of each
    kind of backend are :class:`avengers_core.serving.history.Dialect`'s.

    Args:
        messages: the conversation; neither it nor a message in it is changed.
        target: who is asked (:func:`avengers_langchain.history.target_of`).
        writer_of: tells which model wrote an answer, as the router calls it, or None.

    Returns:
        The messages to send.
    """
    dialect = target.dialect
    own = [isinstance(m, AIMessage) and is_own(m, writer_of(m), target) for m in messages]
    if "anthropic" in dialect.providers:
        own = [its and not n for its, n in zip(own, torn(messages, own), strict=True)]
    if dialect.name == ANTHROPIC_THINKING.name:  # was it told to think by then?
        steps = map(_step, messages, own)
        own = [its and not n for its, n in zip(own, without_a_first_thought([*steps]), strict=True)]
    in_text = dialect.text_lists or all(isinstance(m.content, str) for m in messages)
    if in_text and _alternate(messages, own):
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


def _step(message: BaseMessage, own: bool) -> tuple[Role, bool, bool]:
    calls = isinstance(message, AIMessage) and bool(message.tool_calls)
    return role_of(message), calls, own and bool(thoughts_of(message))


def is_plain(messages: Sequence[BaseMessage]) -> bool:
    """Whether it is questions in text, each but the last with a bare answer, perhaps behind
    a system message: any backend takes that."""
    return _alternate(messages, [False] * len(messages))


def _alternate(messages: Sequence[BaseMessage], own: Sequence[bool]) -> bool:
    """As :func:`is_plain`, where answers may also be the target's own: that it takes, too."""
    at = 1 if messages and type(messages[0]) is SystemMessage else 0
    if (len(messages) - at) % 2 == 0:
        return False
    answers = zip(messages[at + 1 :: 2], own[at + 1 :: 2], strict=True)
    return (
        all(map(_is_text, messages[:at]))
        and all(type(m) is HumanMessage and _is_text(m) for m in messages[at::2])
        and all(_is_bare(m) or (its and not (m.name or m.tool_calls)) for m, its in answers)  # type: ignore[attr-defined]
    )


def _is_bare(answer: BaseMessage) -> bool:
    """Whether an answer is a text and nothing else, as programs keep it that store what was said;
    one that begins with a tag may begin with thoughts."""
    if type(answer) is not AIMessage or answer.response_metadata or answer.id is not None:
        return False
    called = answer.tool_calls or answer.invalid_tool_calls
    return _is_text(answer) and not called and answer.text.lstrip()[0] != "<"


def _is_text(message: BaseMessage) -> bool:
    content = message.content
    plain = isinstance(content, str) and bool(content.strip()) and message.name is None
    return plain and not message.additional_kwargs
